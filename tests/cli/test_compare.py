"""`lsn-eval compare` as it is typed, on what lm-eval itself wrote: its own metrics, filters and
samples, under `hf` and `lsn_hf`."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean

import pytest
from builders.commands import printed, refused
from builders.results import compared, two_runs, write_run, write_sweep

from lsn_eval.comparing import compare
from lsn_eval.results import read_results
from lsn_eval.tables.formats import FORMATS

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "lsn_eval" / "data" / "demo_model"
PAGE = (ROOT / "docs" / "compare.md").read_text("utf-8")
QUICK = ("--resamples", "200", "--permutations", "199")


run = functools.partial(printed, "compare")


DATA = '''
from datasets import Dataset

def load(**settings):
    rows = [{"question": f"Das Buch {n} liegt auf dem", "answer": n % 2, "text": f"Der Mann {n} geht in das Haus.",
             "translation": "das Haus ist rot und der Tisch ist alt"} for n in range(10)]
    return {"test": Dataset.from_list(rows)}

def some(doc, results):
    """A key that only some documents have, and a number that only some have."""
    length = len(results[0]) if isinstance(results[0], str) else 1
    scores = {"maybe": None if doc["answer"] else float(length)}
    return {**scores, "rare": 1.0} if doc["answer"] else scores

def mean_of_known(items):
    known = [item for item in items if item is not None]
    return sum(known) / len(known)
'''
SHARED = """
custom_dataset: !function upstream_data.load
test_split: test
metadata: {version: 1.0}
"""
GENERATED = """
output_type: generate_until
doc_to_text: "{{question}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 16}
"""
TASKS = {
    "up_choice_de": """
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: [Tisch, Haus und Hof]
doc_to_target: answer
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "up_rolling_de": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}, {metric: bits_per_byte}]
""",
    "up_translated_de": GENERATED
    + """
doc_to_target: "{{translation}}"
metric_list: [{metric: bleu}, {metric: chrf}, {metric: ter}]
""",
    "up_filtered_de": GENERATED
    + """
repeats: 2
doc_to_target: "{{translation}}"
filter_list:
- {name: whole, filter: [{function: take_first}]}
- {name: word, filter: [{function: regex, regex_pattern: "(\\\\w+)"}, {function: take_first}]}
metric_list: [{metric: exact_match}]
""",
    "up_some_de": GENERATED
    + """
doc_to_target: "{{translation}}"
process_results: !function upstream_data.some
metric_list:
- {metric: maybe, aggregation: !function upstream_data.mean_of_known, higher_is_better: true}
- {metric: rare, aggregation: mean, higher_is_better: true}
""",
}


@pytest.fixture(scope="module")
def upstream(shared_folder, warm_commands) -> Path:
    """Results of lm-eval's own command: `hf` without an intervention, `lsn_hf` with one."""
    return shared_folder("upstream", lambda folder: evaluate(warm_commands / "lm_eval", folder))


def evaluate(lm_eval: Path, folder: Path) -> None:
    (folder / "upstream_data.py").write_text(DATA)
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(f"task: {name}\n{text}{SHARED}")
    model = shutil.copytree(MODEL, folder / "model")  # as `lsn_demo`, plain hf would not know it
    models = {
        "hf": f"pretrained={model},dtype=float32",
        "lsn_hf": f"pretrained={model},dtype=float32,mask=demo/planted,condition=de:zero",
    }
    for model, given in models.items():
        done = subprocess.run(
            [lm_eval, "--model", model, "--model_args", given, "--tasks", ",".join(TASKS),
             "--include_path", folder, "--batch_size", "5", "--device", "cpu", "--log_samples",
             "--output_path", folder / "out" / model],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.stock
def test_every_metric_of_upstream_is_compared_with_plain_hf_and_tested(upstream):
    comparison = compare(read_results([upstream / "out"]))
    found = {(p.family, p.metric): p.change("de:zero", "de") for p in comparison.panels}
    assert set(found) == {
        ("up_choice_*", "acc"), ("up_choice_*", "acc_norm"),
        ("up_rolling_*", "word_perplexity"), ("up_rolling_*", "byte_perplexity"),
        ("up_rolling_*", "bits_per_byte"),
        ("up_translated_*", "bleu"), ("up_translated_*", "chrf"), ("up_translated_*", "ter"),
        ("up_filtered_*", "exact_match,whole"), ("up_filtered_*", "exact_match,word"),
        ("up_some_*", "maybe"), ("up_some_*", "rare"),
    }  # fmt: skip
    for place, change in found.items():
        assert (change.obstacles, change.documents) == ((), 10), place
        assert change.interval is not None, place
        assert 0 < change.p <= 1, place
        assert change.baseline.file.parts[-3] == "hf", place
    rolling = found["up_rolling_*", "word_perplexity"]
    assert rolling.p < 0.05
    assert rolling.interval[0] <= rolling.shift <= rolling.interval[1]
    assert comparison.notes == ()  # exact matches are 0 under both, and the answers differ


@pytest.mark.stock
def test_the_table_of_upstream_results(upstream):
    text = run(upstream / "out", *QUICK)
    assert re.search(r"word_perplexity of up_rolling_\*, .*: relative change from none, %", text)
    assert "exact_match,word of up_filtered_*" in text
    assert "acc_norm" not in text  # each task's first metric
    assert "acc_norm of up_choice_*" in run(upstream / "out", *QUICK, "--metric", "all")
    assert run(upstream / "out", *QUICK, "--metric", "exact_match").count("exact_match,") >= 2


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    write_sweep(folder, documents=40)
    return folder


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.slow
def test_formats_by_name_and_by_suffix(sweep, tmp_path, name):
    suffix = {"terminal": "txt", "markdown": "md", "latex": "tex"}.get(name, name)
    out = tmp_path / f"table.{suffix}"
    said = run(sweep, *QUICK, "--out", out)
    printed = run(sweep, *QUICK, *(("--json",) if name == "json" else ("--format", name)))
    assert out.read_text() == printed
    assert said == f"30 numbers of 10 files in {out}\n"
    assert "token_perplexity" in printed.replace("\\", "")
    if name == "csv":
        assert len(list(csv.DictReader(io.StringIO(printed)))) == 30
    if name == "json":
        assert len(json.loads(printed)["numbers"]) == 30
    if name == "latex":
        assert printed.count(r"\toprule") == 2


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_a_folder_whose_name_is_no_text_is_compared(tmp_path, ending):
    folder = tmp_path / os.fsdecode(b"a\xff")
    write_sweep(folder, conditions=["none"])
    out = tmp_path / f"table.{ending}"
    assert f" in {out}\n" in run(folder, *QUICK, "--out", out)
    assert "a?" in out.read_text("utf-8")


@pytest.mark.slow
def test_views_follow_the_options(sweep):
    shown = run(
        sweep, *QUICK, "--show", "value,ppxc", "--show", "ratio", "--all-controls", "--intervals"
    )
    titles = [line for line in shown.splitlines() if line.startswith("token_perplexity of")]
    assert [title.rpartition(": ")[2].split(",")[0] for title in titles] == [
        "value", "PPXC", "ratio to none", "each condition on its own language",
    ]  # fmt: skip
    assert shown.count("Measured with (lsn-eval compare --signatures lists all 4)") == 1
    shared = next(line for line in shown.splitlines() if line.startswith("  model:org/model|"))
    assert re.search(r"\|mask:sha256-\w+\|method:\w+\|condition:\*\|hookpoint:mlp.act\|", shared)
    assert re.search(r"\|data:ppl_\*:1.0\|v", shared)
    assert "|condition:zh:zero|" not in shown
    assert "|condition:zh:zero|" in run(sweep, *QUICK, "--signatures")
    assert "random2-zh:zero" in shown
    assert re.search(r"\+\d\.\d+ \[\+", shown)
    assert "1000 resamples" in run(sweep, "--resamples", "1000", "--seed", "3")
    assert "have neither interval nor test" in run(sweep, "--no-tests")
    assert "~ the 95%" not in run(sweep, "--no-tests")


def test_a_real_sweep_equals_loops_over_its_samples(finished_demo):
    results = finished_demo / "results"
    sheet = {}
    for file in results.rglob("samples_lsn_demo_ppl_*.jsonl"):
        condition = file.parts[-3].replace("_", ":")
        loss, units = 0.0, 0
        for line in file.read_text("utf-8").splitlines():
            pair = json.loads(line)["token_perplexity"]
            loss, units = loss - pair[0], units + pair[1]
        sheet[condition, file.name.split("_")[4]] = math.exp(loss / units)
    assert len(sheet) == 13 * 6
    text = run(results, "--metric", "token_perplexity", "--format", "csv")
    rows = csv.DictReader(io.StringIO(text))
    found = {(row["condition"], row["language"]): row for row in rows}
    assert found.keys() == sheet.keys()
    for place, value in sheet.items():
        before = sheet["none", place[1]]
        assert float(found[place]["value"]) == pytest.approx(value)
        if place[0] != "none":
            assert float(found[place]["relative"]) == pytest.approx(value / before - 1)
            assert float(found[place]["difference"]) == pytest.approx(value - before)
            assert found[place]["documents"] == "48"
    languages = {language for _, language in sheet}
    shifts = {x: math.log(sheet["de:zero", x] / sheet["none", x]) for x in languages}
    own = found["de:zero", "de"]
    assert float(own["selectivity"]) == pytest.approx(shifts.pop("de") - fmean(shifts.values()))
    assert float(own["selectivity_p"]) == pytest.approx(1 / 2)
    assert own["controls"] == "1"


@pytest.mark.slow
def test_tasks_are_chosen_by_name_pattern_or_family(sweep):
    assert "  de  " not in run(sweep, *QUICK, "--task", "ppl_en", "--task", "ppl_z*").split("\n")[2]
    assert run(sweep, *QUICK, "--task", "ppl_*") == run(sweep, *QUICK)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "pdf"], "one of terminal, markdown"),
        (["--format", "html"], "'lsn-eval report RESULTS --out FILE.html' writes HTML"),
        (["--out", "page.html"], "'lsn-eval report RESULTS"),
        (["--format", "csv", "--json"], "--json and --format csv contradict each other"),
        (["--by", "task"], "condition or model was expected"),
        (["--out", "x.doc"], "an ending that says the format was expected: .txt"),
        (["--out", "x.md", "--format", "csv"], "x.md does not end as csv does"),
        (["--show", "median"], "cannot be shown"),
        (["--metric", "bleu"], "no such metric in the results; there are token_perplexity"),
        (["--level", "95"], "0.95, for instance"),
        (["--resamples", "3"], "too few"),
        (["--allow", "everything"], "is no setting"),
        (["--by", "model", "--show", "value"], "columns of its own"),
        (["--task", "xnli"], "there are ppl_*"),
        (["absent"], "absent does not exist"),
        (["empty"], "holds no results_*.json"),
    ],
)
def test_arguments_that_make_no_sense_are_one_message(
    sweep, arguments, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    whole = arguments if len(arguments) == 1 else [sweep, *arguments]
    assert said in refused("compare", *whole)


def test_ppxc_is_shown_for_perplexities_and_left_out_for_the_rest(tmp_path):
    tasks = {"a_de": {"acc": [1, 0]}, "b_de": {"byte_perplexity": [(-2.0, 3), (-4.0, 4)]}}
    for condition in ("none", "de:zero"):
        write_run(tmp_path / condition[:2], condition, tasks)
    text = run(tmp_path, *QUICK, "--show", "ppxc")
    assert "byte_perplexity" in text
    assert "acc of" not in text
    assert "there is none" in refused("compare", tmp_path, "--show", "ppxc", "--metric", "acc")


def test_the_first_metric_is_the_first_with_a_number_anywhere(tmp_path):
    for condition in ("none", "de:zero"):
        write_run(
            tmp_path / condition[:2], condition, {"a_de": {"f1": [1, 0], "acc": [1, 0]}},
            values={"f1": float("nan")} if condition == "none" else {},
        )  # fmt: skip
    text = run(tmp_path, *QUICK)
    assert "f1 of a_*" in text
    assert "the value under none is nan" in text


def test_warnings_reach_the_reader_of_a_file_and_of_the_screen(tmp_path):
    tasks = {"a_de": {"acc": [1, 0]}}
    two_runs(tmp_path, tasks, tasks)
    write_run(tmp_path / "c", "none", tasks, date=0.5)
    said = "WARNING: under every condition the model did the same as under none"
    assert said in run(tmp_path, *QUICK)
    said = run(tmp_path, *QUICK, "--out", tmp_path / "table.csv")
    assert "likely no-op" in said
    assert "older results" in said
    assert "likely no-op" in (tmp_path / "table.csv").read_text()


@pytest.mark.slow
def test_the_leaderboard_is_a_table_of_models(sweep, tmp_path):
    write_sweep(tmp_path, model="org/other", documents=40)
    text = run(sweep, tmp_path, *QUICK, "--by", "model")
    assert "models by selectivity" in text
    assert len(re.findall(r"^org/\w+ ", text, re.MULTILINE)) == 2
    data = json.loads(run(sweep, tmp_path, *QUICK, "--by", "model", "--format", "json"))
    assert {panel["model"] for panel in data["panels"]} == {"org/model", "org/other"}


@pytest.mark.parametrize("samples", [False, True])
@pytest.mark.slow
def test_a_thousand_files_take_seconds(tmp_path, samples):
    """10 masks of 4 languages with 24 controls each; 12 documents a task."""
    for number in range(10):
        write_sweep(
            tmp_path / str(number), languages=("en", "de", "zh", "ru"), controls=24,
            digest=f"{number:x}" * 64, samples=samples, model=f"org/model{number % 2}",
        )  # fmt: skip
    start = time.perf_counter()
    comparison = compared(tmp_path)
    assert time.perf_counter() - start < 20
    assert len(comparison.panels) == 10
    assert len({row.file for row in comparison.rows}) == 10 * 4 * 25 + 2  # and none of two models
    assert comparison.tested == samples


@pytest.mark.slow
def test_the_command_starts_without_torch_and_without_sacrebleu(sweep):
    code = (
        "import sys\nfrom lsn_eval.cli import app\n"
        f"try:\n    app(['compare', {str(sweep)!r}, '--resamples', '100', '--permutations', '99'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'transformers', 'lm_eval', 'datasets', 'matplotlib', 'pandas', 'sacrebleu',"
        " 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_the_commands_of_the_docs_work(tmp_path, monkeypatch):
    write_sweep(tmp_path / "sweep", metric="byte_perplexity")
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"^lsn-eval compare (.+)$", PAGE, re.MULTILINE)
    assert len(lines) >= 5
    for line in lines:
        run(*line.split(), *QUICK)
    code = PAGE.partition("```python\n")[2].partition("```")[0]
    exec(code, {})
    assert (tmp_path / "board.md").read_text().startswith("**byte\\_perplexity of ppl")


def test_the_coverage_in_the_docs_is_the_one_that_was_measured():
    figures = json.loads((ROOT / "benchmarks" / "interval_coverage.json").read_text())
    for documents, shares in figures["coverage"].items():
        row = " | ".join([documents, *(f"{100 * share:.1f} %" for share in shares.values())])
        assert f"| {row} |" in PAGE.splitlines()
