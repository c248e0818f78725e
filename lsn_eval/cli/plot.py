"""`lsn-eval plot`: figures of results and masks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lsn_eval.comparing import Comparison, Panel
    from lsn_eval.masks.mask import NeuronMask

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
Metric = Annotated[str | None, typer.Option(help="Of this metric.", show_default="the first")]
Task = Annotated[str | None, typer.Option(help="Of this task or family, e.g. 'lsn_demo_ppl_*'.")]
Model = Annotated[str | None, typer.Option(help="Of this model, where there are several.")]
MaskStart = Annotated[
    str | None, typer.Option("--mask", help="Of the mask whose digest starts so.")
]
Test = Annotated[bool, typer.Option("--test/--no-test", help="Read the samples for intervals.")]


@app.command()
def heatmap(
    results: Results,
    out: Out,
    metric: Metric = None,
    task: Task = None,
    model: Model = None,
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
    from lsn_eval.plotting.choosing import Choice, choose_panel

    with _drawing(out, label) as (labels, save):
        found = _compared(results, test)
        _check_labels(labels, _languages(found.panels))
        panel = choose_panel(found.panels, Choice(metric, task, model, mask))
        save(heat_map(panel, labels, found.draws))
        _say(found.panels, [panel])


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
    metric: Metric = None,
    task: Task = None,
    model: Model = None,
    mask: MaskStart = None,
    label: Labels = None,
    test: Test = True,
) -> None:
    """Draw a metric against the dose, a line for each language of text.

    The dose is the factor of de:x0.5, the number of de:1.5 or de:+1.5, or how many neurons were
    written, by masks of different sizes.

    Example: lsn-eval plot dose doses --out doses.png
    """
    from lsn_eval.errors import LsnError
    from lsn_eval.plotting import dose_curves
    from lsn_eval.plotting.choosing import Choice, choose_panels
    from lsn_eval.plotting.doses import By

    if by is not None and by not in get_args(By):
        raise LsnError(f"--by {by}: one of {', '.join(get_args(By))} was expected")
    chosen: Literal["scale", "value", "added", "neurons"] | None = by  # type: ignore[assignment]
    with _drawing(out, label) as (labels, save):
        found = _compared(results, test)
        _check_labels(labels, _languages(found.panels))
        panels = choose_panels(found.panels, Choice(metric, task, model, mask))
        save(dose_curves(panels, chosen, labels, found.draws, change))
        _say(found.panels, panels)


@app.command()
def bars(
    results: Results,
    out: Out,
    conditions: Annotated[
        str | None,
        typer.Option(help="These alone, e.g. de:zero,zh:zero.", show_default="all"),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="Of this metric.", show_default="language accuracy, if it is there"),
    ] = None,
    task: Task = None,
    model: Model = None,
    mask: MaskStart = None,
    label: Labels = None,
    test: Test = True,
) -> None:
    """Draw a metric without and with each condition, language by language.

    Example: lsn-eval plot bars answers --out accuracy.png

    Example: lsn-eval plot bars answers --conditions de:zero --metric repetition --out de.svg
    """
    from lsn_eval.plotting import bars as draw
    from lsn_eval.plotting.choosing import Choice, choose_panel

    wanted = None if conditions is None else [name.strip() for name in conditions.split(",")]
    with _drawing(out, label) as (labels, save):
        found = _compared(results, test)
        _check_labels(labels, _languages(found.panels))
        panel = choose_panel(found.panels, Choice(metric, task, model, mask), _for_bars(found))
        save(draw(panel, wanted, labels, found.draws))
        _say(found.panels, [panel])


@app.command()
def layers(mask: MaskName, out: Out, label: Labels = None) -> None:
    """Draw how many neurons of each language every layer has.

    Example: lsn-eval plot layers demo/planted --out layers.png
    """
    from lsn_eval.plotting import layer_map

    with _drawing(out, label) as (labels, save):
        chosen = _mask(mask)
        _check_labels(labels, chosen.languages)
        save(layer_map(chosen, labels))


@app.command()
def overlap(mask: MaskName, out: Out, label: Labels = None) -> None:
    """Draw how many neurons languages share.

    Example: lsn-eval plot overlap demo/planted --out overlap.png
    """
    from lsn_eval.plotting import overlap_map

    with _drawing(out, label) as (labels, save):
        chosen = _mask(mask)
        _check_labels(labels, chosen.languages)
        save(overlap_map(chosen, labels))


@contextmanager
def _drawing(
    out: Path, label: Sequence[str] | None
) -> Iterator[tuple[dict[str, str], Callable[[Figure], None]]]:
    """Names of languages, and what writes the figure. The target is checked before the work."""
    import warnings

    from lsn_eval.plotting.fonts import FontWarning
    from lsn_eval.plotting.saving import check_target, save_figure

    labels = _labels(label or ())
    check_target(out)

    def save(figure: Figure) -> None:
        save_figure(figure, out)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FontWarning)
        yield labels, save
    for warning in caught:
        if issubclass(warning.category, FontWarning):
            print(f"note: {warning.message}", file=sys.stderr)
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    print(f"written to {out}")


def _labels(texts: Sequence[str]) -> dict[str, str]:
    from lsn_eval.errors import LsnError

    found: dict[str, str] = {}
    for text in texts:
        code, equals, name = (part.strip() for part in text.partition("="))
        if not (code and equals and name):
            raise LsnError(f"--label {text}: CODE=NAME was expected, for instance de=Deutsch")
        if found.get(code, name) != name:
            raise LsnError(f"--label gives {code} two names, {found[code]} and {name}; give one")
        found[code] = name
    return found


def _check_labels(labels: Mapping[str, str], languages: Iterable[str]) -> None:
    from lsn_eval.errors import LsnError

    there = sorted(set(languages))
    if unknown := [code for code in labels if code not in there]:
        raise LsnError(
            f"--label names {', '.join(unknown)}, which is not in the data; there are "
            f"{', '.join(there) or 'no languages'}"
        )


def _languages(panels: Sequence[Panel]) -> set[str]:
    """Of the texts, and those that conditions are about."""
    from lsn_eval.comparing.panels import own_language

    about = {own_language(condition) for panel in panels for condition in panel.conditions}
    return {x for panel in panels for x in panel.languages} | {x for x in about if x}


def _compared(paths: Sequence[Path], test: bool) -> Comparison:
    from lsn_eval.comparing import compare
    from lsn_eval.results import read_results

    comparison = compare(read_results(paths), test=test)
    for note in comparison.notes:
        print(f"note: {note}", file=sys.stderr)
    return comparison


def _say(panels: Sequence[Panel], drawn: Sequence[Panel]) -> None:
    """What to know of the panels drawn, and which others there are."""
    from lsn_eval.plotting.missing_intervals import reasons

    for reason in reasons(drawn):
        print(f"note: {reason}", file=sys.stderr)
    others = [f"{p.metric} of {p.family}" for p in panels if not any(p is d for d in drawn)]
    if others:
        print(
            f"note: drawn is {drawn[0].title}; there are also {', '.join(dict.fromkeys(others))}",
            file=sys.stderr,
        )


def _for_bars(comparison: Comparison) -> Callable[[Panel], bool]:
    """Language accuracy; where there is none, a metric that is no perplexity."""
    accuracies = [p for p in comparison.panels if "language_accuracy" in p.metric]
    if accuracies:
        return lambda panel: "language_accuracy" in panel.metric
    return lambda panel: panel.scale == "linear"


def _mask(name: str) -> NeuronMask:
    from lsn_eval.masks.mask import NeuronMask

    return NeuronMask.load(name)
