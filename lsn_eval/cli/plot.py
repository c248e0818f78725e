"""`lsn-eval plot`: figures of results and masks."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from lsn_eval.cli.choosing_options import (
    Conditions,
    Languages,
    Metrics,
    Models,
    Tasks,
    choice_of,
    metric_option,
)
from lsn_eval.errors import LsnError
from lsn_eval.visible_text import one_line
from lsn_eval.wording.lists import listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lsn_eval.comparing import Panel
    from lsn_eval.results.choosing import Choice
    from lsn_eval.results.rows import Row

app = typer.Typer(
    no_args_is_help=True, help="Draw results and masks: PNG, SVG or PDF, for print and pages."
)

Results = Annotated[
    list[Path], typer.Argument(help="Results files of lm-eval, or folders that hold them.")
]
MaskName = Annotated[str, typer.Argument(help="A mask file, or the name of a shipped mask.")]
Out = Annotated[Path, typer.Option(help="The figure to write: .png, .svg or .pdf.")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="CODE=NAME, what a language is called in the figure; repeat."),
]
MaskStart = Annotated[
    str | None, typer.Option("--mask", help="Of the mask whose digest starts so.")
]
Test = Annotated[bool, typer.Option("--test/--no-test", help="Read the samples for intervals.")]


@app.command()
def heatmap(
    results: Results,
    out: Out,
    task: Tasks = None,
    metric: Metrics = None,
    model: Models = None,
    condition: Conditions = None,
    language: Languages = None,
    mask: MaskStart = None,
    label: Labels = None,
    test: Test = True,
) -> None:
    """Draw what every condition changed in every language, with controls beside it.

    Perplexities show the relative change, other metrics the difference.

    Example: lsn-eval plot heatmap sweep --out change.png

    Example: lsn-eval plot heatmap sweep --metric bits_per_byte --label de=Deutsch --out bits.pdf
    """
    from lsn_eval.plotting import heat_map

    choice = choice_of(task, metric, model, condition, language)
    _draw_panels(heat_map, out, label, results, choice, mask, test)


@app.command()
def dose(
    results: Results,
    out: Out,
    by: Annotated[
        str | None,
        typer.Option(help="scale, value, added or neurons.", show_default="what varies"),
    ] = None,
    change: Annotated[
        bool, typer.Option("--change", help="Draw the change instead of the value.")
    ] = False,
    task: Tasks = None,
    metric: Metrics = None,
    model: Models = None,
    condition: Conditions = None,
    language: Languages = None,
    mask: MaskStart = None,
    label: Labels = None,
    test: Test = True,
) -> None:
    """Draw a metric against the dose, a line for each language of text.

    The dose is the factor of de:x0.5, the number of de:1.5 or de:+1.5, or how many neurons were
    written, by masks of different sizes.

    Example: lsn-eval plot dose doses --out doses.png
    """
    from lsn_eval.plotting import dose_curves
    from lsn_eval.plotting.doses import By

    if by not in (None, *get_args(By)):
        raise LsnError(f"--by {by}: one of {', '.join(get_args(By))} was expected")
    choice = choice_of(task, metric, model, condition, language)
    curves = functools.partial(dose_curves, by=cast("By | None", by), change=change)
    _draw_panels(curves, out, label, results, choice, mask, test, masks_apart=False)


@app.command()
def bars(
    results: Results,
    out: Out,
    task: Tasks = None,
    metric: Annotated[list[str] | None, metric_option("language accuracy, if it is there")] = None,
    model: Models = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition",
            "--conditions",
            help="Conditions, with their controls; repeat, or give several with commas.",
            show_default="all",
        ),
    ] = None,
    language: Languages = None,
    mask: MaskStart = None,
    label: Labels = None,
    test: Test = True,
) -> None:
    """Draw a metric without and with each condition, language by language.

    Example: lsn-eval plot bars answers --out accuracy.png

    Example: lsn-eval plot bars answers --condition de:zero --metric repetition --out de.svg
    """
    from lsn_eval.plotting import bars as draw

    choice = choice_of(task, metric, model, condition, language)
    _draw_panels(draw, out, label, results, choice, mask, test, prefer=_for_bars)


@app.command()
def layers(mask: MaskName, out: Out, label: Labels = None) -> None:
    """Draw how many neurons of each language every layer has.

    Example: lsn-eval plot layers demo/planted --out layers.png
    """
    from lsn_eval.plotting import layer_map

    _draw_mask(layer_map, out, label, mask)


@app.command()
def overlap(mask: MaskName, out: Out, label: Labels = None) -> None:
    """Draw how many neurons languages share.

    Example: lsn-eval plot overlap demo/planted --out overlap.png
    """
    from lsn_eval.plotting import overlap_map

    _draw_mask(overlap_map, out, label, mask)


def _draw_mask(draw: Callable[..., Figure], out: Path, label: list[str] | None, mask: str) -> None:
    from lsn_eval.masks.mask import NeuronMask

    with _figure_to(out) as save:
        loaded = NeuronMask.load(mask)
        save(draw(loaded, _labels(label, loaded.languages)))


@contextmanager
def _figure_to(out: Path) -> Iterator[Callable[[Figure], None]]:
    """What writes the figure. The target is checked before the work."""
    import warnings

    from lsn_eval.plotting.lettering import FontWarning
    from lsn_eval.plotting.saving import check_target, save_figure

    check_target(out)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FontWarning)
        yield lambda figure: save_figure(figure, out)
    for told in caught:
        if told.category is FontWarning:
            _note(str(told.message))
        else:
            warnings.warn_explicit(told.message, told.category, told.filename, told.lineno)
    print(f"written to {out}")


def _draw_panels(
    draw: Callable[..., Figure],
    out: Path,
    label: Sequence[str] | None,
    results: Sequence[Path],
    choice: Choice,
    mask: str | None,
    test: bool,
    *,
    prefer: Callable[[Sequence[Row]], Sequence[Row]] | None = None,
    masks_apart: bool = True,
) -> None:
    """Write the figure of the panels that are meant.

    Args:
        draw: of one panel, or with `masks_apart=False` of several.
        prefer: takes some of the rows where no metric was asked for.
        masks_apart: draw the panel of one mask alone.
    """
    from dataclasses import replace

    from lsn_eval.comparing import compare
    from lsn_eval.comparing.panels import own_language
    from lsn_eval.plotting.notes import remarks
    from lsn_eval.results import read_results
    from lsn_eval.results.choosing import ALL

    with _figure_to(out) as save:
        there = read_results(results)
        if prefer is not None and not choice.metrics:
            rows = prefer(replace(choice, metrics=(ALL,)).rows(there))
        else:
            rows = choice.rows(there)
        rows = rows if mask is None else _of_mask(rows, mask)
        languages = {row.language for row in there} | {own_language(row.condition) for row in there}
        labels = _labels(label, filter(None, languages))
        comparison = compare(rows, test=test, beside=there)
        panels = _one_of(comparison.panels, f"{choice}{mask or ''}" != "", masks_apart)
        shown = panels[0] if masks_apart else panels
        save(draw(shown, labels=labels, draws=comparison.draws))
    for note in (*comparison.notes, *remarks(panels)):
        _note(note)
    others = dict.fromkeys(f"{row.metric} of {row.family}" for row in there if row.usable)
    others.pop(f"{panels[0].metric} of {panels[0].family}", None)
    if others:
        _note(f"drawn is {panels[0].title}; there are also {listed(others)}")


def _note(text: str) -> None:
    print(f"note: {one_line(text)}", file=sys.stderr)


def _labels(texts: Sequence[str] | None, languages: Iterable[str]) -> dict[str, str]:
    """Names by code, of languages that are in the data."""
    names: dict[str, str] = {}
    there = sorted(set(languages))
    for text in texts or ():
        code, equals, name = (part.strip() for part in text.partition("="))
        if not (code and equals and name):
            raise LsnError(f"--label {text}: CODE=NAME was expected, for instance de=Deutsch")
        if names.get(code, name) != name:
            raise LsnError(f"--label gives {code} two names, {names[code]} and {name}; give one")
        if code not in there:
            raise LsnError(
                f"--label names {code}, which is not in the data; there are "
                f"{', '.join(there) or 'no languages'}"
            )
        names[code] = name
    return names


def _of_mask(rows: Sequence[Row], mask: str) -> list[Row]:
    from lsn_eval.results.rows import NO_CONDITION

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

    if asked and len({key(panel) for panel in panels}) > 1:
        titles = "\n".join(f"  {panel.title}" for panel in panels)
        raise LsnError(
            f"that can mean several; say which with --metric, --task, --model and --mask:\n{titles}"
        )
    return [panel for panel in panels if key(panel) == key(panels[0])]


def _for_bars(rows: Sequence[Row]) -> Sequence[Row]:
    """Language accuracy; where there is none, the first metric that is no perplexity."""
    from lsn_eval.results.scale import scale_of

    accuracy = [row for row in rows if "language_accuracy" in row.metric]
    linear = [row for row in rows if scale_of(row.metric) == "linear"]
    metric = (accuracy or linear or rows)[0].metric
    return [row for row in rows if row.metric == metric]
