"""`lsn_xnli_*` and `lsn_xquad_*` beside lm-eval's own tasks, on the same rows."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import types
from dataclasses import dataclass
from importlib import resources as installed
from itertools import groupby
from pathlib import Path
from typing import Any

import datasets
import lm_eval
import pytest
import transformers
from builders.our_tasks import task_manager, write_files
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from lsn_eval.errors import LsnError
from lsn_eval.lm_tasks import upstream
from lsn_eval.lm_tasks.squad_metrics import MLQA_LANGUAGES
from lsn_eval.lm_tasks.upstream import UpstreamError, UpstreamTask, upstream_languages
from lsn_eval.lm_tasks.xnli import XnliTask
from lsn_eval.storage.shipped import demo_model_dir

Rows = list[dict[str, Any]]
LABELS = ("entailment", "neutral", "contradiction")


def xnli_rows(*rows: tuple[str, str, str]) -> Rows:
    return [
        {"premise": premise, "hypothesis": hypothesis, "label": LABELS.index(label)}
        for premise, hypothesis, label in rows
    ]


def xquad_rows(*rows: tuple[str, str, str]) -> Rows:
    """As the Hub has them: without the white space of `RELEASED`, before which answers start."""
    return [
        {
            "id": str(number), "context": context, "question": question,
            "answers": {"text": [answer], "answer_start": [RELEASED.format(context).index(answer)]},
        }
        for number, (context, question, answer) in enumerate(rows)
    ]  # fmt: skip


RELEASED = " {}\n"
XNLI = {
    "de": xnli_rows(
        ("Der Zug fährt nach Bern.", "Ein Zug fährt.", "entailment"),
        ("Der Zug fährt nach Bern.", "Die Fahrt dauert zwei Stunden.", "neutral"),
        ("Der Zug fährt nach Bern.", '"Kein Zug fährt nach Bern.', "contradiction"),
        ("Sie trank den ganzen Kaffee, den er gekocht hatte.", "Sie trank.", "entailment"),
        ("Im Garten schlafen Katzen.", "Es sind drei Katzen.", "neutral"),
        ("Niemand war da", "Das Haus war voll!", "contradiction"),
        ("Es regnet", "Es ist Herbst und windig.", "neutral"),
    ),
    "fr": xnli_rows(
        ("Le train part à midi.", "Le train part.", "entailment"),
        ("Le train part à midi.", "Il est plein.", "neutral"),
        ("Le train part à midi.", "Aucun train ne part.", "contradiction"),
        ("« Elle » a bu tout le café qu'il avait préparé hier.", "Elle a bu.", "entailment"),
        ("Il pleut", "C'est l'automne.", "neutral"),
    ),
    "zh": xnli_rows(
        ("火车中午开往北京。", "火车会开。", "entailment"),
        ("火车中午开往北京。", "车上很挤。", "neutral"),
        ("火车中午开往北京。", "没有火车。", "contradiction"),
        ("她喝完了他昨天煮的咖啡。", "她喝了咖啡。", "entailment"),
    ),
}
XQUAD = {
    "de": xquad_rows(
        ("Bern liegt an der Aare.", "Woran liegt Bern?", "der Aare"),
        ("Bern liegt an der Aare.", "Was liegt da?", "Bern"),
        ("Der Bau begann 1421.", "Wann begann er?", "1421"),
        ("Die Aare fließt in den Rhein.", "Wohin?", "in den Rhein"),
        ("Die Aare fließt in den Rhein.", "Was?", "Die Aare"),
    ),
    "zh": xquad_rows(
        ("北京是中国的首都。", "首都是哪里？", "北京"),
        ("北京是中国的首都。", "什么国家？", "中国"),
        ("长城很长。", "什么很长？", "长城"),
    ),
}


@dataclass(frozen=True)
class Family:
    """What there is to know of a task family of lm-eval's."""

    name: str
    rows: dict[str, Rows]
    """As the Hub has them, by language."""
    asked: tuple[str, str]
    """Name and configuration on the Hub, the latter with `{}` for the language."""
    languages: int
    """Of lm-eval's."""
    metrics: tuple[str, ...]
    not_theirs: tuple[str, ...]
    """Parts of a definition that are no copy of lm-eval's."""
    missing: str
    """What the error about a missing file names."""

    def names(self, languages=None) -> list[str]:
        return [f"{self.name}_{language}" for language in languages or self.rows]

    def more_metrics(self, language: str) -> list[str]:
        """Those that lm-eval's task does not have."""
        if self.name == "xnli":
            return []
        more = ["script_match", "language_match", "no_answer"]
        return [*more, "f1_mlqa"] if language in MLQA_LANGUAGES else more


_RENAMED = ("task", "metadata", "dataset_kwargs", "tag")
FAMILIES = [
    Family("xnli", XNLI, ("facebook/xnli", "{}"), 15, ("acc",), _RENAMED,
           r"xnli\.dev\.tsv or .*de\.validation\.jsonl.*XNLI-1\.0\.zip"),
    Family("xquad", XQUAD, ("google/xquad", "xquad.{}"), 12, ("exact_match", "f1"),
           (*_RENAMED, "process_results"), r"xquad\.de\.json or .*jsonl.*google-deepmind/xquad"),
]  # fmt: skip
both = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)

# The columns of XNLI's release; those that nothing reads are filled with a word.
HEADER = [
    "language", "gold_label", "sentence1_binary_parse", "sentence2_binary_parse",
    "sentence1_parse", "sentence2_parse", "sentence1", "sentence2", "promptID", "pairID", "genre",
    "label1", "label2", "label3", "label4", "label5", "sentence1_tokenized", "sentence2_tokenized",
    "match",
]  # fmt: skip


def released() -> dict[str, str]:
    """Both releases: XNLI's with the languages' rows in turn, and a training file for German."""
    lines = ["\t".join(HEADER)]
    for number in range(7):
        for language, rows in XNLI.items():
            for row in rows[number : number + 1]:
                columns = dict.fromkeys(HEADER, "unread") | {
                    "language": language, "gold_label": LABELS[row["label"]],
                    "sentence1": row["premise"], "sentence2": row["hypothesis"],
                }  # fmt: skip
                lines.append("\t".join(columns[name] for name in HEADER))
    training = ["premise\thypo\tlabel"]
    for row in reversed(XNLI["de"]):
        label = LABELS[row["label"]].replace("contradiction", "contradictory")
        training.append(f"{row['premise']} Ja.\t{row['hypothesis']}\t{label}")
    files = {
        "XNLI-1.0/xnli.dev.tsv": "\n".join(lines) + "\n",
        "XNLI-MT-1.0/multinli/multinli.train.de.tsv": "\n".join(training) + "\n",
    }
    for language, rows in XQUAD.items():
        paragraphs = []
        for context, questions in groupby(rows, key=lambda row: row["context"]):
            qas = [
                {
                    "id": row["id"], "question": RELEASED.format(row["question"]),
                    "answers": [{"text": f"{row['answers']['text'][0]} ",
                                 "answer_start": row["answers"]["answer_start"][0]}],
                }
                for row in questions
            ]  # fmt: skip
            paragraphs.append({"context": RELEASED.format(context), "qas": qas})
        articles = [{"title": "", "paragraphs": part} for part in (paragraphs[:1], paragraphs[1:])]
        files[f"xquad/xquad.{language}.json"] = json.dumps({"version": "1.1", "data": articles})
    return files


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return write_files(tmp_path_factory.mktemp("data"), released())


@pytest.fixture
def hub(monkeypatch) -> list[tuple[str, str]]:
    """`datasets.load_dataset` as lm-eval's own tasks call it; what it was asked for."""
    asked = []

    def load(path: str, name: str, **kwargs: object) -> dict[str, datasets.Dataset]:
        asked.append((path, name))
        (family,) = (family for family in FAMILIES if family.asked[0] == path)
        rows = family.rows.get(name.rpartition(".")[2], family.rows["de"])
        splits = {"validation": datasets.Dataset.from_list(rows)}
        if family.name == "xnli":
            shown = [row | {"premise": row["premise"] + " Ja."} for row in reversed(rows)]
            splits["train"] = datasets.Dataset.from_list(shown)
        return splits

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.delenv("LSN_EVAL_DATA", raising=False)
    return asked


@pytest.fixture(autouse=True)
def squad_metrics(monkeypatch):
    """The module that lm-eval's own XQuAD imports: transformers' where it is, else a stand-in.

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


def manager(family: str, root: Path | None) -> TaskManager:
    """Ours and lm-eval's own."""
    own = Path(str(installed.files("lm_eval.tasks").joinpath(family)))
    return task_manager(family, also=[own], **({"data_root": str(root)} if root else {}))


def evaluate(tasks: list[str], root: Path | None, model: str | LM = "hf", shots: int | None = None):
    arguments = {"pretrained": str(demo_model_dir())}
    if model == "lsn_hf":
        import lsn_eval.harness.lsn_hf  # noqa: F401

        arguments |= {"mask": "demo/planted", "condition": "de:zero"}
    family = tasks[0].removeprefix("lsn_").partition("_")[0]
    return lm_eval.simple_evaluate(
        model=model, model_args=arguments, tasks=tasks, batch_size=4, device="cpu",
        task_manager=manager(family, root), num_fewshot=shots, bootstrap_iters=0, verbosity="ERROR",
        gen_kwargs={"max_gen_toks": 12} if family == "xquad" else None,
    )  # fmt: skip


def samples(family: Family, results: dict, task: str) -> list:
    keys = ("doc_id", "arguments", "resps", "filtered_resps", "target", *family.metrics)
    return [[sample[key] for key in keys] for sample in results["samples"][task]]


def numbers(family: Family, results: dict, task: str) -> dict:
    """Those that lm-eval's own task has; ours has its further metrics alone beside them."""
    measured = results["results"][task]
    more = family.more_metrics(task[-2:]) if task.startswith("lsn_") else []
    return {
        name: value
        for name, value in measured.items()
        if name not in ("alias", "name") and name.partition(",")[0].removesuffix("_stderr") not in more
    }  # fmt: skip


@both
@pytest.mark.parametrize("model", ["hf", "lsn_hf"])
@pytest.mark.slow
def test_numbers_and_samples_equal_those_of_lm_evals_own_task(family, model, root, hub):
    names = family.names()
    own = evaluate(names, root, model)
    assert hub == [(family.asked[0], family.asked[1].format(language)) for language in family.rows]
    ours = evaluate([f"lsn_{name}" for name in names], root, model)
    assert len(hub) == len(names), "ours came from files"
    for name, rows in zip(names, family.rows.values(), strict=True):
        assert len(own["samples"][name]) == len(rows)
        assert numbers(family, ours, f"lsn_{name}") == numbers(family, own, name)
        assert samples(family, ours, f"lsn_{name}") == samples(family, own, name)
        for metric, better in own["higher_is_better"][name].items():
            assert ours["higher_is_better"][f"lsn_{name}"][metric] == better
    if model == "lsn_hf":
        task = f"lsn_{names[0]}"
        plain = samples(family, evaluate([task], root), task)
        assert plain != samples(family, ours, task), "under the condition"


@both
@pytest.mark.slow
def test_few_shot_examples_are_those_of_lm_evals_own_task(family, root, hub):
    own = f"{family.name}_de"
    results = evaluate([own, f"lsn_{own}"], root, shots=2)
    assert samples(family, results, f"lsn_{own}") == samples(family, results, own)


@pytest.mark.slow
def test_few_shot_examples_of_xnli_come_from_its_training_file(root):
    results = evaluate(["lsn_xnli_de"], root, shots=2)
    prompt = results["samples"]["lsn_xnli_de"][0]["arguments"][0][0]
    assert prompt.count(" Ja.") >= 2
    with pytest.raises(LsnError, match=r"multinli\.train\.fr\.tsv.*XNLI-MT-1\.0\.zip"):
        evaluate(["lsn_xnli_fr"], root, shots=2)


@both
@pytest.mark.slow
def test_every_definition_is_lm_evals_and_without_local_data_so_are_the_rows(family, hub):
    languages = upstream_languages(family.name)
    assert len(languages) == family.languages
    names = family.names(languages)
    loaded = manager(family.name, None).load([*names, *(f"lsn_{name}" for name in names)])["tasks"]
    assert hub[: len(names)] == hub[len(names) :], "the Hub is asked the same"
    for name, language in zip(names, languages, strict=True):
        assert list(loaded[f"lsn_{name}"].eval_docs) == list(loaded[name].eval_docs)
        own, ours = loaded[name].dump_config(), loaded[f"lsn_{name}"].dump_config()
        assert ours["metadata"]["upstream_version"] == own["metadata"]["version"]
        if family.name == "xquad":
            assert ours["metadata"]["language_identification"].startswith("lid.176.ftz")
        shared = len(own["metric_list"])
        more = [entry["metric"] for entry in ours["metric_list"][shared:]]
        assert more == family.more_metrics(language)
        ours["metric_list"] = ours["metric_list"][:shared]
        for config in (own, ours):
            for key in family.not_theirs:
                config.pop(key, None)
        assert ours == own


class Answers(LM):
    """A model that knows the answers, more or less."""

    def generate_until(self, requests, disable_tqdm: bool = False) -> list[str]:
        answers = [(request.doc_id, request.doc["answers"]["text"][0]) for request in requests]
        return [(answer, f"the {answer}!", f"{answer} x", "")[i % 4] for i, answer in answers]

    def loglikelihood(self, requests):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


@pytest.mark.slow
def test_right_and_half_right_answers_score_as_in_lm_evals_own_task(root, hub):
    for name, exact, harmonic in (
        ("xquad_de", 3 / 5, (1 + 1 + 2 / 3 + 0 + 1) / 5),
        ("xquad_zh", 2 / 3, (1 + 1 + 2 / 3) / 3),
    ):
        results = evaluate([name, f"lsn_{name}"], root, Answers())["results"]
        own, ours = (
            {metric: results[task][f"{metric},none"] for metric in ("exact_match", "f1")}
            for task in (name, f"lsn_{name}")
        )
        assert ours == own == pytest.approx({"exact_match": exact, "f1": harmonic})


@pytest.mark.slow
def test_the_group_averages_over_all_questions_as_lm_evals_does(tmp_path):
    rows = {language: XNLI.get(language, XNLI["de"][:1]) for language in upstream_languages("xnli")}
    for language, lines in rows.items():
        text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
        write_files(tmp_path, {f"xnli/{language}.validation.jsonl": text})
    results = evaluate(["lsn_xnli"], tmp_path)
    answers = [sample["acc"] for x in rows for sample in results["samples"][f"lsn_xnli_{x}"]]
    assert 0 < sum(answers) < len(answers) == sum(map(len, rows.values()))
    assert math.isclose(results["results"]["lsn_xnli"]["acc,none"], sum(answers) / len(answers))


@both
def test_json_lines_and_the_release_give_the_same_rows(family, root, tmp_path):
    rows = family.rows["de"]
    if family.name == "xnli":  # labels by name, as well as by number
        rows = [row | {"label": LABELS[row["label"]]} for row in rows]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    write_files(tmp_path, {f"{family.name}/de.validation.jsonl": lines})
    task = f"lsn_{family.name}_de"
    for folder in (root, tmp_path):
        loaded = manager(family.name, folder).load([task])["tasks"][task]
        assert list(loaded.eval_docs) == family.rows["de"]


@both
def test_a_missing_file_is_an_error_that_says_what_was_looked_for(family, tmp_path):
    with pytest.raises(LsnError, match=family.missing):
        manager(family.name, tmp_path).load([f"lsn_{family.name}_de"])


@pytest.mark.slow
def test_a_changed_layout_upstream_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    class Renamed(UpstreamTask):
        FAMILY = "xnlj"

    config = {"task": "lsn_xnlj_de", "dataset_kwargs": {"language": "de"}}
    with pytest.raises(UpstreamError, match=r"xnlj_de\.yaml does not exist.*0\.4\.13"):
        Renamed(config)
    with pytest.raises(UpstreamError, match="names no language"):
        XnliTask({"task": "lsn_xnli_de"})

    monkeypatch.setattr(upstream.resources, "files", lambda package: tmp_path)
    (tmp_path / "xnli").mkdir()
    for content, message in (
        (b"task: xnli_ger\n", "defines 'xnli_ger', 'xnli_de' was expected"),
        (b"task: xnli_de\nprocess_docs: !function a.docs\n", "functions under process_docs"),
        (b"task: xnli_de\ninclude: gone_yaml\n", "gone_yaml does not exist"),
        (b"task: [", "is no YAML"),
        (b"[" * 9_999, "is no YAML"),
        (b"task: \xe4", "not UTF-8"),
        (b"- task", "holds no task"),
    ):
        (tmp_path / "xnli" / "xnli_de.yaml").write_bytes(content)
        with pytest.raises(UpstreamError, match=message):
            XnliTask(config)


def test_what_a_yaml_of_ours_says_wins(hub):
    task = XnliTask(
        {
            "task": "lsn_xnli_de", "dataset_kwargs": {"language": "de"}, "doc_to_text": "Frage:",
            "metadata": {"version": 2.0},
        }
    )  # fmt: skip
    assert task.doc_to_text(task.eval_docs[0]) == "Frage:"
    assert task.VERSION == 2.0
    assert task.config.metadata["upstream_version"] == 1.0
