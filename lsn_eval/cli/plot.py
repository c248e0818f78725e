"""`lsn-eval plot`: figures of results and masks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lsn_eval.cli import options
from lsn_eval.visible_text import one_line

app = typer.Typer(
    no_args_is_help=True, help="Draw results and masks: PNG, SVG or PDF, for print and pages."
)

Out = Annotated[Path, typer.Option(help="The figure to write: .png, .svg or .pdf.")]
Labels = Annotated[
    list[str] | None,
    options.several("CODE=NAME, what a language is called in the figure", "--label", pairs=True),
]
MaskStart = Annotated[
    str | None, typer.Option("--mask", help="Of the mask whose digest starts so.")
]
Test = Annotated[bool, typer.Option("--test/--no-test", help="Read the samples for intervals.")]


def _drawn(
    results: options.Results, out: Out, mask: MaskStart = None, label: Labels = None
) -> None:
    """What every figure of results has."""


@app.command()
@options.sharing(options.chosen, _drawn)
def heatmap(metric: options.Metrics = None, test: Test = True, **given: Any) -> None:
    """Draw what every condition changed in every language, with controls beside it.

    Perplexities show the relative change, other metrics the difference.

    Example: lsn-eval plot heatmap sweep --out change.png

    Example: lsn-eval plot heatmap sweep --metric bits_per_byte --label de=Deutsch --out bits.pdf
    """
    _draw("heatmap", metric=metric, test=test, **given)


@app.command()
@options.sharing(options.chosen, _drawn)
def dose(
    by: Annotated[
        str | None,
        typer.Option(help="scale, value, added, multiple or neurons.", show_default="what varies"),
    ] = None,
    change: Annotated[
        bool, typer.Option("--change", help="Draw the change instead of the value.")
    ] = False,
    metric: options.Metrics = None,
    test: Test = True,
    **given: Any,
) -> None:
    """Draw a metric against the dose, a line for each language of text.

    The dose is the factor of de:x0.5, the number of de:1.5 or de:+1.5, how many times the statistic
    in de:0.5mean, or how many neurons were written, by masks of different sizes.

    Example: lsn-eval plot dose doses --out doses.png
    """
    _draw("dose", by=by, change=change, metric=metric, test=test, **given)


@app.command()
@options.sharing(options.chosen, _drawn)
def bars(
    metric: Annotated[
        list[str] | None, options.metrics("language accuracy, if it is there")
    ] = None,
    test: Test = True,
    **given: Any,
) -> None:
    """Draw a metric without and with each condition, language by language.

    Example: lsn-eval plot bars answers --out accuracy.png

    Example: lsn-eval plot bars answers --condition de:zero --metric repetition --out de.svg
    """
    _draw("bars", metric=metric, test=test, **given)


@app.command()
@options.sharing(options.chosen, _drawn)
def answers(**given: Any) -> None:
    """Draw which languages the answers are in, by condition or by dose, with logged samples.

    Of doses (de:x0.5, de:zero) it shows which language takes over as one is switched off.

    Example: lsn-eval plot answers steered --out languages.png
    """
    _draw("answers", **given)


@app.command()
def layers(mask: options.MaskName, out: Out, label: Labels = None) -> None:
    """Draw how many neurons of each language every layer has.

    Example: lsn-eval plot layers demo/planted --out layers.png
    """
    _draw("layers", mask, out, label)


@app.command()
def overlap(mask: options.MaskName, out: Out, label: Labels = None) -> None:
    """Draw how many neurons languages share.

    Example: lsn-eval plot overlap demo/planted --out overlap.png
    """
    _draw("overlap", mask, out, label)


Measures = Annotated[Path, typer.Argument(help="A file of 'lsn-eval layers'.")]
OneCondition = Annotated[
    str | None, typer.Option("--condition", help="One of its conditions.", show_default="first")
]


@app.command()
def similarity(
    measures: Measures,
    out: Out,
    mask: Annotated[str | None, typer.Option(help="Draw its neurons per layer below.")] = None,
    condition: Annotated[
        str | None,
        typer.Option("--condition", help="One of its conditions.", show_default="all"),
    ] = None,
    label: Labels = None,
) -> None:
    """Draw how alike translations are in every layer, beside sentences that are none.

    Example: lsn-eval plot similarity layers.json --mask demo/planted --out similarity.png
    """
    _draw("similarity", measures, out, label, mask=mask, condition=condition)


@app.command()
def dominance(
    measures: Measures, out: Out, condition: OneCondition = None, label: Labels = None
) -> None:
    """Draw how well each language is mapped onto each other by the means of both.

    Example: lsn-eval plot dominance layers.json --out dominance.png
    """
    _draw("dominance", measures, out, label, condition=condition)


@app.command()
def lens(
    measures: Measures, out: Out, condition: OneCondition = None, label: Labels = None
) -> None:
    """Draw whose tokens every layer decodes to, by language of the text.

    Example: lsn-eval plot lens layers.json --condition de:zero --out lens.png
    """
    _draw("lens", measures, out, label, condition=condition)


def _draw(kind: str, results: Any, out: Path, label: list[str] | None, **named: Any) -> None:
    """Write the figure; what is to be known of it is printed."""
    import warnings

    from lsn_eval.plotting import plot
    from lsn_eval.plotting.lettering import PlotWarning

    labels = options.pairs(label, "--label", "CODE=NAME", "de=Deutsch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PlotWarning)
        plot(kind, results, out, labels=labels, **named)
    print(f"written to {out}")
    for told in caught:
        if issubclass(told.category, PlotWarning):
            print(f"note: {one_line(str(told.message))}", file=sys.stderr)
        else:
            warnings.warn_explicit(told.message, told.category, told.filename, told.lineno)
