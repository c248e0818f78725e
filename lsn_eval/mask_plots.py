"""A mask as a figure: where its neurons are, and which of them languages share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lsn_eval.errors import MaskError
from lsn_eval.mask_comparison import language_overlap, layer_distribution
from lsn_eval.masks import NeuronMask

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
# Perceptually uniform from dark to light: it survives colour blindness and a grey printer.
COLOURS = "cividis"
_LABELLED_CELLS = 400
"""Cells beyond which numbers in them would be too small to read."""


def save_mask_figure(mask: NeuronMask, path: str | Path) -> None:
    """Write `mask_figure` as PNG, SVG or PDF, by the suffix of `path`.

    Raises:
        MaskError: another suffix, or a folder that does not exist.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise MaskError(f"{target.name!r}: a name ending in {', '.join(SUFFIXES)} was expected")
    if not target.parent.is_dir():
        raise MaskError(f"the folder {target.parent} does not exist; create it first")
    # No date in the file: equal masks give equal figures.
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    figure = mask_figure(mask)
    figure.savefig(target, dpi=160, metadata=metadata.get(target.suffix.lower()))


def mask_figure(mask: NeuronMask) -> Figure:
    """For each hookpoint a heat map of neurons [language, layer], and the overlap of languages:
    Jaccard index as colour, shared neurons as number."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    languages, layers = len(mask.languages), len(mask.model.layers)
    hookpoints = mask.hookpoints
    left = float(np.clip(2 + 0.28 * layers, 4, 14))
    right = 2.2 + 0.55 * languages
    height = max(right - 0.4, len(hookpoints) * (1.3 + 0.3 * languages)) + 0.5
    figure = Figure(figsize=(left + right, height))
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=[left, right])
    maps, side = halves
    for axes, hookpoint in zip(
        maps.subplots(len(hookpoints), 1, squeeze=False)[:, 0], hookpoints, strict=True
    ):
        _layers(axes, mask, hookpoint)
    _overlap(side.subplots(), mask)
    named = mask.model.name or mask.model.type or "model not named"
    figure.suptitle(f"{mask.method.name} · {named} · mask {mask.digest[:12]}", fontsize=10)
    return figure


def _layers(axes: Axes, mask: NeuronMask, hookpoint: str) -> None:
    from matplotlib.ticker import MaxNLocator

    counts = layer_distribution(mask, hookpoint)
    image = axes.imshow(counts, cmap=COLOURS, aspect="auto", vmin=0, interpolation="nearest")
    names = [
        f"{language} ({count:,})"
        for language, count in zip(mask.languages, counts.sum(axis=1), strict=True)
    ]
    axes.set_yticks(range(len(names)), names)
    step = max(1, round(len(mask.model.layers) / 16))
    shown = range(0, len(mask.model.layers), step)
    axes.set_xticks(shown, [mask.model.layers[number] for number in shown])
    axes.set_xlabel("layer")
    axes.set_title(f"neurons per layer at {hookpoint}", fontsize=10)
    if counts.size <= _LABELLED_CELLS:
        size = 8 if counts.shape[1] <= 16 else 5.5
        _numbers(axes, counts, [[f"{n}" for n in row] for row in counts], counts.max(), size)
    bar = axes.figure.colorbar(image, ax=axes, label="neurons", fraction=0.04, pad=0.01)
    bar.locator = MaxNLocator(integer=True, min_n_ticks=1)
    bar.update_ticks()


def _overlap(axes: Axes, mask: NeuronMask) -> None:
    overlap = language_overlap(mask)
    # A language is alike itself; leaving the diagonal out keeps the scale for what is to be seen.
    shade = overlap.jaccard.copy()
    np.fill_diagonal(shade, np.nan)
    known = shade[~np.isnan(shade)]
    limit = max(float(known.max()) if known.size else 0.0, 0.01)
    image = axes.imshow(shade, cmap=COLOURS, vmin=0, vmax=limit, interpolation="nearest")
    axes.set_facecolor("0.88")
    axes.set_xticks(range(len(mask.languages)), mask.languages)
    axes.set_yticks(range(len(mask.languages)), mask.languages)
    axes.set_title("neurons shared by languages", fontsize=10)
    if overlap.counts.size <= _LABELLED_CELLS:
        _numbers(axes, shade, [[f"{n:,}" for n in row] for row in overlap.counts], limit, 8)
    axes.figure.colorbar(image, ax=axes, label="Jaccard index", fraction=0.046, pad=0.03)


def _numbers(axes: Axes, shade: Any, texts: list[list[str]], limit: float, size: float) -> None:
    for row, column in np.ndindex(*shade.shape):
        dark = not np.isnan(shade[row, column]) and shade[row, column] < 0.55 * max(limit, 1e-12)
        axes.text(
            column,
            row,
            texts[row][column],
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else "black",
        )
