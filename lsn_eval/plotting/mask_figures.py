"""A mask as a figure: where its neurons are, and which of them languages share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lsn_eval.masks.comparison import language_overlap, layer_distribution
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.plotting import style
from lsn_eval.plotting.fonts import drawable
from lsn_eval.plotting.lettering import Lettering, lettering
from lsn_eval.wording import numbers

_LABELLED_CELLS = 400
"""Cells beyond which numbers in them would be too small to read."""


def layer_map(mask: NeuronMask, labels: Mapping[str, str] | None = None) -> Figure:
    """Neurons [language, layer], a heat map for each hookpoint."""
    with lettering(labels) as letters:
        width, height = _layers_size(mask)
        figure = _framed(width + 0.6, height, mask)
        _layer_axes(figure, mask, letters)
    return figure


def overlap_map(mask: NeuronMask, labels: Mapping[str, str] | None = None) -> Figure:
    """Neurons that languages share: Jaccard index as colour, from 0 to 1, count as number."""
    with lettering(labels) as letters:
        size = _overlap_size(mask)
        figure = _framed(max(size + 0.6, 4.2), size, mask)
        _overlap(figure.subplots(), mask, letters)
    return figure


def mask_figure(mask: NeuronMask, labels: Mapping[str, str] | None = None) -> Figure:
    """Both beside each other."""
    with lettering(labels) as letters:
        left, height = _layers_size(mask)
        right = _overlap_size(mask)
        figure = _framed(left + right, max(right - 0.4, height), mask)
        halves: Any = figure.subfigures(1, 2, width_ratios=[left, right])
        _layer_axes(halves[0], mask, letters)
        _overlap(halves[1].subplots(), mask, letters)
    return figure


def _layers_size(mask: NeuronMask) -> tuple[float, float]:
    width = float(np.clip(2 + 0.28 * len(mask.model.layers), 4, 14))
    return width, max(len(mask.hookpoints), 1) * (1.3 + 0.3 * len(mask.languages)) + 0.1


def _overlap_size(mask: NeuronMask) -> float:
    return 2.2 + _cell(mask) * len(mask.languages)


def _cell(mask: NeuronMask) -> float:
    return 0.55 if len(mask.languages) <= 20 else 0.3


def _framed(width: float, height: float, mask: NeuronMask) -> Figure:
    """A figure with room for what is drawn between its title and its note."""
    model = mask.model.name or mask.model.type
    # The parts of a signature that a mask alone has.
    signature = (
        f"model:{model or 'not named'}|mask:sha256-{mask.digest[:12]}|method:{mask.method.name}|"
        f"hookpoint:{','.join(mask.hookpoints) or 'none'}"
    )
    title = f"{mask.method.name} · {model or 'model not named'}"
    frame = style.Frame(title, [signature], width)
    figure = frame.figure(height)
    whole = figure.get_size_inches()[1]
    figure.set_layout_engine(
        "constrained", rect=(0, frame.below / whole, 1, height / whole), w_pad=0.12
    )
    return figure


def _layer_axes(figure: Any, mask: NeuronMask, letters: Lettering) -> None:
    rows = figure.subplots(max(len(mask.hookpoints), 1), 1, squeeze=False)[:, 0]
    for axes, hookpoint in zip(rows, mask.hookpoints, strict=False):
        _layers(axes, mask, hookpoint, letters)
    if not mask.hookpoints:
        rows[0].set_axis_off()
        rows[0].text(0.5, 0.5, "no neurons", ha="center", va="center")


def _layers(axes: Axes, mask: NeuronMask, hookpoint: str, letters: Lettering) -> None:
    counts = layer_distribution(mask, hookpoint)
    image = axes.imshow(counts, cmap=style.AMOUNT, aspect="auto", vmin=0, interpolation="nearest")
    names = [
        letters.beside(language, f" ({count:,})")
        for language, count in zip(mask.languages, counts.sum(axis=1), strict=True)
    ]
    axes.set_yticks(range(len(names)), names)
    step = max(1, round(len(mask.model.layers) / 16))
    shown = range(0, len(mask.model.layers), step)
    axes.set_xticks(shown, [drawable(mask.model.layers[number]) for number in shown])
    if style.widest(mask.model.layers, style.LABEL) > 0.3:
        axes.tick_params(axis="x", rotation=90)
    axes.set_xlabel("layer")
    width = mask.model.widths[hookpoint]
    title = f"neurons per layer at {hookpoint}, of {width:,}"
    axes.set_title(drawable(title), fontsize=style.TITLE)
    _numbers(axes, counts, counts, "", counts.max(), 8 if counts.shape[1] <= 16 else 5.5)
    label = "neurons (of the layer)"
    bar = axes.figure.colorbar(image, ax=axes, label=label, fraction=0.04, pad=0.01, aspect=30)
    bar.locator = MaxNLocator(nbins=6, integer=True, min_n_ticks=1)
    bar.formatter = FuncFormatter(
        lambda n, _: f"{n:,.0f} ({numbers.exact(round(100 * n / width, 2))}%)"
    )
    bar.update_ticks()


def _overlap(axes: Axes, mask: NeuronMask, letters: Lettering) -> None:
    overlap = language_overlap(mask)
    # A language is alike itself, which says nothing.
    shade = overlap.jaccard.copy()
    np.fill_diagonal(shade, np.nan)
    image = axes.imshow(shade, cmap=style.AMOUNT, vmin=0, vmax=1, interpolation="nearest")
    axes.set_facecolor("0.88")
    names = [letters.name(language) for language in mask.languages]
    axes.set_xticks(range(len(names)), names)
    if style.widest(names, style.LABEL) > _cell(mask) - 0.05:
        axes.tick_params(axis="x", rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_title("neurons shared by languages", fontsize=style.TITLE)
    _numbers(axes, shade, overlap.counts, ",", 1, 8)
    axes.figure.colorbar(image, ax=axes, label="Jaccard index", fraction=0.046, pad=0.03)


def _numbers(axes: Axes, shade: Any, counts: Any, form: str, limit: float, size: float) -> None:
    """In every cell its count, unless there are too many cells."""
    if counts.size > _LABELLED_CELLS:
        return
    for row, column in np.ndindex(*shade.shape):
        dark = not np.isnan(shade[row, column]) and shade[row, column] < 0.55 * max(limit, 1e-12)
        axes.text(
            column, row, f"{counts[row, column]:{form}}", ha="center", va="center", fontsize=size,
            color="white" if dark else "black",
        )  # fmt: skip
