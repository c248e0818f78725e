"""Thresholds and counts of the second pass equal a plain loop's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders.architectures import tiny_model
from builders.plain_recording import plain_loop

from lsn_eval.errors import RecordingError
from lsn_eval.identification import identify
from lsn_eval.recording import count_above_thresholds, record

TEXTS = {
    "de": [f"der Hund Nummer {n} bellt laut" for n in range(23)],
    "fr": [f"le chat numéro {n} dort" for n in range(31)],
}


@pytest.mark.parametrize("family_name", ["llama", "gpt2"])
def test_equals_a_plain_loop(family_name, tokenizer):
    model = tiny_model(family_name)
    stats = record(
        model, tokenizer, TEXTS, pack=False, batch_size=4, length=20, statistics="counts"
    )
    counted = count_above_thresholds(stats, model, tokenizer, TEXTS)
    above = counted.get("mlp.act", "above_threshold")
    for row, language in enumerate(stats.languages):
        rows = [tokenizer(text)["input_ids"][:20] for text in TEXTS[language]]
        starts = range(0, len(rows), 4)
        batches = [plain_loop(model, ["mlp.act"], rows[at : at + 4])["mlp.act"] for at in starts]
        threshold = np.mean([np.quantile(batch, 0.9, axis=0) for batch in batches], axis=0)
        values = np.concatenate(batches)
        # A value within rounding of the threshold may fall on either side.
        close = np.isclose(values, threshold, rtol=1e-4, atol=1e-6).sum(axis=0)
        assert (np.abs(above[row] - (values > threshold).sum(axis=0)) <= close).all()
        assert close.sum() < 0.02 * values.size
    shares = above / np.array([stats.tokens[name] for name in stats.languages])[:, None, None]
    assert 0.05 < shares.mean() < 0.2
    mask = identify(counted, "act_prob_90p", top_rate=0.05)
    most = above[0].ravel()[mask.neurons("de") @ [above.shape[2], 1]]
    assert most.min() >= np.sort(above[0].ravel())[-mask.count("de")]
    assert (stats.get("mlp.act", "positive") == counted.get("mlp.act", "positive")).all()


def test_other_texts_and_unknown_settings_are_refused(tokenizer):
    model = tiny_model("llama")
    stats = record(model, tokenizer, TEXTS, length=16, statistics="counts")
    for given, texts, message in (
        (stats, {**TEXTS, "fr": TEXTS["fr"][1:]}, "not those that were recorded"),
        (stats, {"de": TEXTS["de"]}, "recorded and not given"),
        (replace(stats, provenance={}), TEXTS, "settings are known"),
    ):
        with pytest.raises(RecordingError, match=message):
            count_above_thresholds(given, model, tokenizer, texts)
