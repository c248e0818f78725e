"""`lsn_xquad_*` beside lm-eval's own `xquad_*`, on the same questions, and on the released ones."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from importlib import resources as installed
from pathlib import Path

import datasets
import lm_eval
import pytest
import torch
import transformers
from builders.models import tiny_config
from builders.our_tasks import load_task, task_manager, write_files
from builders.reference import REFERENCE, needs_reference
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from lsn_eval.errors import LsnError
from lsn_eval.lm_tasks.squad_metrics import MLQA_LANGUAGES
from lsn_eval.lm_tasks.upstream import upstream_languages
from lsn_eval.lm_tasks.xquad import language_of_answer, scorer, squad_rows
from lsn_eval.storage.shipped import demo_model_dir

UPSTREAM = Path(str(installed.files("lm_eval.tasks").joinpath("xquad")))

# Context, then questions with their answers; white space that the Hub's copy does not have.
PARAGRAPHS = {
    "de": [
        ("Bern liegt an der Aare. ", [("Woran liegt Bern? ", "der Aare"), ("Was liegt da?", "Bern")]),
        ("Der Bau begann 1421.\n", [("Wann begann er?", "1421")]),
        ("Die Aare fließt in den Rhein.", [("Wohin?", "in den Rhein"), ("Was?", "Die Aare")]),
    ],
    "zh": [
        (" 北京是中国的首都。", [("首都是哪里？", "北京"), ("什么国家？ ", "中国")]),
        ("长城很长。", [("什么很长？", "长城")]),
    ],
}  # fmt: skip


def write_release(root: Path) -> Path:
    for language, paragraphs in PARAGRAPHS.items():
        nested = []
        for number, (context, questions) in enumerate(paragraphs):
            qas = [
                {
                    "id": f"{number}-{place}",
                    "question": question,
                    "answers": [{"text": answer, "answer_start": context.index(answer)}],
                }
                for place, (question, answer) in enumerate(questions)
            ]
            nested.append({"context": context, "qas": qas})
        articles = [
            {"title": "One", "paragraphs": nested[:1]},
            {"title": "", "paragraphs": nested[1:]},
        ]
        text = json.dumps({"version": "1.1", "data": articles})
        write_files(root, {f"xquad/xquad.{language}.json": text})
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return write_release(tmp_path_factory.mktemp("data"))


@pytest.fixture
def hub(monkeypatch) -> list[tuple[str, str]]:
    """`datasets.load_dataset` as lm-eval's own task calls it; what it was asked for."""
    asked = []

    def load(path: str, name: str, **kwargs: object) -> dict[str, datasets.Dataset]:
        asked.append((path, name))
        rows = [
            {
                "id": f"{number}-{place}",
                "context": context.strip(),
                "question": question.strip(),
                "answers": {"text": [answer], "answer_start": [context.index(answer)]},
            }
            for number, (context, questions) in enumerate(
                PARAGRAPHS.get(name.removeprefix("xquad."), PARAGRAPHS["de"])
            )
            for place, (question, answer) in enumerate(questions)
        ]
        return {"validation": datasets.Dataset.from_list(rows)}

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.delenv("LSN_EVAL_DATA", raising=False)
    return asked


@pytest.fixture
def squad_metrics(monkeypatch):
    """The module that lm-eval's own task imports: transformers' where it is, else a stand-in.

    That ours equal transformers' on many thousand answers is `scripts/xquad_parity.py`'s to show.
    """
    if importlib.util.find_spec("transformers.data.metrics") is None:
        from builders.squad import plain_scores

        package = types.ModuleType("transformers.data.metrics")
        module = types.ModuleType("transformers.data.metrics.squad_metrics")
        module.compute_exact = lambda reference, answer: plain_scores(reference, answer)[0]
        module.compute_f1 = lambda reference, answer: plain_scores(reference, answer)[1]
        package.squad_metrics = module
        monkeypatch.setitem(sys.modules, package.__name__, package)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(transformers.data, "metrics", package, raising=False)
    yield
    sys.modules.pop("lm_eval.tasks.xquad.utils", None)


def manager(root: Path | None, own: bool = False) -> TaskManager:
    metadata = {"data_root": str(root)} if root else {}
    return task_manager("xquad", also=[UPSTREAM] if own else [], **metadata)


@pytest.fixture(scope="module")
def long_model(tmp_path_factory) -> str:
    """The demo model's tokenizer and a tiny model that reads 1,024 tokens."""
    folder = tmp_path_factory.mktemp("long")
    tokenizer = transformers.AutoTokenizer.from_pretrained(demo_model_dir())
    config = tiny_config("llama")
    config.vocab_size, config.max_position_embeddings = len(tokenizer), 1024
    config.eos_token_id = config.pad_token_id = tokenizer.eos_token_id
    torch.manual_seed(3)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def evaluate(tasks: list[str], tasks_of: TaskManager, model: str = "hf", **arguments):
    pretrained = arguments.pop("pretrained", str(demo_model_dir()))
    if model == "lsn_hf":
        import lsn_eval.harness.lsn_hf  # noqa: F401

        arguments |= {"mask": "demo/planted", "condition": "de:zero"}
    settings = {name: arguments.pop(name) for name in ("limit", "num_fewshot") if name in arguments}
    return lm_eval.simple_evaluate(
        model=model, model_args={"pretrained": pretrained, **arguments}, tasks=tasks, batch_size=3,
        device="cpu", task_manager=tasks_of, gen_kwargs={"max_gen_toks": 12}, bootstrap_iters=0,
        verbosity="ERROR", **settings,
    )  # fmt: skip


def samples(results: dict, task: str) -> list:
    keys = ("doc_id", "arguments", "resps", "filtered_resps", "target", "exact_match", "f1")
    return [[sample[key] for key in keys] for sample in results["samples"][task]]


@pytest.mark.parametrize("model", ["hf", "lsn_hf"])
@pytest.mark.slow
def test_answers_and_scores_equal_those_of_lm_evals_own_task(model, root, hub, squad_metrics):
    own = evaluate(["xquad_de", "xquad_zh"], manager(root, own=True), model)
    assert hub == [("google/xquad", "xquad.de"), ("google/xquad", "xquad.zh")]
    ours = evaluate(["lsn_xquad_de", "lsn_xquad_zh"], manager(root), model)
    assert len(hub) == 2, "ours came from files"
    for name, count in (("xquad_de", 5), ("xquad_zh", 3)):
        assert len(own["samples"][name]) == count
        assert samples(ours, f"lsn_{name}") == samples(own, name)
        for metric in ("exact_match", "f1"):
            score = own["results"][name][f"{metric},none"]
            assert ours["results"][f"lsn_{name}"][f"{metric},none"] == score
    if model == "lsn_hf":
        plain = evaluate(["lsn_xquad_de"], manager(root))
        assert samples(plain, "lsn_xquad_de") != samples(ours, "lsn_xquad_de")


class Answers(LM):
    """A model that knows the answers, more or less."""

    def generate_until(self, requests, disable_tqdm: bool = False) -> list[str]:
        answers = [(request.doc_id, request.doc["answers"]["text"][0]) for request in requests]
        return [(answer, f"the {answer}!", f"{answer} x", "")[i % 4] for i, answer in answers]

    def loglikelihood(self, requests):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


@pytest.mark.slow
def test_right_and_half_right_answers_score_as_in_lm_evals_own_task(root, hub, squad_metrics):
    def score(tasks_of: TaskManager, task: str) -> dict:
        results = lm_eval.simple_evaluate(
            model=Answers(), tasks=[task], task_manager=tasks_of, bootstrap_iters=0
        )
        return {name: results["results"][task][f"{name},none"] for name in ("exact_match", "f1")}

    for name, exact, harmonic in (
        ("xquad_de", 3 / 5, (1 + 1 + 2 / 3 + 0 + 1) / 5),
        ("xquad_zh", 2 / 3, (1 + 1 + 2 / 3) / 3),
    ):
        ours = score(manager(root), f"lsn_{name}")
        assert ours == score(manager(root, own=True), name)
        assert ours == pytest.approx({"exact_match": exact, "f1": harmonic})


@pytest.mark.slow
def test_few_shot_examples_are_those_of_lm_evals_own_task(root, hub, squad_metrics):
    own = evaluate(["xquad_de"], manager(root, own=True), num_fewshot=1)
    ours = evaluate(["lsn_xquad_de"], manager(root), num_fewshot=1)
    assert samples(ours, "lsn_xquad_de") == samples(own, "xquad_de")


@pytest.mark.slow
def test_every_definition_is_lm_evals(hub, squad_metrics):
    languages = upstream_languages("xquad")
    assert len(languages) == 12
    names = [f"xquad_{language}" for language in languages]
    loaded = manager(None, own=True).load([*names, *(f"lsn_{name}" for name in names)])["tasks"]
    assert hub[: len(names)] == hub[len(names) :], "without local data the Hub is asked the same"
    for name, language in zip(names, languages, strict=True):
        own, ours = loaded[name].dump_config(), loaded[f"lsn_{name}"].dump_config()
        metrics = [entry["metric"] for entry in ours["metric_list"]]
        extra = ["f1_mlqa"] if language in MLQA_LANGUAGES else []
        assert metrics[2:] == ["script_match", "language_match", "no_answer", *extra]
        ours["metric_list"] = ours["metric_list"][:2]
        assert ours["metadata"]["language_identification"].startswith("lid.176.ftz")
        for config in (own, ours):
            for key in ("task", "metadata", "dataset_kwargs", "tag", "process_results"):
                config.pop(key, None)
        assert ours == own


@pytest.mark.parametrize(
    ("answer", "language", "script", "in_language", "empty"),
    [
        ("der Fluss, der durch die Stadt fließt", "de", 1, 1, 0),
        ("der Fluss, der durch die Stadt fließt", "es", 1, 0, 0),
        ("der Fluss, der durch die Stadt fließt", "zh", 0, 0, 0),
        ("北京是中华人民共和国的首都", "zh", 1, 1, 0),
        ("北京是中华人民共和国的首都", "de", 0, 0, 0),
        ("1421", "zh", 1, 1, 0),
        (" \n", "de", 0, 0, 1),
        ("", "zh", 0, 0, 1),
    ],
)
def test_language_and_script_of_an_answer(answer, language, script, in_language, empty):
    assert language_of_answer(answer, language) == {
        "script_match": script,
        "language_match": in_language,
        "no_answer": empty,
    }


def test_a_scorer_scores_against_the_first_answer():
    doc = {"answers": {"text": ["der Aare", "Aare"], "answer_start": [0, 0]}}
    scores = scorer("de")(doc, ["Aare."])
    assert scores["exact_match"] == 0
    assert scores["f1"] == pytest.approx(2 / 3)
    assert scores["f1_mlqa"] == 1.0
    assert "f1_mlqa" not in scorer("ru")(doc, ["Aare"])


def test_missing_files_are_errors_that_say_where_to_get_them(tmp_path):
    with pytest.raises(LsnError, match=r"xquad\.de\.json or .*jsonl.*google-deepmind/xquad"):
        manager(tmp_path).load(["lsn_xquad_de"])
    with pytest.raises(LsnError, match=r"gone\.bin does not exist"):
        load_task("lsn_xquad_de", lid="gone.bin")


def test_json_lines_and_the_release_give_the_same_rows(root, tmp_path):
    rows = list(squad_rows(root / "xquad" / "xquad.de.json"))
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    write_files(tmp_path, {"xquad/de.validation.jsonl": lines})
    loaded = [load_task("lsn_xquad_de", data_root=str(folder)) for folder in (root, tmp_path)]
    assert list(loaded[0].eval_docs) == list(loaded[1].eval_docs) == rows
    assert rows[0]["question"] == "Woran liegt Bern?"


@needs_reference
@pytest.mark.parametrize("path", sorted((REFERENCE / "xquad").glob("*.json")), ids=lambda p: p.name)
def test_the_released_files_are_read_whole(path):
    rows = list(squad_rows(path))
    assert len(rows) == len({row["id"] for row in rows}) == 1190
    assert all(row["answers"]["text"][0] in row["context"] for row in rows)
    assert all(row["context"] == row["context"].strip() for row in rows)


@needs_reference
def test_released_questions_run_to_a_number(long_model):
    tasks = ["lsn_xquad_de", "lsn_xquad_zh"]
    results = evaluate(tasks, manager(REFERENCE), pretrained=long_model, limit=3)
    demo = evaluate(tasks, manager(REFERENCE), "lsn_hf", limit=3)  # truncates: it reads 256 tokens
    for task in tasks:
        assert results["n-samples"][task] == {"original": 1190, "effective": 3}
        for run in (results, demo):
            for metric in ("exact_match", "f1", "script_match", "language_match", "no_answer"):
                assert 0 <= run["results"][task][f"{metric},none"] <= 1
