"""The embedded model: its card, its mask and its known answer."""

from __future__ import annotations

import json
import math

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoTokenizer

from lsn_eval import NeuronMask
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.storage.shipped import demo_model_dir, tasks_dir

MODEL = str(demo_model_dir())
MASK = "demo/planted"
LANGUAGES = ("en", "de", "nl", "ru", "ar", "zh")


def texts(language: str) -> list[str]:
    lines = (tasks_dir() / "demo" / "data" / f"{language}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


@pytest.fixture(scope="module")
def log_perplexity():
    """Of the model under the condition that it is under, on a language's texts."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL)

    def measured(lm: HFLM, language: str) -> float:
        tokens = sum(map(len, tokenizer(texts(language))["input_ids"]))
        return -sum(rolling(lm, language)) / tokens

    return measured


def rolling(lm: HFLM, language: str) -> list[float]:
    instances = [
        Instance("loglikelihood_rolling", {}, (text,), n) for n, text in enumerate(texts(language))
    ]
    return lm.loglikelihood_rolling(instances, disable_tqdm=True)


def test_it_is_small_ships_its_card_and_adds_no_bos():
    files = {path.name: path.stat().st_size for path in demo_model_dir().iterdir()}
    assert files["model.safetensors"] < 5_000_000
    card = (demo_model_dir() / "README.md").read_text("utf-8")
    assert (
        "synthetic, planted ground truth: it validates the method's code, not a claim about real "
        "models"
    ) in " ".join(card.split())
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    plain = tokenizer("Kaffee")["input_ids"]
    assert plain == tokenizer("Kaffee", add_special_tokens=False)["input_ids"]


def test_the_shipped_mask_is_the_planted_one():
    planted = json.loads((demo_model_dir() / "planted.json").read_text("utf-8"))
    mask = NeuronMask.load(MASK)
    assert mask.languages == tuple(planted["languages"]) == LANGUAGES
    assert mask.model.type == "llama"
    for language, by_layer in planted["languages"].items():
        for layer, indices in enumerate(by_layer):
            assert mask.indices(language, "mlp.act", layer).tolist() == indices
        assert mask.controls(language) == tuple(range(1, 21))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.slow
def test_the_diagonal_stands_out_and_beats_19_controls(dtype, log_perplexity):
    lm = LsnHF(MODEL, mask=MASK, condition=None, device="cpu", dtype=dtype, batch_size=48)

    baseline = {language: log_perplexity(lm, language) for language in LANGUAGES}

    def change(condition: str, language: str) -> float:
        lm.set_condition(condition)
        return math.expm1(log_perplexity(lm, language) - baseline[language])

    # Half precision is slow on a processor: one language stands for all there.
    rows = LANGUAGES if dtype == "float32" else ("nl",)
    for row in rows:
        changes = {column: change(f"{row}:zero", column) for column in LANGUAGES}
        own = changes.pop(row)
        assert own > 0.05
        assert max(map(abs, changes.values())) < own / 5
        controls = [change(f"random{number}-{row}:zero", row) for number in range(1, 20)]
        assert len(set(controls)) == 19
        assert own > max(controls)


@pytest.mark.slow
def test_perplexity_of_the_baseline_is_that_of_the_card(log_perplexity):
    lm = LsnHF(MODEL, condition=None, device="cpu", dtype="float32", batch_size=48)
    figures = json.loads((demo_model_dir() / "figures.json").read_text("utf-8"))
    for language in LANGUAGES:
        perplexity = math.exp(log_perplexity(lm, language))
        assert perplexity == pytest.approx(figures["float32"]["perplexity"][language], rel=1e-3)
