"""`lsn_mvicuna_*` through lm_eval, and the metric that anybody's YAML can name."""

from __future__ import annotations

import json
from pathlib import Path

import lm_eval
import pytest
import yaml
from builders.our_tasks import load_task, task_manager, write_files
from builders.reference import REFERENCE, needs_reference
from lm_eval.tasks import TaskManager

from lsn_eval.harness import plugin
from lsn_eval.language_scores import language_metrics
from lsn_eval.lm_tasks.language_accuracy import language_accuracy, ratio
from lsn_eval.lm_tasks.local_data import LocalDataError
from lsn_eval.storage.shipped import demo_model_dir

pytestmark = pytest.mark.slow

TASKS = Path(__file__).resolve().parents[2] / "tasks" / "mvicuna"
ARGUMENTS = {"pretrained": str(demo_model_dir()), "device": "cpu"}
METRICS = [
    "lsn_language_accuracy", "mean_length", "stopword_ratio", "script_share", "repetition", "empty",
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("LSN_EVAL_DATA", raising=False)


def manager(folder: Path = TASKS, **metadata) -> TaskManager:
    return task_manager(also=[folder], **ARGUMENTS, **metadata)


def load(root: Path, language: str = "de", **metadata):
    return load_task(f"lsn_mvicuna_{language}", data_root=str(root), **ARGUMENTS, **metadata)


def evaluate(tasks, task_manager, model="hf", **options):
    return lm_eval.simple_evaluate(
        model=model, model_args=ARGUMENTS, tasks=tasks, task_manager=task_manager,
        bootstrap_iters=0, **options,
    )  # fmt: skip


@needs_reference
def test_real_questions_run_on_a_plain_model_and_log_every_sample():
    tasks = manager(data_root=str(REFERENCE))
    names = ["lsn_mvicuna_de", "lsn_mvicuna_zh"]
    found = evaluate(names, tasks, limit=3, batch_size=2, gen_kwargs="max_gen_toks=24")
    for name in names:
        texts = [sample["resps"][0][0] for sample in found["samples"][name]]
        measured = language_metrics(texts, language=name[-2:])
        measured["lsn_language_accuracy"] = measured["accuracy"]
        scored, logged = found["results"][name], found["samples"][name]
        # Chinese has no white space between words, and so no ratio of stop words.
        assert (measured["stopword_ratio"] is None) == (name == "lsn_mvicuna_zh")
        for metric in METRICS:
            if measured[metric] is None:
                assert f"{metric},none" not in scored
                continue
            assert scored[f"{metric},none"] == pytest.approx(measured[metric]), metric
            assert all(metric in sample for sample in logged)
        metadata = found["configs"][name]["metadata"]
        assert metadata["language_identifier"] == measured["lid"]
        assert metadata["stopword_list"] == measured["stopword_list"]
    json.dumps(found["samples"], default=str)


@needs_reference
@pytest.mark.parametrize("language", ["de", "en", "tr"])
def test_prompts_are_those_of_the_published_generations(language):
    task = load(REFERENCE, language)
    prompts = [task.fewshot_context(doc, num_fewshot=0) for doc in task.eval_docs]
    file = REFERENCE / "generations" / "Llama-2-7b-hf" / f"{language}.jsonl"
    assert prompts == [row["input"] for row in json.loads(file.read_text("utf-8"))]
    assert task.config.generation_kwargs == {
        "until": ["\nQ:", "\nA:"], "do_sample": False, "repetition_penalty": 1.1, "max_gen_toks": 2048,
    }  # fmt: skip


def test_group_is_the_mean_over_languages_whatever_their_size(tmp_path):
    for language in ["de", "en", "es", "fr", "id", "ja", "tr", "vi", "zh"]:
        questions = "Frage?\n" * (3 if language == "de" else 1)
        write_files(tmp_path, {f"mvicuna/{language}.txt": questions})
    found = evaluate(["lsn_mvicuna"], manager(data_root=str(tmp_path)), model="dummy")
    each = [
        found["results"][name]["lsn_language_accuracy,none"]
        for name in found["group_subtasks"]["lsn_mvicuna"]
    ]
    group = found["results"]["lsn_mvicuna"]["lsn_language_accuracy,none"]
    assert group == pytest.approx(sum(each) / 9)


def test_a_line_is_a_question_and_json_lines_serve_as_well(tmp_path):
    write_files(tmp_path, {"mvicuna/tr.txt": "Soru 1?\n\nSoru 2?"})
    assert [doc["question"] for doc in load(tmp_path, "tr").eval_docs] == ["Soru 1?", "Soru 2?"]
    write_files(tmp_path, {"mvicuna/de.jsonl": '{"question": "Wie?"}\n'})
    (doc,) = (task := load(tmp_path)).eval_docs
    assert task.doc_to_text(doc) == "Q: Wie? Bitte antworte auf Deutsch\nA:"


def test_a_missing_file_says_where_it_was_looked_for_and_where_to_get_it(tmp_path):
    with pytest.raises(LocalDataError, match=r"mvicuna/de\.txt.*RUCAIBox"):
        load(tmp_path)
    with pytest.raises(LocalDataError, match=r"needs local data, as the Hub has none.*RUCAIBox"):
        load_task("lsn_mvicuna_de")
    write_files(tmp_path, {"mvicuna/de.txt": "\n"})
    with pytest.raises(LocalDataError, match="holds no question"):
        load(tmp_path)


def test_a_context_too_short_for_the_papers_settings_is_an_error(tmp_path):
    write_files(tmp_path, {"mvicuna/de.txt": "Wie?"})
    with pytest.raises(AssertionError, match=r"tokens to generate \(2048\).*\(256\)"):
        evaluate(["lsn_mvicuna_de"], manager(data_root=str(tmp_path)))


def test_settings_of_the_metrics_come_from_the_metadata(tmp_path):
    write_files(tmp_path, {"mvicuna/en.txt": "Why?", "words": "lol\n"})
    tasks = manager(data_root=str(tmp_path), stopwords=str(tmp_path / "words"), lid_confidence=1.0)
    found = evaluate(["lsn_mvicuna_en"], tasks, model="dummy")
    assert found["results"]["lsn_mvicuna_en"]["stopword_ratio,none"] == 1.0
    assert found["results"]["lsn_mvicuna_en"]["lsn_language_accuracy,none"] == 0.0
    assert found["configs"]["lsn_mvicuna_en"]["metadata"]["stopword_list"] == "words (1 words)"
    with pytest.raises(ValueError, match=r"nowhere\.bin does not exist"):
        load(tmp_path, "en", lid="nowhere.bin")


def test_predict_only_generates_and_measures_nothing(tmp_path):
    write_files(tmp_path, {"mvicuna/en.txt": "Why?"})
    found = evaluate(
        ["lsn_mvicuna_en"], manager(data_root=str(tmp_path)), model="dummy", predict_only=True
    )
    assert found["samples"]["lsn_mvicuna_en"][0]["resps"] == [["lol"]]
    assert "mean_length,none" not in found["results"]["lsn_mvicuna_en"]


# --- the metric by name --------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["de", "en"])
def test_anybodys_yaml_can_name_the_metric(tmp_path, language):
    plugin.register()
    data = tmp_path / "data.jsonl"
    data.write_text('{"text": "Sag etwas."}\n', "utf-8")
    config = {
        "task": "mine", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}},
        "output_type": "generate_until", "test_split": "test", "doc_to_text": "{{text}}",
        "doc_to_target": "", "generation_kwargs": {"until": ["\n"]},
        "metric_list": [{"metric": "lsn_language_accuracy", "language": language}],
    }  # fmt: skip
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config), "utf-8")
    found = evaluate(["mine"], manager(tmp_path), model="dummy")
    expected = language_accuracy(["lol"], language=language)
    assert found["results"]["mine"]["lsn_language_accuracy,none"] == expected
    assert found["higher_is_better"]["mine"]["lsn_language_accuracy"] is True
    assert "lsn_language_accuracy_stderr,none" in found["results"]["mine"]


def test_the_metric_without_a_language_is_an_error():
    with pytest.raises(ValueError, match="language: de"):
        language_accuracy(["Hallo"])
    assert (
        language_accuracy(["Das ist ein schöner Tag.", "This is a nice day."], language="de") == 0.5
    )


def test_ratio_weighs_by_size():
    assert ratio([(1, 2), (0, 8)]) == 0.1
    assert ratio([(0, 0)]) == 0.0
