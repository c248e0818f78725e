"""`plot`: from results or a mask to a figure, as `lsn-eval plot` draws it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from lsn_eval.comparing import Comparison, Panel, compare, with_targets
from lsn_eval.comparing.panels import own_language
from lsn_eval.errors import LsnError
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.plotting.answers import answer_bars
from lsn_eval.plotting.bars import bars
from lsn_eval.plotting.dose_curves import dose_curves
from lsn_eval.plotting.heat_map import heat_map
from lsn_eval.plotting.layer_figures import dominance_map, lens_shares, similarity_by_layer
from lsn_eval.plotting.lettering import PlotWarning
from lsn_eval.plotting.mask_figures import layer_map, overlap_map
from lsn_eval.plotting.notes import remarks
from lsn_eval.plotting.saving import check_target, save_figure
from lsn_eval.representations.measures import LayerMeasures
from lsn_eval.results import read_results
from lsn_eval.results.choosing import ALL, Choice
from lsn_eval.results.languages import target_of
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.results.run_files import Paths
from lsn_eval.results.scale import scale_of
from lsn_eval.wording.lists import listed

OF_RESULTS: dict[str, Callable[..., Figure]] = {
    "heatmap": heat_map,
    "dose": dose_curves,
    "bars": bars,
    "answers": answer_bars,
}
OF_MASKS = {"layers": layer_map, "overlap": overlap_map}
OF_LAYERS: dict[str, Callable[..., Figure]] = {
    "similarity": similarity_by_layer,
    "dominance": dominance_map,
    "lens": lens_shares,
}


def plot(
    kind: str,
    given: Paths | Iterable[Row] | Comparison | NeuronMask | LayerMeasures,
    out: str | os.PathLike[str] | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    mask: str | None = None,
    test: bool = True,
    by: str | None = None,
    change: bool = False,
    **chosen: str | Iterable[str] | None,
) -> Figure:
    """A figure of results (`heatmap`, `dose`, `bars`, `answers`), of a mask (`layers`, `overlap`),
    or of what layers hold of parallel texts (`similarity`, `dominance`, `lens`).

        plot("heatmap", "sweep")
        plot("layers", "demo/planted", "layers.png")

    Args:
        given: results files, folders, rows or a comparison; or a mask, its file or its name; or
            what `measure_layers` gave, or its file.
        out: a file to write it to as well: .png, .svg or .pdf.
        labels: what languages are called, by code.
        mask: of the mask whose digest starts so; of `similarity`, a mask to be drawn below.
        test: read the samples for intervals; a comparison has read them.
        by, change: see `dose_curves`.
        chosen: names or patterns of the `task`, `metric`, `model`, `condition` and `language` to
            draw, one or several; without a metric the first, of `bars` and `answers` language
            accuracy.

    Warns:
        PlotWarning: what should be known of the figure, such as likely no-ops.

    Raises:
        LsnError: nothing, or more than one thing, is what was asked for.
    """
    if out is not None:
        check_target(out)  # before the work
    if kind != "dose" and (by or change):
        raise LsnError(f"by and change are of the figure 'dose', not of {kind!r}")
    if kind in OF_MASKS and not chosen and not isinstance(given, Comparison):
        loaded = NeuronMask.load(given)  # type: ignore[arg-type]
        figure = OF_MASKS[kind](loaded, _labels(labels, loaded.languages))
    elif kind in OF_LAYERS and isinstance(given, str | os.PathLike | LayerMeasures):
        measures = given if isinstance(given, LayerMeasures) else LayerMeasures.load(given)
        below = {"mask": NeuronMask.load(mask)} if mask is not None else {}
        names = _labels(labels, [*measures.languages, *(below["mask"].languages if below else ())])
        figure = OF_LAYERS[kind](measures, names, **chosen, **below)
    elif kind in OF_RESULTS and not isinstance(given, NeuronMask):
        options: dict[str, Any] = {"by": by, "change": change} if kind == "dose" else {}
        choice = Choice.named(**chosen)
        comparison, there = _compared(kind, given, choice, mask, test)
        panels = _one_of(comparison.panels, f"{choice}{mask or ''}" != "", kind != "dose")
        languages = {row.language for row in there} | {own_language(row.condition) for row in there}
        options["labels"] = _labels(labels, filter(None, languages))
        first = panels[0]
        shown = panels if kind == "dose" else first
        figure = OF_RESULTS[kind](shown, draws=comparison.draws, **options)
        others = dict.fromkeys(f"{row.metric} of {row.family}" for row in there if row.usable)
        others.pop(f"{first.metric} of {first.family}", None)
        also = [f"drawn is {first.title}; there are also {listed(others)}"] if others else []
        # Who compared knows what else there is.
        also = [] if isinstance(given, Comparison) else also
        for note in (*comparison.notes, *remarks(panels), *also):
            warnings.warn(note, PlotWarning, stacklevel=2)
    else:
        raise LsnError(
            f"figure {kind!r} of a {type(given).__name__}: one of {', '.join(OF_RESULTS)} of "
            f"results, of {', '.join(OF_MASKS)} of a mask, or of {', '.join(OF_LAYERS)} of layers "
            "was expected"
        )
    if out is not None:
        save_figure(figure, out)
    return figure


def _compared(
    kind: str, given: Any, choice: Choice, mask: str | None, test: bool
) -> tuple[Comparison, Sequence[Row]]:
    """The comparison of what is meant, and the rows that there are."""
    there = given.rows if isinstance(given, Comparison) else read_results(given)
    if test and not isinstance(given, Comparison):
        there = with_targets(there)
    rows: Sequence[Row] = choice.rows(there)
    if not choice.metrics:  # what steering reads in the same answers is drawn by its name
        rows = [row for row in rows if not target_of(row.metric)]
    if kind in ("bars", "answers") and not choice.metrics:
        rows = _for_bars(replace(choice, metrics=(ALL,)).rows(there))
    rows = rows if mask is None else _of_mask(rows, mask)
    if not isinstance(given, Comparison):
        return compare(rows, test=test, beside=there), there
    if choice.conditions or choice.languages:
        raise LsnError(
            "a comparison is drawn with all its conditions and languages; choose them before: "
            "compare(results, condition=..., language=...)"
        )
    meant = {(row.model, row.family, row.name, row.mask) for row in rows}
    panels = (x for x in given.panels if (x.model, x.family, x.metric, x.mask) in meant)
    return replace(given, panels=tuple(panels)), there


def _labels(names: Mapping[str, str] | None, languages: Iterable[str]) -> Mapping[str, str]:
    """Names by code, of languages that are in the data."""
    there = sorted(set(languages))
    if absent := [code for code in names or {} if code not in there]:
        known = ", ".join(there) or "no languages"
        raise LsnError(f"--label names {absent[0]}, which is not in the data; there are {known}")
    return names or {}


def _of_mask(rows: Sequence[Row], mask: str) -> list[Row]:
    start = f"sha256-{mask.removeprefix('sha256-')}"
    masks = {row.mask for row in rows if row.condition != NO_CONDITION}
    if not any(digest.startswith(start) for digest in masks):
        there = listed(sorted(masks)) or "none"
        raise LsnError(f"--mask {mask}: no such mask in the results; there are {there}")
    return [r for r in rows if r.mask.startswith(start) or r.condition == NO_CONDITION]


def _one_of(panels: Sequence[Panel], asked: bool, masks_apart: bool) -> list[Panel]:
    """The first panel, and with `masks_apart=False` those that differ from it in the mask alone.

    Raises:
        LsnError: something was asked for, and several panels are that.
    """

    def key(panel: Panel) -> tuple[str, ...]:
        digest = (panel.mask,) if masks_apart else ()
        return (panel.model, panel.dtype, panel.family, panel.metric, *digest)

    if not panels:
        raise LsnError("nothing in the comparison is meant by that")
    if asked and len({key(panel) for panel in panels}) > 1:
        titles = "\n".join(f"  {panel.title}" for panel in panels)
        raise LsnError(
            f"that can mean several; say which with --metric, --task, --model and --mask:\n{titles}"
        )
    return [panel for panel in panels if key(panel) == key(panels[0])]


def _for_bars(rows: Sequence[Row]) -> Sequence[Row]:
    """Language accuracy; where there is none, the first metric that is no perplexity."""
    accuracy = [row for row in rows if "language_accuracy" in row.metric]
    linear = [row for row in rows if scale_of(row.metric) == "linear"]
    metric = (accuracy or linear or rows)[0].metric
    return [row for row in rows if row.metric == metric]
