"""From raw text to a mask on the embedded model: planted neurons are found, random ones are not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from lsn_eval.identification import identify
from lsn_eval.recording import record
from lsn_eval.storage.shipped import demo_model_dir

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(scope="module")
def demo():
    """Statistics of fresh texts, and the planted neurons {language: {(layer, neuron)}}."""
    pytest.importorskip("babel", reason="texts are made with Babel: pip install 'lsn-eval[train]'")
    pytest.importorskip("num2words", reason="pip install 'lsn-eval[train]'")
    transformers = pytest.importorskip("transformers")
    folder = demo_model_dir()
    if not (folder / "planted.json").is_file():
        pytest.skip("the demo model is not there; train it with scripts/train_demo_model.py")
    answer = json.loads((folder / "planted.json").read_text(encoding="utf-8"))
    planted = {
        language: {(layer, neuron) for layer, own in enumerate(layers) for neuron in own}
        for language, layers in answer["languages"].items()
    }
    sys.path.insert(0, str(SCRIPTS))
    try:
        from demo_corpus import recording_documents
    finally:
        sys.path.remove(str(SCRIPTS))
    texts = {
        language: [document.text for document in recording_documents(language, 40, seed=77)]
        for language in planted
    }
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    stats = record(model, tokenizer, texts, pack=False, statistics="counts", batch_size=16)
    return stats, planted


def recovery(mask, planted):
    scores = {}
    for language, truth in planted.items():
        found = {tuple(row) for row in mask.neurons(language).tolist()}
        hits = len(found & truth)
        scores[language] = (hits / max(1, len(found)), hits / len(truth))
    return scores


def test_lape_recovers_the_planted_neurons_of_every_language(demo):
    stats, planted = demo
    share = len(set.union(*planted.values())) / (4 * 512)
    mask = identify(stats, method="lape", top_rate=share)
    for language, (precision, recall) in recovery(mask, planted).items():
        assert precision >= 0.95, language
        assert recall >= 0.95, language


def test_random_neurons_are_not_the_planted_ones(demo):
    stats, planted = demo
    share = len(set.union(*planted.values())) / (4 * 512)
    mask = identify(stats, method="random", top_rate=share)
    scores = recovery(mask, planted)
    assert sum(precision for precision, _ in scores.values()) / len(scores) < 0.1
