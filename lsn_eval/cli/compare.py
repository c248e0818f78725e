"""`lsn-eval compare`: results files into tables of what conditions changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsn_eval.cli import options
from lsn_eval.cli.table_output import put
from lsn_eval.errors import LsnError

if TYPE_CHECKING:
    from lsn_eval.comparing import Comparison
    from lsn_eval.tables import Table


@options.sharing(options.chosen)
def compare(
    results: options.Results,
    by: Annotated[
        str, typer.Option(help="condition: conditions x languages. model: a leaderboard.")
    ] = "condition",
    metric: Annotated[
        list[str] | None, options.metrics("each task's first; of csv and json all")
    ] = None,
    show: Annotated[
        list[str] | None,
        options.several(
            "value, difference, relative, ratio, ppxc",
            show_default="relative for perplexities, difference for the rest",
        ),
    ] = None,
    output_format: options.Format = None,
    out: options.TableOut = None,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="Intervals in every cell.")
    ] = False,
    all_controls: Annotated[
        bool, typer.Option("--all-controls", help="Every control in a row of its own.")
    ] = False,
    tests: Annotated[
        bool, typer.Option(help="Read logged samples for intervals and tests.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Of bootstrap and randomisation.", min=0)] = 0,
    resamples: Annotated[int, typer.Option(help="Of the bootstrap.")] = 2000,
    permutations: Annotated[int, typer.Option(help="Of the randomisation.")] = 9999,
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    signatures: Annotated[
        bool, typer.Option("--signatures", help="Every signature; CSV and JSON have them all.")
    ] = False,
    allow: options.Allow = None,
    as_json: options.AsJson = False,
    **chosen: Any,
) -> None:
    """Show what each condition changed.

    Tables with intervals, tests and controls. Reads results files of any lm-eval run, under lsn_hf
    or another model. Every condition is compared with 'none' of the same model and task; numbers
    measured with something else are refused, and the table says why. CSV and JSON hold one row a
    number.

    Example: lsn-eval compare sweep

    Example: lsn-eval compare runs/ --by model --metric byte_perplexity --out board.md
    """
    from lsn_eval.comparing import Draws
    from lsn_eval.comparing import compare as compare_results
    from lsn_eval.tables.formats import format_of, render
    from lsn_eval.tables.tidy_files import csv_parts, json_parts
    from lsn_eval.visible_text import one_line
    from lsn_eval.wording.lists import counted
    from lsn_eval.wording.text_tables import screen_width

    output_format = format_of(output_format, out, as_json)
    if by not in ("condition", "model"):
        raise LsnError(f"--by {by!r}: condition or model was expected")
    draws = Draws(resamples=resamples, permutations=permutations, seed=seed, level=level)
    one_a_number = output_format in ("csv", "json")
    comparison = compare_results(
        results, draws=draws, test=tests, allow=allow or (),
        metric=metric or ("all" if one_a_number else None), **chosen,
    )  # fmt: skip
    notes = (*comparison.notes, *comparison.remarks)
    if one_a_number:
        parts = (csv_parts if output_format == "csv" else json_parts)(comparison)
    else:
        tables = _tables(comparison, by, show, all_controls, intervals, allow or ())
        width = screen_width() if out is None else None
        text = render(tables, output_format, notes, signatures=signatures, width=width)
        parts = iter([text])
    put(parts, out)
    if out is None:
        return
    for note in notes:
        print(f"WARNING: {one_line(note)}")
    files = counted(len({row.file for row in comparison.rows}), "file")
    print(f"{counted(len(comparison.rows), 'number')} of {files} in {out}")


def _tables(
    comparison: Comparison,
    by: str,
    show: list[str] | None,
    all_controls: bool,
    intervals: bool,
    allow: Sequence[str],
) -> list[Table]:
    from lsn_eval.tables import (
        answers_table,
        change_table,
        forcing_tables,
        own_table,
        success_table,
    )
    from lsn_eval.tables.leaderboard import leaderboard
    from lsn_eval.tables.views import default_show, parse_show

    if by == "model":
        if show or all_controls or intervals:
            raise LsnError(
                "a leaderboard has columns of its own: leave out --show, --all-controls and "
                "--intervals with --by model"
            )
        return leaderboard(comparison, allow)
    asked = parse_show(show) if show else None
    tables: list[Table] = []
    for panel in comparison.panels:
        # Of a perplexity alone; asked for beside other metrics it is left out for those.
        names = [n for n in asked or (default_show(panel),) if n != "ppxc" or panel.scale == "log"]
        shown = [
            change_table(
                panel, comparison.draws, name, all_controls=all_controls, intervals=intervals
            )
            for name in names
        ]
        success = success_table(panel, comparison.draws)
        if success and not (asked or all_controls or intervals):
            shown = [success]  # which says the same and more of the pairs that it is about
        elif shown:
            answers = answers_table(panel) if comparison.tested else None
            further = (own_table(panel, comparison.draws), success, answers)
            shown += filter(None, further)
        # Signatures once, below the first of a panel's tables.
        tables += [*shown[:1], *(replace(table, signatures=()) for table in shown[1:])]
    if not tables:
        raise LsnError(
            "--show ppxc: PPXC is a change of perplexity, and there is none; name one with --metric"
        )
    return [*tables, *forcing_tables(comparison.panels)]
