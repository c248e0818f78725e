"""`finetune` on a tiny model: adapters made alike, their records, and where they arrive."""

from __future__ import annotations

import json
import os
import shutil

import lm_eval
import pytest
import torch
from builders.architectures import saved_model
from builders.commands import printed, refused
from builders.masks import tiny_mask
from builders.our_tasks import task_manager, write_files
from builders.requests import requests
from lm_eval.loggers import EvaluationTracker
from safetensors.torch import load_file

from lsn_eval import compare, finetune, intervene, read_results
from lsn_eval.errors import LsnError, TuningError
from lsn_eval.harness import lsn_hf
from lsn_eval.harness.lsn_classifier import LsnClassifier
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.tuning import TuningSettings
from lsn_eval.tuning.updates import adapted

pytest.importorskip("peft", reason="peft is an optional dependency")
pytestmark = pytest.mark.slow
QUICK = TuningSettings(rank=2, learning_rate=0.05, batch_size=4, training={"weight_decay": 0.1})
PROMPTS = [{"prompt": f"{n} and {n} is", "answer": f" {2 * n}."} for n in range(1, 9)]
PAIRS = [
    {"premise": f"{a} runs", "hypothesis": f"{a} {what}", "label": number}
    for a in ("Ann", "Bob", "Cy", "Di")
    for number, what in enumerate(("runs", "sings", "rests"))
]


def write_lines(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return str(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory, tokenizer):
    """A folder with a model, its mask, and examples for prompts and for a head."""
    folder = tmp_path_factory.mktemp("tuning")
    model = saved_model(folder / "model", "llama")
    tokenizer.save_pretrained(folder / "model")
    tiny_mask(model).save(folder / "mask.safetensors")
    write_lines(folder / "prompts.jsonl", PROMPTS)
    write_lines(folder / "pairs.jsonl", PAIRS)
    return folder


def tuned(place, out, data="prompts.jsonl", **given):
    mask, given = place / "mask.safetensors", {"settings": QUICK, "languages": ["de"], **given}
    return finetune(
        str(place / "model"), mask, str(place / data), out, device="cpu", progress=False, **given
    )


@pytest.fixture(scope="module")
def prompted(place):
    return tuned(place, place / "prompted")


@pytest.fixture(scope="module")
def headed(place):
    return tuned(place, place / "headed", "pairs.jsonl", head=True)


def test_adapters_are_made_alike_and_twice_the_same(place, prompted, tmp_path):
    names = ["de", "random1-de", "full"]
    assert list(prompted.records) == names
    assert [prompted.records[name]["condition"] for name in names] == [
        f"{name}:tuned-{prompted.digest}" for name in names
    ]
    own, control, full = prompted.records.values()
    assert own["neurons"] == control["neurons"] == {"mlp.act": {"0": 5, "1": 5}}
    assert own["trainable"] == control["trainable"] < full["trainable"]
    assert full["loss"] < own["loss"]
    again = tuned(place, tmp_path, only=["de"])
    weights = [
        load_file(of / "de" / "adapter_model.safetensors") for of in (prompted.out, tmp_path)
    ]
    assert list(again.records) == ["de"]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_finished_adapters_stay_and_others_are_not_mixed_with_them(place, prompted, monkeypatch):
    monkeypatch.setattr("lsn_eval.tuning.finetuning._made", None)
    assert tuned(place, prompted.out).records == prompted.records
    with pytest.raises(TuningError, match="other weights, data or settings"):
        tuned(place, prompted.out, documents=7)
    with pytest.raises(TuningError, match="is a file, and"):
        tuned(place, place / "prompts.jsonl")
    weights = place / "model" / "model.safetensors"
    (place / "model" / "inside").mkdir()
    shutil.copy(weights, place / "model" / "inside")
    assert tuned(place, prompted.out).records == prompted.records
    of = weights.stat()
    os.utime(weights, ns=(of.st_atime_ns, of.st_mtime_ns + 1))
    with pytest.raises(TuningError, match="other weights, data or settings"):
        tuned(place, prompted.out)
    os.utime(weights, ns=(of.st_atime_ns, of.st_mtime_ns))


def test_adapters_are_conditions_of_the_model_and_hooks_come_on_top(place, prompted):
    model, mask = str(place / "model"), str(place / "mask.safetensors")

    def loaded(**given):
        return LsnHF(model, device="cpu", batch_size=2, **given)

    adapter = str(prompted.out / "random1-de")
    alone = loaded(condition="none", peft=adapter)
    both = loaded(mask=mask, condition="fr:zero", peft=adapter)
    asked = requests("loglikelihood")
    given = [lm.loglikelihood(asked, disable_tqdm=True) for lm in (alone, both)]
    with intervene(alone.model, mask, "fr:zero"):
        assert given[1] == alone.loglikelihood(asked, disable_tqdm=True) != given[0]
    said = [lm.get_model_info()["lsn"] for lm in (alone, both)]
    tuning = f"random1-de:tuned-{prompted.digest}"
    assert [record["condition"] for record in said] == ["none", "fr:zero"]
    for record, condition in zip(said, (tuning, f"{tuning}/fr:zero"), strict=True):
        assert f"model:{model}|" in record["signature"]
        assert f"|condition:{condition}|hookpoint:mlp.act|" in record["signature"]
    with pytest.raises(LsnError, match="give peft=FOLDER"):
        loaded(mask=mask, condition=f"de:tuned-{prompted.digest}")


def test_a_head_answers_choices_by_classes_and_is_compared_with_the_head_alone(
    place, headed, tmp_path
):
    rows = "\n".join(map(json.dumps, PAIRS))
    root = write_files(tmp_path, {"xnli/de.validation.jsonl": rows})
    assert list(headed.records) == ["none", "de", "random1-de", "full"]
    for name, size in (("none", 5), ("de", 5), ("random1-de", "auto")):
        lm = LsnClassifier(
            str(place / "model"), condition="none", device="cpu", batch_size=size,
            peft=str(headed.out / name), max_batch_size=4,
        )  # fmt: skip
        tracker = EvaluationTracker(output_path=str(tmp_path / "out" / name))
        results = lm_eval.simple_evaluate(
            lm, tasks=["lsn_xnli_de"], log_samples=True, evaluation_tracker=tracker,
            task_manager=task_manager("xnli", data_root=str(root)), bootstrap_iters=0,
        )  # fmt: skip
        samples = results.pop("samples")
        tracker.save_results_aggregated(results, samples)
        for task, of_task in samples.items():
            tracker.save_results_samples(task, of_task)
    accuracy = 0
    tokenizer = lm.tokenizer
    for pair, sample in zip(PAIRS, samples["lsn_xnli_de"], strict=True):
        given = tokenizer(
            f"{pair['premise']} <|endoftext|> {pair['hypothesis']}", return_tensors="pt"
        )
        with torch.no_grad():
            classes = lm.model(given["input_ids"]).logits.log_softmax(-1)[0]
        accuracy += int(classes.argmax()) == pair["label"]
        told = [float(answer[0][0]) for answer in sample["resps"]]
        assert told == pytest.approx(classes.tolist(), abs=1e-5)
    assert results["results"]["lsn_xnli_de"]["acc,none"] == accuracy / len(PAIRS)
    (panel,) = compare(read_results(tmp_path / "out")).panels
    own = f"de:tuned-{headed.digest}"
    assert set(panel.conditions) == {"none", own}
    assert panel.model == f"{place / 'model'}+tuned-{headed.digest}"
    change = panel.changes[own, "de"]
    assert change.interval is not None
    assert list(change.controls) == [f"random1-{own}"]


def test_an_adapter_that_is_no_number_or_made_twice_at_once_is_refused(
    place, tmp_path, monkeypatch
):
    settings = TuningSettings(rank=2, learning_rate=1e30, epochs=3)
    with pytest.raises(TuningError, match="no finite numbers"):
        tuned(place, tmp_path / "nan", only=["de"], settings=settings)

    def meanwhile(*given):
        (tmp_path / "two" / "de" / "of another").mkdir(parents=True)
        return adapted(*given)

    monkeypatch.setattr("lsn_eval.tuning.finetuning.adapted", meanwhile)
    with pytest.raises(TuningError, match="another run made"):
        tuned(place, tmp_path / "two", only=["de"])
    assert sorted(x.name for x in tmp_path.rglob("*")) == ["de", "nan", "of another", "two"]


def test_an_adapter_of_another_model_is_warned_about(place, prompted, monkeypatch):
    shutil.copytree(place / "model", place / "other")
    said = []
    monkeypatch.setattr(lsn_hf.logger, "warning", lambda text, *of: said.append(text % of))
    for name in ("model", "other"):
        LsnHF(str(place / name), condition="none", device="cpu", peft=str(prompted.out / "de"))
    (line,) = [line for line in said if "was tuned on" in line]
    assert line.endswith(
        f"is put on {place / 'other'}: if that is another model, its numbers mean nothing"
    )


def test_what_is_trained_is_float32_in_a_model_of_less(place, tmp_path):
    """And what else of the Trainer large models need runs on it."""
    further = {"gradient_checkpointing": True, "gradient_accumulation_steps": 2, "bf16": True}
    settings = TuningSettings(dtype="bfloat16", batch_size=2, training=further)
    tuned(place, tmp_path, "pairs.jsonl", head=True, only=["de"], settings=settings)
    weights = load_file(tmp_path / "de" / "adapter_model.safetensors")
    assert any("score" in name for name in weights)
    assert {value.dtype for value in weights.values()} == {torch.float32}


def test_a_head_is_asked_nothing_else(place, headed, prompted):
    model, adapter = str(place / "model"), str(headed.out / "de")
    lm = LsnClassifier(model, condition="none", device="cpu", peft=adapter)
    for kind in ("loglikelihood", "loglikelihood_rolling", "generate_until"):
        with pytest.raises(LsnError, match="reads a premise and a hypothesis"):
            getattr(lm, kind)(requests(kind))
    with pytest.raises(LsnError, match="--model lsn_classifier"):
        LsnHF(model, condition="none", device="cpu", peft=adapter)
    with pytest.raises(LsnError, match="finetune --head"):
        LsnClassifier(model, condition="none", device="cpu", peft=str(prompted.out / "de"))


def test_the_command_says_what_it_would_train(place, tmp_path):
    words = [
        "finetune", "--model", place / "model", "--mask", place / "mask.safetensors", "--data",
        place / "prompts.jsonl", "--out", tmp_path / "out", "--device", "cpu", "--rank", "2",
    ]  # fmt: skip
    said = printed(*words, "--language", "de", "--whole", "attn", "--dry-run", "--json")
    none, own, _, full = json.loads(said).values()
    assert not (tmp_path / "out").exists()
    # Rows of gate and up, columns of down: rank x (5 + 32) three times in two layers.
    assert own["trainable"] - none["trainable"] == 2 * 3 * 2 * (5 + 32)
    assert full["trainable"] - none["trainable"] == 2 * 3 * 2 * (48 + 32)
    assert own["memory"] == full["memory"] > 16 * full["trainable"]
    assert "--language de" in refused(*words)
    for more, message in (
        (["--only", "de,fr"], "no adapter fr"),
        (["--whole", "mlp.up"], "as a whole and by neurons"),
        (["--training", "learning_speed=3"], "learning_speed"),
        (["--training", "push_to_hub=true"], "nothing is sent"),
        (["--max-length", "2"], "at most 2 tokens"),
        (["--learning-rate", "0"], "more than 0"),
    ):
        assert message in refused(*words, "--language", "de", "--no-progress", *more)
    assert not any((tmp_path / "out").glob("*"))
