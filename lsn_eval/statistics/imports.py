"""Activation counts in the format of the published LAPE scripts (Tang et al. 2024)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsn_eval.errors import StatisticsError
from lsn_eval.models.hookpoints import DEFAULT_HOOKPOINT
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics.activation_stats import ActivationStats
from lsn_eval.storage.tensor_files import load_plain_tensors, whole_numbers


def import_counts(
    files: Sequence[str | os.PathLike[str]],
    languages: Sequence[str],
    *,
    hookpoint: str = DEFAULT_HOOKPOINT,
    name: str | None = None,
    model_type: str | None = None,
) -> ActivationStats:
    """Statistics from one file a language, named in order.

    A file is a `torch.save` of `{"n": tokens, "over_zero": int [layer, neuron]}`, the tokens seen
    and how often each neuron was above 0.

    Raises:
        StatisticsError: a file holds anything else, or files and languages do not match.
    """
    if len(files) != len(languages):
        raise StatisticsError(
            f"{len(files)} files and {len(languages)} languages ({', '.join(languages)}) were "
            "given; name the language of every file, in order"
        )
    named = zip(map(Path, files), languages, strict=True)
    return ActivationStats.merged([_read(*one, hookpoint, name, model_type) for one in named])


def _read(
    path: Path, language: str, hookpoint: str, name: str | None, type: str | None
) -> ActivationStats:
    content: Any = load_plain_tensors(path, StatisticsError)
    if not isinstance(content, dict) or not {"n", "over_zero"} <= set(content):
        there = f"keys {', '.join(map(str, content))}" if isinstance(content, dict) else "no dict"
        raise StatisticsError(f"{path} has {there}; a dict of n and over_zero was expected")
    tokens = whole_numbers(content["n"], f"{path}: n", None, StatisticsError)
    if tokens.size != 1:
        raise StatisticsError(f"{path}: n is {tokens.tolist()}; the number of tokens was expected")
    counts = whole_numbers(content["over_zero"], f"{path}: over_zero", 2, StatisticsError)
    layers, width = counts.shape
    corpus = {"source": f"imported from {path.name}", "tokens": int(tokens.item())}
    return ActivationStats.from_counts(
        counts[None],
        tokens.reshape(1),
        [language],
        hookpoint,
        ModelLayout.numbered(layers, {hookpoint: width}, name=name, type=type),
        provenance={"corpora": {language: [corpus]}},
    )
