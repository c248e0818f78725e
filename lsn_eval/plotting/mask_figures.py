"""A mask as a figure: where its neurons are, and which of them languages share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lsn_eval.masks.comparison import language_overlap, layer_distribution
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.plotting import style
from lsn_eval.plotting.fonts import Lettering, lettering

_LABELLED_CELLS = 400
"""Cells beyond which numbers in them would be too small to read."""


def layer_map(mask: NeuronMask, labels: Mapping[str, str] | None = None) -> Figure:
    """Neurons [language, layer], a heat map for each hookpoint."""
    title = _named(mask)
    with lettering(labels, (title, *mask.languages, *mask.model.layers)) as letters:
        width, height = _layers_size(mask)
        figure = _framed(width + 0.6, height, title, mask)
        _layer_axes(figure, mask, letters)
        letters.finish(figure)
    return figure


def overlap_map(mask: NeuronMask, labels: Mapping[str, str] | None = None) -> Figure:
    """Neurons that languages share: Jaccard index as colour, count as number."""
    title = _named(mask)
    with lettering(labels, (title, *mask.languages)) as letters:
        size = _overlap_size(mask)
        figure = _framed(max(size + 0.6, 4.2), size, title, mask)
        _overlap(figure.subplots(), mask, letters)
        letters.finish(figure)
    return figure


def mask_figure(mask: NeuronMask, labels: Mapping[str, str] | None = None) -> Figure:
    """Both beside each other."""
    title = _named(mask)
    with lettering(labels, (title, *mask.languages, *mask.model.layers)) as letters:
        left, height = _layers_size(mask)
        right = _overlap_size(mask)
        figure = _framed(left + right, max(right - 0.4, height), title, mask)
        halves: Any = figure.subfigures(1, 2, width_ratios=[left, right])
        maps, side = halves
        _layer_axes(maps, mask, letters)
        _overlap(side.subplots(), mask, letters)
        letters.finish(figure)
    return figure


def _named(mask: NeuronMask) -> str:
    return f"{mask.method.name} · {mask.model.name or mask.model.type or 'model not named'}"


def _signature(mask: NeuronMask) -> str:
    """The parts of a signature that a mask alone has."""
    hookpoints = ",".join(mask.hookpoints) or "none"
    return (
        f"model:{mask.model.name or mask.model.type or 'not named'}|mask:sha256-{mask.digest[:12]}|"
        f"method:{mask.method.name}|hookpoint:{hookpoints}"
    )


def _layers_size(mask: NeuronMask) -> tuple[float, float]:
    width = float(np.clip(2 + 0.28 * len(mask.model.layers), 4, 14))
    return width, max(len(mask.hookpoints), 1) * (1.3 + 0.3 * len(mask.languages)) + 0.1


def _overlap_size(mask: NeuronMask) -> float:
    return 2.2 + _cell(mask) * len(mask.languages)


def _cell(mask: NeuronMask) -> float:
    return 0.55 if len(mask.languages) <= 20 else 0.3


def _framed(width: float, height: float, title: str, mask: NeuronMask) -> Figure:
    """A figure with room for what is drawn between its title and its note."""
    heading = style.Heading(title, width)
    notes = style.Notes([_signature(mask)], width)
    whole = heading.height + height + notes.height
    figure = style.new_figure(width, whole, title)
    heading.write(figure)
    notes.write(figure)
    figure.set_layout_engine(
        "constrained", rect=(0, notes.height / whole, 1, height / whole), w_pad=0.12
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
    axes.set_xticks(shown, [mask.model.layers[number] for number in shown])
    if style.widest(mask.model.layers, style.LABEL) > 0.3:
        axes.tick_params(axis="x", rotation=90)
    axes.set_xlabel("layer")
    axes.set_title(f"neurons per layer at {hookpoint}", fontsize=style.TITLE)
    if counts.size <= _LABELLED_CELLS:
        size = 8 if counts.shape[1] <= 16 else 5.5
        _numbers(axes, counts, [[f"{n}" for n in row] for row in counts], counts.max(), size)
    bar = axes.figure.colorbar(image, ax=axes, label="neurons", fraction=0.04, pad=0.01, aspect=30)
    bar.locator = MaxNLocator(integer=True, min_n_ticks=1)
    bar.update_ticks()


def _overlap(axes: Axes, mask: NeuronMask, letters: Lettering) -> None:
    overlap = language_overlap(mask)
    # A language is alike itself; leaving the diagonal out keeps the scale for what is to be seen.
    shade = overlap.jaccard.copy()
    np.fill_diagonal(shade, np.nan)
    known = shade[~np.isnan(shade)]
    limit = max(float(known.max()) if known.size else 0.0, 0.01)
    image = axes.imshow(shade, cmap=style.AMOUNT, vmin=0, vmax=limit, interpolation="nearest")
    axes.set_facecolor("0.88")
    names = [letters.name(language) for language in mask.languages]
    axes.set_xticks(range(len(names)), names)
    if style.widest(names, style.LABEL) > _cell(mask) - 0.05:
        axes.tick_params(axis="x", rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_title("neurons shared by languages", fontsize=style.TITLE)
    if overlap.counts.size <= _LABELLED_CELLS:
        _numbers(axes, shade, [[f"{n:,}" for n in row] for row in overlap.counts], limit, 8)
    axes.figure.colorbar(image, ax=axes, label="Jaccard index", fraction=0.046, pad=0.03)


def _numbers(
    axes: Axes, shade: Any, texts: Sequence[Sequence[str]], limit: float, size: float
) -> None:
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
