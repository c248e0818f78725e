"""`lsn-eval sweep`: every condition as if `lm_eval` had run alone, and what becomes of the rest."""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from builders.architectures import tiny_model
from builders.commands import printed
from builders.masks import tiny_mask
from builders.sweeps import breaking, command, sweep_settings, written
from lm_eval.api.instance import Instance
from tokenizers.normalizers import Lowercase

from lsn_eval.comparing import compare
from lsn_eval.conditions import Condition
from lsn_eval.errors import LsnError
from lsn_eval.identification.random import random_mask
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.loading import load_model
from lsn_eval.storage.folder_lock import LOCK, only_writer
from lsn_eval.storage.yaml_files import read_settings
from lsn_eval.sweeping import progress, sweep
from lsn_eval.sweeping.estimate import check_fit, estimate_sweep
from lsn_eval.sweeping.evaluation import Evaluation
from lsn_eval.sweeping.folder import SweepFolder, folder_name, results_in
from lsn_eval.sweeping.progress import AnswerCounter, SweepBar
from lsn_eval.sweeping.running import run_sweep
from lsn_eval.sweeping.screen import quiet, without_chatter
from lsn_eval.sweeping.settings import SweepError, SweepSettings, parse_seed

CONDITIONS = ("none", "de:zero")

DATA = '''
import random
import numpy as np
from datasets import Dataset

def load(**settings):
    rows = [{"question": f"Was ist {n} und {n + 1}?", "answer": n % 3} for n in range(24)]
    return {"train": Dataset.from_list(rows[:16]), "test": Dataset.from_list(rows[16:])}

def prompt(doc):
    """Tasks may use the global generators while requests are built."""
    return f"{random.randrange(1000)} {np.random.randint(1000)} {doc['question']}"
'''
SHARED = """
custom_dataset: !function sweep_data.load
training_split: train
fewshot_split: train
test_split: test
doc_to_text: !function sweep_data.prompt
metadata: {version: 1.0}
"""
CHOICE = """
task: sweep_choice
output_type: multiple_choice
doc_to_choice: [ja, nein, nie]
doc_to_target: answer
"""
SAMPLED = """
task: sweep_sampled
output_type: generate_until
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 12, do_sample: true, temperature: 1.0}
metric_list: [{metric: exact_match}]
"""
TASKS = ("sweep_choice", "sweep_sampled")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "sweep_data.py").write_text(DATA)
    (folder / "choice.yaml").write_text(CHOICE + SHARED)
    (folder / "sampled.yaml").write_text(SAMPLED + SHARED)
    return folder


def settings(folder: Path | None = None, **given) -> SweepSettings:
    ours = {"tasks": TASKS, "include_path": str(folder), "limit": None} if folder else {}
    return sweep_settings(**{**ours, **given})


@pytest.mark.slow
def test_few_shot_and_sampled_generation_equal_two_fresh_processes(tasks, tmp_path, warm_commands):
    for condition in CONDITIONS:
        model_args = f"pretrained=lsn_demo,mask=demo/planted,condition={condition},dtype=float32"
        options = {
            "--model": "lsn_hf", "--model_args": model_args, "--tasks": ",".join(TASKS),
            "--include_path": tasks, "--num_fewshot": "2", "--batch_size": "4", "--device": "cpu",
            "--output_path": tmp_path / "alone" / folder_name(Condition.parse(condition)),
        }  # fmt: skip
        arguments = [str(part) for pair in options.items() for part in pair]
        alone = [warm_commands / "lm_eval", *arguments, "--log_samples"]
        done = subprocess.run(alone, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    # One between: what the second condition leaves behind reaches the third.
    chosen = settings(tasks, conditions=("none", "random1-de:zero", "de:zero"), num_fewshot=2)
    outcome = run_sweep(chosen, tmp_path / "swept", progress=False)
    assert not outcome.failed
    swept = written(tmp_path / "swept")
    assert swept.pop("random1-de:zero")[1] != swept["de:zero"][1]
    assert swept == written(tmp_path / "alone")
    answers = [samples["samples_sweep_sampled"] for _, samples in swept.values()]
    assert answers[0] != answers[1]
    for results, _ in swept.values():
        assert results["config"]["model"] == results["model_source"] == "lsn_hf"
        assert results["configs"]["sweep_choice"]["num_fewshot"] == 2


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def finished_before(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.rglob("results_*.json")}


def never(*args, **kwargs):
    raise AssertionError("the model was loaded")


@pytest.mark.slow
def test_finished_conditions_are_skipped_and_changed_arguments_refused(tmp_path, monkeypatch):
    run_sweep(settings(conditions=CONDITIONS), tmp_path, progress=False)
    before = finished_before(tmp_path)
    assert len(before) == 2
    outcome = run_sweep(settings(conditions=("de:zero", "ru:zero")), tmp_path, progress=False)
    assert outcome.skipped == ["de:zero"]
    assert list(outcome.finished) == ["de:zero", "ru:zero"]
    assert len(finished_before(tmp_path)) == 3
    monkeypatch.setattr(Evaluation, "load", never)
    run_sweep(settings(conditions=CONDITIONS), tmp_path, progress=False)
    assert before.items() <= finished_before(tmp_path).items()
    for name, value, said in [
        ("limit", 3.0, "limit was 2.*and is 3"),
        ("tasks", ("lsn_demo_ppl_ru",), "tasks was .*ppl_de.* and is .*ppl_ru"),
        ("seed", (7,), "seed was .*1234.* and is .*7"),
        ("num_fewshot", 1, "num_fewshot was null and is 1"),
        ("metadata", {"a": 1}, "metadata was"),
        ("model_args", {"add_bos_token": True}, "model_args was"),
    ]:
        with pytest.raises(SweepError, match=said):
            run_sweep(settings(conditions=CONDITIONS, **{name: value}), tmp_path)
    results = next(iter((tmp_path / "de_zero").rglob("results_*.json")))
    other = json.loads(results.read_text("utf-8"))
    other["config"]["lsn"]["mask"]["digest"] = "0" * 64
    results.write_text(json.dumps(other), "utf-8")
    with pytest.raises(SweepError, match='has mask "000'):
        run_sweep(settings(conditions=CONDITIONS), tmp_path)
    (tmp_path / "sweep.json").unlink()
    with pytest.raises(SweepError, match="this command did not write"):
        run_sweep(settings(conditions=CONDITIONS), tmp_path)


@pytest.mark.slow
def test_a_loaded_model_gives_the_numbers_of_one_by_name(tmp_path):
    """Of scores and of generated text, from a mask as an object; the folder knows the weights."""
    common = {
        "tasks": "lsn_demo_ppl_de,lsn_demo_langacc_de", "conditions": "none,de:zero,random1-de:zero",
        "batch_size": 3, "limit": 4, "progress": False,
    }  # fmt: skip
    model, tokenizer = load_model("lsn_demo", dtype="float32", device="cpu")
    objects = {"model": model, "tokenizer": tokenizer, "mask": NeuronMask.load("demo/planted")}
    assert len(sweep(tmp_path / "objects", **objects, **common).finished) == 3
    names = {"model": "lsn_demo", "mask": "demo/planted", "dtype": "float32", "device": "cpu"}
    sweep(tmp_path / "names", **names, **common)
    loaded, named = written(tmp_path / "objects"), written(tmp_path / "names")
    for condition, (results, samples) in named.items():
        assert loaded[condition][0]["results"] == results["results"]
        assert loaded[condition][1] == samples
        record = loaded[condition][0]["config"]["lsn"]
        assert record["seen"] == results["config"]["lsn"]["seen"]
        # In memory the start of the weights' digest stands behind the name.
        signature = re.sub(r"#[0-9a-f]{12}\|", "|", record["signature"])
        assert signature == results["config"]["lsn"]["signature"]
        assert signature != record["signature"]
        assert loaded[condition][0]["config"]["device"] == "cpu"
        assert "loaded" not in results["config"]["lsn"]["model"]
    other = copy.deepcopy(tokenizer)
    other.backend_tokenizer.normalizer = Lowercase()
    with pytest.raises(SweepError, match="model_files was"):
        sweep(tmp_path / "objects", **objects | {"tokenizer": other}, **common)
    with torch.no_grad():
        next(model.parameters()).mul_(2)
    with pytest.raises(SweepError, match="model_files was"):
        sweep(tmp_path / "objects", **objects, **common)
    sweep(tmp_path / "again", **objects, **common | {"conditions": "de:zero"})
    changed = compare([tmp_path / "objects" / "none", tmp_path / "again"]).panels[0]
    (reason,) = changed.changes["de:zero", "de"].obstacles
    assert reason.startswith("not comparable with none: loaded model ")
    for wrong, said in (
        ({"tokenizer": None}, "go together"),
        ({"dtype": "float32"}, "has its dtype; leave that out"),
        ({"settings": settings(conditions=CONDITIONS)}, "give one"),
    ):
        with pytest.raises(SweepError, match=said):
            sweep(tmp_path / "wrong", **objects | common | wrong)


LINES = """
task: sweep_lines
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/lines.jsonl}}}}
test_split: test
doc_to_text: !function lines.prompt
"""
SETTINGS_OF_LINES = """
output_type: loglikelihood
doc_to_target: "ja"
metadata: {version: 1.0}
"""


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("lines.jsonl", "Hund", "Fund"),
        ("lines.yaml", "sweep_lines", "sweep_lines\ndescription: Bitte"),
        ("shared.yaml", '"ja"', '"nein"'),
        ("lines.py", "doc['text']", "doc['text'] * 2"),
        ("lines.py", "import math", "import cmath"),
    ],
)
@pytest.mark.slow
def test_a_sweep_does_not_go_on_with_changed_tasks_or_data(name, old, new, tmp_path, monkeypatch):
    folder, out = tmp_path / "tasks", tmp_path / "out"
    folder.mkdir()
    for file, text in {
        "lines.jsonl": '{"text": "Der Hund"}\n{"text": "Die Katze"}\n',
        "lines.yaml": LINES.format(folder=folder) + "include: shared.yaml\n",
        "shared.yaml": SETTINGS_OF_LINES,
        "lines.py": "import math\ndef prompt(doc):\n    return f\"{doc['text']}\"\n",
    }.items():
        (folder / file).write_text(text)
    chosen = settings(folder, tasks=("sweep_lines",), conditions=("none",))
    further = settings(folder, tasks=("sweep_lines",), conditions=("none", "de:zero"))
    assert not run_sweep(chosen, out, progress=False).failed
    assert run_sweep(chosen, out, progress=False).skipped == ["none"]
    file = folder / name
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(SweepError, match=f"with other arguments: .*{name} changed"):
        run_sweep(chosen, out, progress=False)
    # Files that lie elsewhere now are told by what tasks made of them.
    stored = json.loads((out / "sweep.json").read_text())
    stored["inputs"]["files"] = {}
    (out / "sweep.json").write_text(json.dumps(stored))
    if "cmath" not in new:
        monkeypatch.setattr(Evaluation, "evaluate", never)
        with pytest.raises(SweepError, match="definition or documents of sweep_lines changed"):
            run_sweep(further, out, progress=False)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("sweep.json", b'{"arguments": [1]}', r"arguments is \[1\]; an object was expected"),
        ("sweep.json", b"[]", r"an object was expected"),
        ("sweep.json", b"[" * 70, "JSON"),
        ("sweep.json", b'{"arguments": {}, "inputs": 3}', "inputs is 3"),
        ("sweep.json", b'{"arguments": {"model_args": "x"}}', 'model_args was "x"'),
        ("sweep.json", b"\xff", "is not UTF-8"),
        ("results", b'{"config": []}', r"config is \[\]; an object"),
        ("results", b'{"config": {"lsn": {"condition": 3}}}', "model_args|condition is 3"),
    ],
)
@pytest.mark.slow
def test_files_in_its_folder_that_are_not_what_they_should_be(file, content, message, tmp_path):
    run_sweep(settings(conditions=("none",)), tmp_path, progress=False)
    (path,) = tmp_path.rglob("results_*.json") if file == "results" else [tmp_path / file]
    path.write_bytes(content)
    with pytest.raises(SweepError, match=message):
        run_sweep(settings(conditions=("none",)), tmp_path, progress=False)


@pytest.mark.slow
def test_a_failed_condition_is_recorded_and_the_rest_goes_on(tmp_path):
    arguments = ("--out", tmp_path, "--conditions", "none,de:zero,ru:zero")
    with breaking(RuntimeError("out of memory"), "de:zero"):
        done = command(*arguments)
    assert done.exit_code == 1
    assert "1 failed" in done.stdout
    assert "out of memory" in done.stdout
    record = json.loads((tmp_path / "de_zero" / "failed.json").read_text("utf-8"))
    assert record == {"condition": "de:zero", "error": "RuntimeError", "reason": "out of memory"}
    assert names(tmp_path) == ["de_zero", "none", "ru_zero", "sweep.json"]
    done = command(*arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("finished before") == 2
    assert not (tmp_path / "de_zero" / "failed.json").exists()


@pytest.mark.slow
def test_an_interrupt_leaves_what_is_finished(tmp_path):
    with breaking(KeyboardInterrupt(), "de:zero", finished=True):
        done = command("--out", tmp_path, "--conditions", "none,de:zero")
    assert done.exit_code == 130
    assert f"finished conditions are in {tmp_path}" in done.stderr
    assert names(tmp_path) == ["none", "sweep.json"]


@pytest.mark.slow
def test_a_second_sweep_is_refused_and_harms_nothing(tmp_path):
    with (
        only_writer(tmp_path, SweepError),
        pytest.raises(SweepError, match="another sweep is writing"),
    ):
        run_sweep(settings(conditions=CONDITIONS), tmp_path, progress=False)
    assert names(tmp_path) == []
    outcome = run_sweep(settings(conditions=CONDITIONS), tmp_path, progress=False)
    assert not outcome.failed
    assert names(tmp_path) == ["de_zero", "none", "sweep.json"]
    with only_writer(tmp_path, SweepError):  # there is nothing to write
        assert run_sweep(settings(conditions=CONDITIONS), tmp_path).skipped == ["none", "de:zero"]


@pytest.mark.slow
def test_after_a_sudden_end_a_sweep_goes_on(tmp_path, warm_commands):
    killed = f"""
import os, sys
from pathlib import Path
from lsn_eval.sweeping.evaluation import Evaluation
from lsn_eval.sweeping.running import run_sweep
from lsn_eval.sweeping.settings import SweepSettings
evaluate = Evaluation.evaluate
def end(self, condition, folder, **given):
    evaluate(self, condition, folder, **given)
    if condition.terms: os.kill(os.getpid(), 9)
Evaluation.evaluate = end
run_sweep({settings(conditions=CONDITIONS)!r}, Path(sys.argv[1]), progress=False)
"""
    done = subprocess.run([warm_commands / "python", "-c", killed, tmp_path], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert names(tmp_path) == [LOCK, ".unfinished", "none", "sweep.json"]
    assert "none" in str(results_in(tmp_path))
    outcome = run_sweep(settings(conditions=CONDITIONS), tmp_path, progress=False)
    assert outcome.skipped == ["none"]
    assert not outcome.failed
    assert names(tmp_path) == ["de_zero", "none", "sweep.json"]


@pytest.mark.slow
def test_a_first_try_that_finished_nothing_does_not_bind(tmp_path):
    first = settings(conditions=("none", "ru:zero"), batch_size="64")
    with breaking(RuntimeError("out of memory"), "none", "ru:zero"):
        assert len(run_sweep(first, tmp_path, progress=False).failed) == 2
    assert names(tmp_path) == ["none", "ru_zero", "sweep.json"]
    assert not run_sweep(settings(conditions=CONDITIONS), tmp_path, progress=False).failed
    kept = json.loads((tmp_path / "sweep.json").read_text("utf-8"))["arguments"]
    assert kept["batch_size"] == "4"
    assert not list(tmp_path.rglob("failed.json")), "of other arguments"
    with pytest.raises(SweepError) as refused:
        run_sweep(settings(conditions=CONDITIONS, dtype="bfloat16", metadata={"a": 1}), tmp_path)
    message = str(refused.value)
    assert '; model_args was {"dtype": "float32", "mask"' in message
    assert 'metadata was {} and is {"a": 1}; model_args' in message, "repeats are left out"
    with pytest.raises(SweepError) as refused:
        run_sweep(settings(conditions=CONDITIONS, dtype="bfloat16"), tmp_path)
    assert "metadata" not in str(refused.value)


@pytest.mark.slow
def test_a_finished_condition_is_never_replaced(tmp_path):
    folder = SweepFolder(tmp_path, {"mask_digest": "0", "model_args": {}})
    condition = Condition.parse("de:zero")
    (folder.begin(condition) / "results_2.json").write_text("mine")
    theirs = tmp_path / "de_zero" / "results_1.json"
    theirs.parent.mkdir()
    theirs.write_text("theirs")
    with pytest.raises(OSError, match="not empty"):
        folder.finish(condition)
    folder.fail(condition, RuntimeError("later"))
    assert names(tmp_path / "de_zero") == ["results_1.json"]
    assert theirs.read_text() == "theirs"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"conditions": ("none", "xx:zero")}, "'xx'.*is not in the mask"),
        ({"conditions": ("de:nothing",)}, "de:nothing"),
        ({"conditions": ("de:0", "de:zero")}, "de:zero is named twice"),
        ({"conditions": ("none",), "tasks": ()}, "tasks is missing"),
        ({"conditions": ("none",), "each": "zero"}, "both were given"),
        ({}, "neither was given"),
        ({"conditions": ("none",), "controls": 2}, "together with"),
        ({"conditions": ("none",), "mask": "no_such_mask"}, "no_such_mask"),
        ({"conditions": ("none",), "metadata": {"api_key": "sk-1"}}, "looks like a secret"),
        ({"conditions": ("none",), "model_args": {"condition": "de:zero"}}, "--conditions"),
    ],
)
def test_what_cannot_be_run_is_said_before_the_model_is_loaded(given, said, tmp_path, monkeypatch):
    monkeypatch.setattr(Evaluation, "load", never)
    with pytest.raises(LsnError, match=said):
        run_sweep(settings(**given), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("start", [run_sweep, estimate_sweep])
@pytest.mark.usefixtures("few_tasks")
def test_a_task_that_is_missing_is_said_before_the_model_is_loaded(start, tmp_path, monkeypatch):
    monkeypatch.setattr(Evaluation, "load", never)
    with pytest.raises(LsnError, match="no_such_task"):
        start(settings(conditions=("none",), tasks=("no_such_task",)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_each_language_with_its_controls():
    mask = NeuronMask.load("demo/planted")
    conditions = settings(each="x0.5", controls=2).conditions_of(mask)
    first = mask.languages[0]
    assert len(conditions) == 1 + 6 + 6 * 2
    assert list(map(str, conditions[:2])) == ["none", f"{first}:x0.5"]
    assert list(map(str, conditions[7:9])) == [f"random1-{first}:x0.5", f"random2-{first}:x0.5"]


@pytest.mark.slow
def test_a_file_of_settings_and_the_command_line_over_it(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "model: lsn_demo\nmask: demo/planted\ntasks: [lsn_demo_ppl_de]\nconditions:\n- none\n"
        "- de:zero\nbatch_size: 4\nlimit: 5\nmodel_args: {add_bos_token: false}\nseed: 3\n"
    )
    read = SweepSettings.from_mapping(
        {**read_settings(file, SweepError, "model: m"), "limit": 2, "dtype": None}, "here"
    )
    assert (read.limit, read.batch_size, read.seed) == (2.0, "4", (3,))
    assert read.conditions == ("none", "de:zero")
    assert read.model_args == {"add_bos_token": False}
    typed = ("--limit", 1, "--conditions", "ru:zero", "--out", tmp_path / "out")
    printed("sweep", "--file", file, *typed)
    config = written(tmp_path / "out")["ru:zero"][0]["config"]
    assert (config["limit"], config["random_seed"], config["batch_size"]) == (1.0, 3, "4")
    for text, said in [
        ("model: m\ntask: t\n", "task is no setting"),
        ("model: m\nmask: k\ntasks: t\nconditions:\n- de: zero\n", "no space after the colon"),
        ("model: m\nmask: k\n", "tasks is missing"),
        ("model: m\nmask: k\ntasks: t\nlimit: many\n", "limit is 'many'"),
        ("- model\n", "holds no settings"),
        ("a: &x [1]\nb: *x", "YAML alias"),
        ("model: m\nmask: k\ntasks: t\neach: zero\nmodel_args: 3", "model_args is 3; names"),
        ("model: [m]\nmask: k\ntasks: t\neach: zero", r"model is \['m'\]; a text"),
        ("model: m\nmask: k\ntasks: t\neach: zero\ncontrols: yes", "controls is True; a whole"),
    ]:
        file.write_text(text)
        with pytest.raises(SweepError, match=said):
            SweepSettings.from_mapping(read_settings(file, SweepError, "model: m"), str(file))


def test_seeds():
    assert parse_seed("0,None,2,3") == (0, None, 2, 3)
    assert parse_seed([1, None, 2, 3]) == (1, None, 2, 3)
    assert parse_seed(5) == (5,)
    for wrong in ("1,2", "many", ""):
        with pytest.raises(SweepError, match="one number, or four"):
            parse_seed(wrong)


def test_names_of_folders():
    assert folder_name(Condition.parse("de:zero/random1-ru:x0.5")) == "de_zero+random1-ru_x0.5"
    long = [Condition.parse("/".join(f"l{n}:zero" for n in range(m))) for m in (40, 41)]
    one, other = map(folder_name, long)
    assert one != other
    assert max(len(one), len(other)) <= 120


def test_warnings_come_through_once_and_other_noise_does_not(capfd):
    with quiet():
        for _ in range(2):
            logging.getLogger("lsn_eval.somewhere").warning("mind this")
        print("a progress bar", file=sys.stderr)
        os.write(2, b"fatal: not a git repository")
    said = capfd.readouterr().err
    assert said.count("mind this") == 1
    assert "progress" not in said
    assert "git" not in said


@pytest.mark.parametrize("verbose", [False, True])
def test_lm_evals_command_shows_warnings_and_the_proof_but_not_its_steps(
    verbose, tmp_path, monkeypatch, capfd
):
    from lm_eval import evaluator
    from lm_eval.utils import setup_logging

    setup_logging()
    said = io.StringIO()
    harness = logging.getLogger("lm_eval")
    monkeypatch.setattr(harness, "handlers", [logging.StreamHandler(said)])
    monkeypatch.setenv("LSN_EVAL_VERBOSE", str(int(verbose)))
    monkeypatch.delenv("LMEVAL_LOG_LEVEL", raising=False)
    monkeypatch.chdir(tmp_path)
    with without_chatter():
        logging.getLogger("lm_eval.evaluator").info("a step")
        logging.getLogger("lm_eval.evaluator").warning("mind this")
        logging.getLogger("lm_eval.models.lsn_hf").info("signature: ...")
        evaluator.get_git_commit_hash()
    assert ("a step" in said.getvalue()) == verbose
    assert ("not a git repository" in capfd.readouterr().err) == verbose
    assert "mind this\nsignature: ...\n" in said.getvalue()


@pytest.mark.slow
def test_lm_eval_warns_of_a_limit_once(tmp_path, monkeypatch, capfd, request):
    harness = logging.getLogger("lm_eval")
    for logger in (logging.getLogger(), harness):
        monkeypatch.setattr(logger, "handlers", [])  # those of the test run
    level = harness.level
    harness.setLevel(logging.WARNING)  # lm-eval's `verbosity` stays for the process
    request.addfinalizer(lambda: harness.setLevel(level))
    run_sweep(settings(conditions=CONDITIONS), tmp_path, progress=False)
    assert capfd.readouterr().err.count("ONLY BE USED FOR TESTING") == 1


@pytest.mark.slow
def test_progress_says_what_is_being_done_and_none_is_silent(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(progress, "_BETWEEN", 0)
    chosen = settings(conditions=CONDITIONS)
    run_sweep(chosen, tmp_path / "shown")
    said = capfd.readouterr().err
    for text in ("loading", "1/2 none, loglikelihood_rolling 1/2", "none, loglikelihood_rolling 2/2",
                 "2/2 de:zero, loglikelihood_rolling 2/2", "100%", "<00:0"):  # fmt: skip
        assert text in said, text
    assert ": :" not in said
    run_sweep(chosen, tmp_path / "silent", progress=False)
    said = capfd.readouterr().err  # lm-eval warns of --limit
    assert not re.search(r"loading|none|\d%|\r", said), said


@pytest.fixture
def bar(monkeypatch) -> SweepBar:
    monkeypatch.setattr(progress, "_BETWEEN", 0)
    bar = SweepBar(4, io.StringIO(), shown=True)
    bar.begin("none")
    yield bar
    bar.close()


def test_time_left_counts_what_is_answered_ahead(bar):
    shares = []
    for done, ahead in ((1, 3), (5, 15), (10, 30)):
        bar.answered("generate_until", {"generate_until": done}, {"generate_until": 10}, ahead)
        shares.append(bar._bar.n)
    bar.end()
    assert shares == [0.4, 2.0, 4.0]
    bar.begin("de:zero")
    bar.answered("generate_until", {"generate_until": 5}, {"generate_until": 10}, 25)
    assert bar._bar.n == 4, "it does not go back"


def test_time_left_is_not_shown_before_it_can_be_estimated(bar):
    screen = bar._screen
    for done in (1, 19, 20):
        assert "<" not in screen.getvalue()
        bar.answered("loglikelihood", {"loglikelihood": done}, {"loglikelihood": 100}, 0)
    assert "loglikelihood 19/100" in screen.getvalue()
    assert re.search(r"20/100: .*<\d\d:\d\d\]", screen.getvalue())


def test_answers_are_counted_by_kind():
    told = []
    counter = AnswerCounter(lambda *answer: told.append((answer[0], dict(answer[1]), answer[2])))
    kinds = ["loglikelihood", "generate_until", "generate_until"]
    instances = [Instance(kind, {}, (), 0, ("task", 0, 2)) for kind in kinds]
    totals = {"loglikelihood": 2, "generate_until": 4}
    for _ in range(2):
        counter.start([SimpleNamespace(instances=instances)])
        counter.add_partial("generate_until", None, "text")
        counter.add_partial("loglikelihood", None, 0.0)
        assert told[-2:] == [
            ("generate_until", {"generate_until": 1}, totals),
            ("loglikelihood", {"generate_until": 1, "loglikelihood": 1}, totals),
        ]


@pytest.mark.slow
def test_a_dry_run_says_what_is_finished_and_what_is_not(tmp_path, monkeypatch):
    conditions = ("--conditions", "none,de:zero,ru:zero", "--batch-size", 4)
    arguments = ("--out", tmp_path / "out", *conditions)
    with monkeypatch.context() as patch:
        patch.setattr(Evaluation, "load", never)
        said = json.loads(command(*arguments, "--dry-run", "--json").stdout)
        assert not list(tmp_path.iterdir())
        assert said["to_run"] == ["none", "de:zero", "ru:zero"]
        task = {"language": "de", "documents": 2, "requests": 2}
        assert said["tasks"] == {"lsn_demo_ppl_de": task}
        assert (said["finished"], said["requests"], said["seconds"]) == ({}, 6, None)
    run_sweep(settings(conditions=("de:zero",)), tmp_path / "out", progress=False)
    [results] = finished_before(tmp_path)
    before = finished_before(tmp_path)
    done = command(*arguments, "--dry-run")
    assert done.exit_code == 0, done.output
    assert re.search(rf"de:zero +finished: {results}", done.stdout)
    assert re.search("none +to be run", done.stdout)
    assert "2 conditions x 1 task in 1 language: about 4 requests" in done.stdout
    assert "about 00:" in done.stdout
    said = json.loads(command(*arguments, "--dry-run", "--json").stdout)
    took = float(json.loads(results.read_text())["total_evaluation_time_seconds"])
    assert said["seconds"] == 2 * took
    assert finished_before(tmp_path) == before
    assert names(tmp_path / "out") == ["de_zero", "sweep.json"]
    everything = (*arguments, "--conditions", "de:zero", "--dry-run")
    assert "to be run" not in command(*everything).stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mask": "other"}, "this mask is of a gpt2 model"),
        ({"model": "no/such/model"}, "model 'no/such/model' cannot be loaded"),
        ({"model": "no/such/model", "conditions": ("none",)}, "cannot be loaded"),
        ({"conditions": ("xx:zero",)}, "'xx'.*is not in the mask"),
        ({"device": "cuda:77"}, "PyTorch finds"),
        ({"model_args": {"tokenizer": "/no/such"}}, "no tokenizer of lsn_demo"),
    ],
)
@pytest.mark.slow
def test_a_dry_run_ends_in_the_error_of_the_run(given, said, tmp_path, monkeypatch):
    monkeypatch.setattr(Evaluation, "load", never)
    other = tmp_path / "mask.safetensors"
    random_mask(["de", "ru"], layers=2, width=9, model_type="gpt2").save(other)
    given = {name: str(other) if value == "other" else value for name, value in given.items()}
    with pytest.raises(LsnError, match=said):
        estimate_sweep(settings(**{"conditions": ("none", "de:zero"), **given}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("model_type", ["llama", "t5"])
def test_a_mask_is_held_against_the_configuration_alone(model_type, tmp_path):
    model = tiny_model(model_type)
    model.config.save_pretrained(tmp_path)
    chosen = settings(model=str(tmp_path), each="zero")
    check_fit(chosen, tiny_mask(model))
    other = random_mask(["de", "fr"], layers=2, width=47, model_type=model_type)
    with pytest.raises(LsnError, match="this mask is of a model with"):
        check_fit(chosen, other)
