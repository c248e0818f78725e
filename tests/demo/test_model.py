"""The embedded model: its card, its mask and its known answer."""

from __future__ import annotations

import json
import math

import pytest
from lm_eval.api.instance import Instance
from transformers import AutoTokenizer

from lsn_eval import NeuronMask
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.storage.shipped import demo_model_dir, tasks_dir

MODEL = str(demo_model_dir())
MASK = "demo/planted"
LANGUAGES = ("en", "de", "nl", "ru", "ar", "zh")


def log_perplexity(lm: LsnHF, language: str, documents: int | None = None) -> float:
    """Of the model under the condition that it is under, on a language's first texts, or all."""
    lines = (tasks_dir() / "demo" / "data" / f"{language}.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines[:documents]]
    instances = [Instance("loglikelihood_rolling", {}, (text,), n) for n, text in enumerate(texts)]
    tokens = sum(map(len, lm.tokenizer(texts)["input_ids"]))
    return -sum(lm.loglikelihood_rolling(instances, disable_tqdm=True)) / tokens


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


@pytest.mark.parametrize(
    ("dtype", "rows"), [("float32", LANGUAGES), ("bfloat16", ("nl",))], ids=lambda x: x[:8]
)
@pytest.mark.slow
def test_the_diagonal_stands_out_and_beats_19_controls(dtype, rows):
    """On a few texts of each; half precision is slow on a processor, and one language stands for
    all there."""
    lm = LsnHF(MODEL, mask=MASK, condition=None, device="cpu", dtype=dtype, batch_size=8)

    baseline = {language: log_perplexity(lm, language, 4) for language in LANGUAGES}

    def change(condition: str, language: str) -> float:
        lm.set_condition(condition)
        return math.expm1(log_perplexity(lm, language, 4) - baseline[language])

    for row in rows:
        changes = {column: change(f"{row}:zero", column) for column in LANGUAGES}
        own = changes.pop(row)
        assert own > 0.05
        assert max(map(abs, changes.values())) < own / 5
        controls = [change(f"random{number}-{row}:zero", row) for number in range(1, 20)]
        assert len(set(controls)) >= (19 if dtype == "float32" else 10)  # half precision is coarse
        assert own > max(controls)


@pytest.mark.slow
def test_perplexity_of_the_baseline_is_that_of_the_card():
    lm = LsnHF(MODEL, condition=None, device="cpu", dtype="float32", batch_size=48)
    figures = json.loads((demo_model_dir() / "figures.json").read_text("utf-8"))
    for language in LANGUAGES:
        perplexity = math.exp(log_perplexity(lm, language))
        assert perplexity == pytest.approx(figures["float32"]["perplexity"][language], rel=1e-3)
