"""`lsn_xnli_*` beside lm-eval's own `xnli_*`, on the same rows."""

from __future__ import annotations

import json
import math
from importlib import resources as installed
from pathlib import Path

import datasets
import lm_eval
import pytest
from builders.our_tasks import task_manager, write_files
from lm_eval.tasks import TaskManager

from lsn_eval.errors import LsnError
from lsn_eval.lm_tasks import upstream
from lsn_eval.lm_tasks.upstream import UpstreamError, UpstreamTask, upstream_languages
from lsn_eval.lm_tasks.xnli import XnliTask, dev_rows
from lsn_eval.storage.shipped import demo_model_dir

UPSTREAM = Path(str(installed.files("lm_eval.tasks").joinpath("xnli")))

PAIRS = {
    "de": [
        ("Der Zug fährt nach Bern.", "Ein Zug fährt.", "entailment"),
        ("Der Zug fährt nach Bern.", "Die Fahrt dauert zwei Stunden.", "neutral"),
        ("Der Zug fährt nach Bern.", '"Kein Zug fährt nach Bern.', "contradiction"),
        ("Sie trank den ganzen Kaffee, den er gekocht hatte.", "Sie trank.", "entailment"),
        ("Im Garten schlafen Katzen.", "Es sind drei Katzen.", "neutral"),
        ("Niemand war da", "Das Haus war voll!", "contradiction"),
        ("Es regnet", "Es ist Herbst und windig.", "neutral"),
    ],
    "fr": [
        ("Le train part à midi.", "Le train part.", "entailment"),
        ("Le train part à midi.", "Il est plein.", "neutral"),
        ("Le train part à midi.", "Aucun train ne part.", "contradiction"),
        ("« Elle » a bu tout le café qu'il avait préparé hier.", "Elle a bu.", "entailment"),
        ("Il pleut", "C'est l'automne.", "neutral"),
    ],
    "zh": [
        ("火车中午开往北京。", "火车会开。", "entailment"),
        ("火车中午开往北京。", "车上很挤。", "neutral"),
        ("火车中午开往北京。", "没有火车。", "contradiction"),
        ("她喝完了他昨天煮的咖啡。", "她喝了咖啡。", "entailment"),
    ],
}
LABELS = {"entailment": 0, "neutral": 1, "contradiction": 2}

# The release's columns; those that nothing reads are filled with a word.
HEADER = [
    "language", "gold_label", "sentence1_binary_parse", "sentence2_binary_parse",
    "sentence1_parse", "sentence2_parse", "sentence1", "sentence2", "promptID", "pairID", "genre",
    "label1", "label2", "label3", "label4", "label5", "sentence1_tokenized", "sentence2_tokenized",
    "match",
]  # fmt: skip


def write_release(root: Path) -> None:
    """`xnli.dev.tsv` with the languages' rows in turn, and a training file for German."""
    lines = ["\t".join(HEADER)]
    for number in range(7):
        for language, pairs in PAIRS.items():
            if number < len(pairs):
                premise, hypothesis, label = pairs[number]
                row = dict.fromkeys(HEADER, "unread") | {
                    "language": language,
                    "gold_label": label,
                    "sentence1": premise,
                    "sentence2": hypothesis,
                    "pairID": str(number),
                }
                lines.append("\t".join(row[column] for column in HEADER))
    training = ["premise\thypo\tlabel"]
    for premise, hypothesis, label in reversed(PAIRS["de"]):
        training.append(
            f"{premise} Ja.\t{hypothesis}\t{label.replace('contradiction', 'contradictory')}"
        )
    write_files(root, {
        "XNLI-1.0/xnli.dev.tsv": "\n".join(lines) + "\n",
        "XNLI-MT-1.0/multinli/multinli.train.de.tsv": "\n".join(training) + "\n",
    })  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_release(folder)
    return folder


@pytest.fixture
def hub(monkeypatch) -> list[tuple[str, str]]:
    """`datasets.load_dataset` as lm-eval's own task calls it; what it was asked for."""
    asked = []

    def load(path: str, name: str | None = None, **kwargs: object) -> dict[str, datasets.Dataset]:
        asked.append((path, name))

        def rows(pairs, ending=""):
            return datasets.Dataset.from_list(
                [
                    {"premise": premise + ending, "hypothesis": hypothesis, "label": LABELS[label]}
                    for premise, hypothesis, label in pairs
                ]
            )

        pairs = PAIRS[str(name)]
        return {"validation": rows(pairs), "train": rows(reversed(pairs), " Ja.")}

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.delenv("LSN_EVAL_DATA", raising=False)
    return asked


def manager(root: Path | None) -> TaskManager:
    return task_manager("xnli", also=[UPSTREAM], **({"data_root": str(root)} if root else {}))


def evaluate(tasks: list[str], root: Path | None, model: str = "hf", shots: int | None = None):
    arguments = {"pretrained": str(demo_model_dir())}
    if model == "lsn_hf":
        import lsn_eval.harness.lsn_hf  # noqa: F401

        arguments |= {"mask": "demo/planted", "condition": "de:zero"}
    return lm_eval.simple_evaluate(
        model=model, model_args=arguments, tasks=tasks, batch_size=4, device="cpu",
        task_manager=manager(root), num_fewshot=shots, bootstrap_iters=0, verbosity="ERROR",
    )  # fmt: skip


def numbers(results: dict, task: str) -> dict:
    measured = results["results"][task]
    return {name: value for name, value in measured.items() if name not in ("alias", "name")}


def samples(results: dict, task: str) -> list:
    return [
        [sample[key] for key in ("doc_id", "arguments", "resps", "filtered_resps", "target", "acc")]
        for sample in results["samples"][task]
    ]


@pytest.mark.parametrize("model", ["hf", "lsn_hf"])
@pytest.mark.slow
def test_numbers_and_samples_equal_those_of_lm_evals_own_task(model, root, hub):
    names = [f"xnli_{language}" for language in PAIRS]
    own = evaluate(names, root, model)
    assert hub == [("facebook/xnli", language) for language in PAIRS]
    ours = evaluate([f"lsn_{name}" for name in names], root, model)
    assert len(hub) == len(PAIRS), "ours came from files"
    for language, name in zip(PAIRS, names, strict=True):
        assert len(own["samples"][name]) == len(PAIRS[language])
        assert numbers(ours, f"lsn_{name}") == numbers(own, name)
        assert samples(ours, f"lsn_{name}") == samples(own, name)
        assert ours["higher_is_better"][f"lsn_{name}"] == own["higher_is_better"][name]
    if model == "lsn_hf":
        plain = evaluate(["lsn_xnli_de"], root)
        assert samples(plain, "lsn_xnli_de") != samples(ours, "lsn_xnli_de"), "under the condition"


@pytest.mark.slow
def test_few_shot_examples_are_those_of_lm_evals_own_task(root, hub):
    results = evaluate(["xnli_de", "lsn_xnli_de"], root, shots=2)
    assert samples(results, "lsn_xnli_de") == samples(results, "xnli_de")
    prompt = results["samples"]["lsn_xnli_de"][0]["arguments"][0][0]
    assert prompt.count(" Ja.") >= 2, "examples come from the training file"
    with pytest.raises(LsnError, match=r"multinli\.train\.fr\.tsv.*XNLI-MT-1\.0\.zip"):
        evaluate(["lsn_xnli_fr"], root, shots=2)


def test_the_hub_is_used_without_local_data(hub):
    own, ours = (manager(None).load([task])["tasks"][task] for task in ("xnli_zh", "lsn_xnli_zh"))
    assert hub == [("facebook/xnli", "zh")] * 2
    assert list(ours.eval_docs) == list(own.eval_docs)


@pytest.mark.slow
def test_every_definition_is_lm_evals(hub, monkeypatch):
    languages = upstream_languages("xnli")
    assert len(languages) == 15
    monkeypatch.setitem(PAIRS, "any", PAIRS["de"])
    for language in set(languages) - set(PAIRS):
        monkeypatch.setitem(PAIRS, language, PAIRS["de"])
    names = [f"xnli_{language}" for language in languages]
    loaded = manager(None).load([*names, *(f"lsn_{name}" for name in names)])["tasks"]
    for name in names:
        own, ours = loaded[name].dump_config(), loaded[f"lsn_{name}"].dump_config()
        assert ours["metadata"]["upstream_version"] == own["metadata"]["version"]
        for config in (own, ours):
            for key in ("task", "metadata", "dataset_kwargs", "tag"):
                config.pop(key, None)
        assert ours == own


@pytest.mark.slow
def test_the_group_averages_over_all_questions_as_lm_evals_does(root, hub, tmp_path):
    languages = upstream_languages("xnli")
    for language in languages:
        pairs = PAIRS.get(language, PAIRS["de"][:1])
        rows = [
            {"premise": premise, "hypothesis": hypothesis, "label": LABELS[label]}
            for premise, hypothesis, label in pairs
        ]
        text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        write_files(tmp_path, {f"xnli/{language}.validation.jsonl": text})
    results = evaluate(["lsn_xnli"], tmp_path)
    right = sum(
        sample["acc"]
        for language in languages
        for sample in results["samples"][f"lsn_xnli_{language}"]
    )
    count = sum(len(PAIRS.get(language, "x")) for language in languages)
    assert 0 < right < count
    assert math.isclose(results["results"]["lsn_xnli"]["acc,none"], right / count)


def test_json_lines_and_the_release_give_the_same_rows(root, tmp_path):
    rows = [
        {"premise": premise, "hypothesis": hypothesis, "label": label}
        for premise, hypothesis, label in PAIRS["de"]  # labels by name, as well as by number
    ]
    write_files(tmp_path, {"xnli/de.validation.jsonl": "\n".join(map(json.dumps, rows))})
    loaded = [
        manager(folder).load(["lsn_xnli_de"])["tasks"]["lsn_xnli_de"] for folder in (root, tmp_path)
    ]
    assert list(loaded[0].eval_docs) == list(loaded[1].eval_docs)
    assert [row["label"] for row in loaded[0].eval_docs] == [0, 1, 2, 0, 1, 2, 1]
    assert loaded[0].eval_docs[2]["hypothesis"] == '"Kein Zug fährt nach Bern.'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("language\tgold_label\tsentence1\nde\tneutral\ta\n", "no column sentence2"),
        (
            "language\tgold_label\tsentence1\tsentence2\nde\tmaybe\ta\tb\n",
            "line 2: label 'maybe' is none of entailment, neutral, contradiction",
        ),
        (
            "language\tgold_label\tsentence1\tsentence2\nfr\tneutral\ta\tb\n",
            "no rows in 'de'; it has fr",
        ),
        ("language\tgold_label\tsentence1\tsentence2\nde\tneutral\ta\n", "line 2: fewer fields"),
        ("", "its first line names none"),
    ],
)
def test_a_damaged_file_is_an_error_that_says_where(tmp_path, text, message):
    path = tmp_path / "xnli.dev.tsv"
    path.write_text(text, "utf-8")
    with pytest.raises(LsnError, match=message):
        dev_rows(path, "de")


def test_a_missing_file_is_an_error_that_says_what_was_looked_for(tmp_path):
    with pytest.raises(
        LsnError, match=r"xnli\.dev\.tsv or .*de\.validation\.jsonl.*XNLI-1\.0\.zip"
    ):
        manager(tmp_path).load(["lsn_xnli_de"])


def test_a_changed_layout_upstream_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    class Renamed(UpstreamTask):
        FAMILY = "xnlj"

    config = {"task": "lsn_xnlj_de", "dataset_kwargs": {"language": "de"}}
    with pytest.raises(UpstreamError, match=r"xnlj_de\.yaml does not exist.*0\.4\.13"):
        Renamed(config)
    with pytest.raises(UpstreamError, match="names no language"):
        XnliTask({"task": "lsn_xnli_de"})

    (tmp_path / "xnli").mkdir()
    monkeypatch.setattr(upstream.resources, "files", lambda package: tmp_path)
    file = tmp_path / "xnli" / "xnli_de.yaml"
    for content, message in (
        (b"task: xnli_ger\n", "defines 'xnli_ger', 'xnli_de' was expected"),
        (
            b"task: xnli_de\nprocess_docs: !function elsewhere.docs\n",
            "functions under process_docs",
        ),
        (b"task: xnli_de\ninclude: gone_yaml\n", "gone_yaml does not exist"),
        (b"task: [", "is no YAML"),
        (b"[" * 9_999, "is no YAML"),
        (b"task: \xe4", "not UTF-8"),
        (b"- task", "holds no task"),
    ):
        file.write_bytes(content)
        with pytest.raises(UpstreamError, match=message):
            XnliTask(config)


def test_what_a_yaml_of_ours_says_wins(hub):
    task = XnliTask(
        {
            "task": "lsn_xnli_de",
            "dataset_kwargs": {"language": "de"},
            "doc_to_text": "Frage:",
            "metadata": {"version": 2.0},
        }
    )
    assert task.doc_to_text(task.eval_docs[0]) == "Frage:"
    assert task.VERSION == 2.0
    assert task.config.metadata["upstream_version"] == 1.0
