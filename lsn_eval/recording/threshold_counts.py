"""The two further passes that `act_prob_90p` needs: thresholds, and how often they are exceeded.

    stats = record(model, tokenizer, texts)
    stats = count_above_thresholds(stats, model, tokenizer, texts)
    mask = identify(stats, method="act_prob_90p")

Thresholds depend on how the texts are cut into batches, which is why the batches of the recording
are run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lsn_eval.errors import RecordingError
from lsn_eval.recording.observing import Batch, observing
from lsn_eval.recording.packing import RowSettings, RowStream, batches
from lsn_eval.recording.recorded_model import RecordedModel
from lsn_eval.recording.texts import opened
from lsn_eval.recording.tokenizing import Encoding
from lsn_eval.statistics import ActivationStats

QUANTILE = 0.9
_SORTED_AT_ONCE = 1 << 24
"""Values sorted at a time: `torch.quantile` takes no more."""


class _BatchQuantiles:
    """Mean over batches of each batch's own 90th percentile [neuron]."""

    def __init__(self, width: int) -> None:
        self.total = np.zeros(width)
        self.batches = 0

    def add(self, values: torch.Tensor) -> None:
        columns = max(1, _SORTED_AT_ONCE // max(1, values.shape[0]))
        parts = [part.float().quantile(QUANTILE, dim=0) for part in values.split(columns, dim=1)]
        self.total += torch.cat(parts).double().cpu().numpy()
        self.batches += 1


class _Exceedances:
    """How often each neuron is above its threshold [neuron]."""

    def __init__(self, thresholds: NDArray[np.float64]) -> None:
        self.thresholds = torch.from_numpy(thresholds.astype(np.float32))
        self.count = np.zeros(len(thresholds), np.int64)

    def add(self, values: torch.Tensor) -> None:
        above = values.float() > self.thresholds.to(values.device)
        self.count += above.sum(0).cpu().numpy()


def count_above_thresholds(
    stats: ActivationStats,
    model: nn.Module,
    tokenizer: Any,
    texts: Mapping[str, Any],
    *,
    tokens: int | None = None,
) -> ActivationStats:
    """`stats` with the counts "above_threshold" [language, layer, neuron].

    A neuron's threshold in a language is the mean over batches of each batch's 90th percentile;
    counted are the tokens of that language above it. See `identification.act_prob_90p`.

    Args:
        stats: recorded of the same model and texts; its settings and batch sizes are used again.
        texts: per language what was recorded. Each is read twice: a list, not a generator.
        tokens: the limit that was given to the recording, if any.

    Raises:
        RecordingError: other texts than those recorded, or statistics of shards or of unknown
            settings, whose batches cannot be made again.
    """
    recorded = RecordedModel(model, stats.hookpoints)
    packed = bool(stats.provenance.get("settings", {}).get("pack"))
    texts = {language: opened(given, line_ends=packed) for language, given in texts.items()}
    shape = (len(stats.languages), len(stats.model.layers))
    above = {at: np.zeros((*shape, stats.model.widths[at]), np.int64) for at in recorded.hookpoints}
    for row, language in enumerate(stats.languages):
        if language not in texts:
            raise RecordingError(
                f"texts of {language} were recorded and not given; given are {', '.join(texts)}"
            )
        given = stats, recorded, tokenizer, language, texts[language], tokens
        quantiles = {
            (site.hookpoint, site.layer): _BatchQuantiles(site.width) for site in recorded.sites
        }
        _run_again(*given, quantiles)
        exceedances = {at: _Exceedances(q.total / max(1, q.batches)) for at, q in quantiles.items()}
        _run_again(*given, exceedances)
        for (hookpoint, layer), counted in exceedances.items():
            place = row, stats.model.numbers[layer]
            above[hookpoint][place][: counted.count.size] = counted.count
    arrays = {
        at: {**statistics, "above_threshold": above[at]} for at, statistics in stats.arrays.items()
    }
    return replace(stats, arrays=arrays)


def _run_again(
    stats: ActivationStats,
    model: RecordedModel,
    tokenizer: Any,
    language: str,
    texts: Any,
    tokens: int | None,
    accumulators: Mapping[tuple[str, str], Any],
) -> None:
    """Run the batches of one language's recording."""
    corpora = stats.provenance.get("corpora", {}).get(language, [])
    settings = stats.provenance.get("settings", {})
    if len(corpora) != 1 or corpora[0].get("shard") != [1, 1] or "length" not in settings:
        raise RecordingError(
            f"the statistics of {language} are not of one recording whose settings are known, "
            "so that its batches cannot be run again; record it in one run"
        )
    [corpus] = corpora
    encoding = Encoding(
        tokenizer,
        special_tokens=settings["special_tokens"],
        skip_special_tokens=settings["skip_special_tokens"],
        vocabulary=model.vocabulary,
    )
    rows = RowSettings(settings["length"], settings["pack"], tokens, corpus["held_out"])
    stream = RowStream(language, texts, encoding, rows)
    size = corpus["batch_size"]
    with model.evaluating():
        for number, together in enumerate(batches(stream, size)):
            batch = Batch.of(together, number * size, encoding.pad, encoding.skipped)
            if batch.tokens:
                with observing(model.sites, accumulators, batch):
                    model.run(batch.ids, batch.attention)
    if stream.sha256 != corpus["texts_sha256"]:
        raise RecordingError(
            f"the texts of {language} are not those that were recorded (digests "
            f"{stream.sha256[:12]} and {corpus['texts_sha256'][:12]}); give the same "
            "texts, as a list, and the same limit of tokens"
        )
