"""What layers hold of parallel texts as figures: similarity, dominance, and the logit lens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lsn_eval.errors import LsnError
from lsn_eval.masks.comparison import layer_distribution
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.plotting import style
from lsn_eval.plotting.fonts import drawable
from lsn_eval.plotting.lettering import Lettering, lettering
from lsn_eval.representations.measures import LayerMeasures

_WIDTH = 7.0
_HEIGHT = 2.6
"""Inches of a row of axes."""
_CONTROL: dict[str, Any] = {"color": "0.45", "linestyle": (0, (1, 2)), "linewidth": 0.9}
_HATCHES = ("", "///", "...", "xxx")
_NOBODY = "0.85"
"""Tokens of no text."""


def similarity_by_layer(
    measures: LayerMeasures,
    labels: Mapping[str, str] | None = None,
    *,
    condition: str | None = None,
    mask: NeuronMask | None = None,
) -> Figure:
    """Similarity of translations, layer by layer, above the neurons of a mask in each.

    A line a condition: the mean over all pairs of languages with its interval. Of one condition
    also every language's mean over its pairs. Dotted: sentences that are no translations.
    """
    shown = _chosen(measures, condition) if condition else measures.conditions
    with lettering(labels) as letters:
        figure = _framed(measures, shown, "Similarity of translations", 2 if mask else 1)
        axes = figure.subplots(2 if mask else 1, 1, sharex=True, squeeze=False)[:, 0]
        handles = []
        for number, name in enumerate(shown):
            records = [r for r in measures.of("similarity", name) if r["row"] == "all"]
            value, low, high, control = (
                [r[part] for r in records] for part in ("value", "low", "high", "control")
            )
            look = style.line_look(number)
            x = range(len(records))
            label = f"{letters.condition(name, None)}, all pairs"
            handles += axes[0].plot(
                x, value, **look | {"linewidth": 2.0}, label=label, gid="line all"
            )
            axes[0].fill_between(x, low, high, color=look["color"], alpha=0.2, linewidth=0)
            axes[0].plot(x, control, **_CONTROL | {"color": look["color"]}, gid="control")
        for number, language in enumerate(measures.languages if len(shown) == 1 else ()):
            means = _means(measures, shown[0], language)
            look = style.line_look(number + 1) | {"linewidth": 0.8, "markersize": 3}
            name = letters.name(language)
            handles += axes[0].plot(means, **look, label=name, gid=f"line {drawable(language)}")
        handles.append(Line2D([], [], **_CONTROL, label="no translations"))
        axes[0].set_ylabel("cosine", fontsize=style.SMALL)
        _layered(axes[0], measures)
        _legend(axes[0], handles)
        if mask is not None:
            axes[0].set_xlabel("")
            _neurons(axes[1], measures, mask, letters)
    return figure


def _means(measures: LayerMeasures, condition: str, language: str) -> list[float]:
    """[layer] of a language's pairs with all others."""
    pairs = [r for r in measures.of("similarity", condition) if language in (r["row"], r["column"])]
    return [
        float(np.mean([r["value"] for r in pairs if r["layer"] == layer]))
        for layer in measures.layers
    ]


def _neurons(axes: Axes, measures: LayerMeasures, mask: NeuronMask, letters: Lettering) -> None:
    """Neurons of each language in every layer, stacked; those of experts count for their layer."""
    places = [name.split(".")[0] for name in mask.model.layers]
    if unknown := set(places) - set(measures.layers):
        raise LsnError(
            f"the mask has a layer {min(unknown)}, and the file has {len(measures.layers) - 1} "
            "layers: are they of the same model?"
        )
    counts = np.zeros((len(mask.languages), len(measures.layers)))
    for hookpoint in mask.hookpoints:
        for number, place in enumerate(places):
            column = measures.layers.index(place)
            counts[:, column] += layer_distribution(mask, hookpoint)[:, number]
    below = np.zeros(len(measures.layers))
    for number, language in enumerate(mask.languages):
        axes.bar(
            range(len(below)), counts[number], bottom=below, **_filled(number),
            label=letters.name(language), gid=f"neurons {drawable(language)}",
        )  # fmt: skip
        below += counts[number]
    axes.set_ylabel("neurons of the mask", fontsize=style.SMALL)
    _layered(axes, measures)
    _legend(axes, axes.get_legend_handles_labels()[0][::-1])


def dominance_map(
    measures: LayerMeasures,
    labels: Mapping[str, str] | None = None,
    *,
    condition: str | None = None,
) -> Figure:
    """How well each language (row) is mapped onto each other (column), mean over layers; and the
    mean of each column, layer by layer."""
    (name,) = _chosen(measures, condition)
    matrix = measures.matrix("dominance", name)
    with lettering(labels) as letters:
        figure = _framed(measures, [name], "Language dominance", 1)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.3])
        names = [letters.name(language) for language in measures.languages]
        mean = matrix.mean(0)
        image = left.imshow(mean, cmap=style.AMOUNT, interpolation="nearest")
        left.set_facecolor("0.88")
        size = min(style.SMALL, 130 / len(names))
        left.set_xticks(range(len(names)), names, fontsize=size, rotation=90)
        left.set_yticks(range(len(names)), names, fontsize=size)
        left.set_xlabel("mapped onto", fontsize=style.SMALL)
        left.set_ylabel("language", fontsize=style.SMALL)
        bar = figure.colorbar(image, ax=left, fraction=0.046)
        bar.set_label("cosine, mean over layers", fontsize=style.SMALL)
        bar.ax.tick_params(labelsize=style.SMALL)
        for number, degrees in enumerate(measures.dominance_degrees(name).values()):
            code = measures.languages[number]
            look = style.line_look(number)
            right.plot(degrees, **look, label=names[number], gid=f"line {drawable(code)}")
        right.set_ylabel("cosine, mean over the other languages", fontsize=style.SMALL)
        _layered(right, measures)
        _legend(right, right.get_legend_handles_labels()[0])
    return figure


def lens_shares(
    measures: LayerMeasures,
    labels: Mapping[str, str] | None = None,
    *,
    condition: str | None = None,
) -> Figure:
    """Whose tokens every layer decodes to, a plot for each language of the text."""
    (name,) = _chosen(measures, condition)
    shares = measures.matrix("lens", name)
    count = len(measures.languages)
    columns = min(3 if count < 10 else 4, count)
    rows = -(-count // columns)
    with lettering(labels) as letters:
        figure = _framed(measures, [name], "Logit lens: probability by language of token", rows)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        looks = [_filled(number) for number in range(count)]
        looks.append({**looks[0], "facecolor": _NOBODY, "hatch": ""})
        for number, axes in enumerate(grid.flat):
            if number >= count:
                axes.set_axis_off()
                continue
            each = shares[:, number].T
            for area, look in zip(
                axes.stackplot(range(len(measures.layers)), *each, 1 - each.sum(0)),
                looks,
                strict=True,
            ):
                area.set(**look)
            text = letters.beside(measures.languages[number], " text")
            axes.set_title(text, fontsize=style.LABEL, loc="left")
            _layered(axes, measures)
            if number + columns < count:
                axes.set_xlabel("")
            else:
                axes.tick_params(labelbottom=True)
            axes.set_ylim(0, 1)
        names = [letters.name(language) for language in measures.languages]
        texts = [*names, "no text"]
        handles = [Patch(**look, label=text) for look, text in zip(looks, texts, strict=True)]
        figure.legend(
            handles=handles, loc="outside right upper", fontsize=style.SMALL, frameon=False
        )
    return figure


def _chosen(measures: LayerMeasures, condition: str | None) -> Sequence[str]:
    wanted = condition or measures.conditions[0]
    if wanted not in measures.conditions:
        raise LsnError(
            f"--condition {wanted}: it was not measured; there are {', '.join(measures.conditions)}"
        )
    return [wanted]


def _framed(measures: LayerMeasures, shown: Sequence[str], title: str, rows: int) -> Figure:
    notes = [*measures.about["notes"], *(measures.signature(name) for name in shown)]
    under = f" · {shown[0]}" if len(shown) == 1 and shown[0] != "none" else ""
    frame = style.Frame(f"{title} · {measures.about['model']}{under}", notes, _WIDTH)
    figure = frame.figure(rows * _HEIGHT)
    whole = figure.get_size_inches()[1]
    figure.set_layout_engine(
        "constrained", rect=(0, frame.below / whole, 1, rows * _HEIGHT / whole), w_pad=0.1
    )
    return figure


def _legend(axes: Axes, handles: Sequence[Any]) -> None:
    """Beside the axes, where it lies on nothing."""
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1, 1), fontsize=style.SMALL,
        frameon=False, ncols=1 + (len(handles) - 1) // 12,
    )  # fmt: skip


def _filled(number: int) -> dict[str, Any]:
    """The look of an area: seven colours, four hatchings."""
    return {
        "facecolor": style.line_look(number)["color"], "hatch": _HATCHES[number // 7 % 4],
        "edgecolor": "white", "linewidth": 0.3,
    }  # fmt: skip


def _layered(axes: Axes, measures: LayerMeasures) -> None:
    step = max(1, round(len(measures.layers) / 16))
    shown = [0, *range(1, len(measures.layers), step)]
    names = ["emb", *(measures.layers[number] for number in shown[1:])]
    axes.set_xticks(shown, names)
    axes.set_xlabel("layer", fontsize=style.SMALL)
    style.graph(axes, color="0.9")
