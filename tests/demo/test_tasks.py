"""`lsn_demo_langacc_*` and the groups of `tasks/demo`, on the embedded model."""

from __future__ import annotations

import importlib.util
import json

import lm_eval
import pytest
from builders.our_tasks import load_task, task_manager

from lsn_eval.errors import LsnError
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.language_scores import score_text
from lsn_eval.lm_tasks.langacc import StartTokenError
from lsn_eval.storage.shipped import tasks_dir

pytestmark = pytest.mark.slow

TASKS = tasks_dir() / "demo"
LANGUAGES = ("ar", "de", "en", "nl", "ru", "zh")
ARGUMENTS = {"pretrained": "lsn_demo", "mask": "demo/planted", "dtype": "float32", "device": "cpu"}


def evaluate(model, tasks, **options):
    manager = task_manager("demo", **ARGUMENTS)
    return lm_eval.simple_evaluate(
        model=model, tasks=tasks, task_manager=manager, bootstrap_iters=0, **options
    )


def texts(found, task) -> list[str]:
    return [sample["filtered_resps"][0] for sample in found["samples"][task]]


@pytest.fixture(scope="module")
def openings():
    spec = importlib.util.spec_from_file_location("demo_openings", TASKS / "demo_openings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model() -> LsnHF:
    return LsnHF(**ARGUMENTS, condition="none", batch_size=16)


@pytest.fixture(scope="module")
def found(model):
    return evaluate(model, ["lsn_demo_langacc"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_prompts_are_different_first_sentences_of_held_out_documents(language):
    lines = (TASKS / "data" / f"{language}.jsonl").read_text("utf-8").splitlines()
    texts_by_id = {row["id"]: row["text"] for row in map(json.loads, lines)}
    task = load_task(f"lsn_demo_langacc_{language}", **ARGUMENTS)
    prompts = [doc["prompt"] for doc in task.eval_docs]
    assert len(prompts) == len(set(prompts)) == 16
    for doc in task.eval_docs:
        text, prompt = texts_by_id[doc["id"]], doc["prompt"]
        assert text.startswith(prompt)
        assert len(prompt) < len(text)
        if language == "zh":
            assert prompt.index("。") == len(prompt) - 1
        else:
            assert prompt.endswith(".")
            assert text.removeprefix(prompt).startswith(" ")
            assert ". " not in prompt
        assert score_text(prompt, language).script_share == 1


def test_first_sentence(openings):
    assert openings.first_sentence("The price is 1.5 euros. It rose.") == "The price is 1.5 euros."
    assert openings.first_sentence("一。二。") == "一。"
    for whole in ("Only one.", "no stop at all", "只有一句。", ""):
        with pytest.raises(LsnError, match="several sentences"):
            openings.first_sentence(whole)


def test_without_intervention_the_model_stays_in_each_language_and_the_group_is_their_mean(found):
    each = []
    for language in LANGUAGES:
        results = found["results"][f"lsn_demo_langacc_{language}"]
        each.append(results["lsn_language_accuracy,none"])
        assert each[-1] >= 15 / 16, language
        assert results["script_share,none"] > 0.99
        assert results["empty,none"] == 0
    group = found["results"]["lsn_demo_langacc"]
    assert group["lsn_language_accuracy,none"] == pytest.approx(sum(each) / 6)
    assert [name for name in group if name.endswith(",none") and "stderr" not in name] == [
        "lsn_language_accuracy,none"
    ]


def test_only_the_continuation_is_scored(found):
    for language in ("de", "zh"):
        for sample in found["samples"][f"lsn_demo_langacc_{language}"]:
            context, options = sample["arguments"][0]
            assert context == "<|endoftext|>" + sample["doc"]["prompt"]
            assert options == {"until": [], "max_gen_toks": 32, "do_sample": False}
            text = sample["filtered_resps"][0]
            assert not text.startswith(context)
            assert sample["doc"]["prompt"] not in text
            scores = score_text(text, language)
            assert sample["mean_length"] == len(text) == scores.length
            assert sample["lsn_language_accuracy"] == scores.correct


def test_a_continuation_in_another_language_is_wrong_whatever_the_prompt():
    task = load_task("lsn_demo_langacc_en", **ARGUMENTS)
    doc = task.eval_docs[0]
    scored = task.process_results(doc, [" Die alte Brücke wurde am Montag geschlossen."])
    assert scored["lsn_language_accuracy"] == 0
    scored = task.process_results(doc, [" The old bridge was closed on Monday."])
    assert scored["lsn_language_accuracy"] == 1


def test_batch_size_and_order_make_no_difference(found):
    name = "lsn_demo_langacc_nl"
    other = LsnHF(**ARGUMENTS, condition="none", batch_size=5)
    assert texts(evaluate(other, [name]), name) == texts(found, name)


def test_steering_changes_the_language_and_its_control_does_not(found):
    name = "lsn_demo_langacc_en"
    steered, control = (
        evaluate(LsnHF(**ARGUMENTS, condition=condition, batch_size=16), [name])
        for condition in ("en:zero/de:p90", "random1-en:zero/random1-de:p90")
    )
    assert steered["results"][name]["lsn_language_accuracy,none"] < 0.6
    assert control["results"][name]["lsn_language_accuracy,none"] >= 15 / 16
    assert sum(score_text(text, "de").correct for text in texts(steered, name)) >= 6
    assert texts(control, name) != texts(found, name)


def test_the_accuracy_against_a_target_is_in_the_results_by_the_same_definition(found):
    name = "lsn_demo_langacc_en"
    manager = task_manager("demo", **ARGUMENTS, target_language="de, nl")
    steered = LsnHF(**ARGUMENTS, condition="en:zero/de:p90", batch_size=16)
    told = lm_eval.simple_evaluate(
        model=steered, tasks=[name], task_manager=manager, bootstrap_iters=0
    )
    for target in ("de", "nl"):
        correct = [float(score_text(text, target).correct) for text in texts(told, name)]
        assert told["results"][name][f"lsn_target_accuracy_{target},none"] == pytest.approx(
            sum(correct) / len(correct)
        )
        logged = [sample[f"lsn_target_accuracy_{target}"] for sample in told["samples"][name]]
        assert logged == correct
        assert told["higher_is_better"][name][f"lsn_target_accuracy_{target}"] is True
    assert told["results"][name]["lsn_target_accuracy_de,none"] > 0.3
    assert not [key for key in found["results"][name] if "target" in key]
    with pytest.raises(LsnError, match="no label for the language 'qq'"):
        load_task(name, **ARGUMENTS, target_language="qq")


def test_the_group_of_everything_is_a_list(model):
    found = evaluate(model, ["lsn_demo"], limit=1)
    assert set(found["samples"]) == {
        f"lsn_demo_{family}_{language}" for family in ("ppl", "langacc") for language in LANGUAGES
    }
    assert "lsn_demo_langacc" in found["results"]
    assert not [name for name in found["results"].get("lsn_demo", {}) if name.endswith(",none")]


def test_a_request_cache_which_forgets_the_tokenizer_is_refused(model):
    with pytest.raises(StartTokenError, match="--cache_requests"):
        evaluate(model, ["lsn_demo_langacc_de"], cache_requests=True)
