"""Thresholds and counts of the second pass equal a plain loop's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders.models import tiny_model

from lsn_eval.errors import RecordingError
from lsn_eval.identification import identify
from lsn_eval.models.hookpoints import resolve
from lsn_eval.recording import count_above_thresholds, record


def texts(tokenizer):
    return {
        "de": [f"der Hund Nummer {n} bellt laut" for n in range(23)],
        "fr": [f"le chat numéro {n} dort" for n in range(31)],
    }


def plain(model, tokenizer, language_texts, batch_size, length):
    """Values [token, neuron] of each batch, one text a row, by layer."""
    found = []
    for start in range(0, len(language_texts), batch_size):
        rows = [tokenizer(t)["input_ids"][:length] for t in language_texts[start:][:batch_size]]
        values = {}
        for row in rows:
            for layer, site in resolve(model).sites["mlp.act"].items():
                kept = []
                hook = site.module.register_forward_hook(lambda m, a, o, kept=kept: kept.append(o))
                with torch.no_grad():
                    model(torch.tensor([row]))
                hook.remove()
                values.setdefault(layer, []).append(kept[0][0].double().numpy())
        found.append({layer: np.concatenate(parts) for layer, parts in values.items()})
    return found


@pytest.mark.parametrize("family_name", ["llama", "gpt2"])
def test_equals_a_plain_loop(family_name, tokenizer):
    model = tiny_model(family_name)
    corpus = texts(tokenizer)
    stats = record(
        model, tokenizer, corpus, pack=False, batch_size=4, length=20, statistics="counts"
    )
    counted = count_above_thresholds(stats, model, tokenizer, corpus)
    above = counted.get("mlp.act", "above_threshold")
    for row, language in enumerate(stats.languages):
        batches = plain(model, tokenizer, corpus[language], 4, 20)
        for number, layer in enumerate(stats.model.layers):
            threshold = np.mean([np.quantile(b[layer], 0.9, axis=0) for b in batches], axis=0)
            values = np.concatenate([b[layer] for b in batches])
            expected = (values > threshold).sum(axis=0)
            # A value within rounding of the threshold may fall on either side.
            close = np.isclose(values, threshold, rtol=1e-4, atol=1e-6).sum(axis=0)
            assert (np.abs(above[row, number] - expected) <= close).all()
            assert close.sum() < 0.02 * values.size
    shares = above / np.array([stats.tokens[name] for name in stats.languages])[:, None, None]
    assert 0.05 < shares.mean() < 0.2
    mask = identify(counted, "act_prob_90p", top_rate=0.05)
    most = above[0].ravel()[mask.neurons("de") @ [above.shape[2], 1]]
    assert most.min() >= np.sort(above[0].ravel())[-mask.count("de")]
    assert (stats.get("mlp.act", "positive") == counted.get("mlp.act", "positive")).all()


def test_other_texts_and_unknown_settings_are_refused(tokenizer):
    model = tiny_model("llama")
    corpus = texts(tokenizer)
    stats = record(model, tokenizer, corpus, length=16, statistics="counts")
    with pytest.raises(RecordingError, match="not those that were recorded"):
        count_above_thresholds(stats, model, tokenizer, {**corpus, "fr": corpus["fr"][1:]})
    with pytest.raises(RecordingError, match="recorded and not given"):
        count_above_thresholds(stats, model, tokenizer, {"de": corpus["de"]})
    merged = stats.keep(languages=["de"])
    unknown = type(stats)(
        model=merged.model, languages=merged.languages, tokens=merged.tokens, arrays=merged.arrays
    )
    with pytest.raises(RecordingError, match="settings are known"):
        count_above_thresholds(unknown, model, tokenizer, corpus)
