"""`Caution`: what a reader has to know before using a number. They stand above everything else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lsn_eval.comparing import Change, Comparison
from lsn_eval.reporting.failures import Failure
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.results.run_files import RunFile
from lsn_eval.results.settings import mapping

MOST_ITEMS = 12
"""Cells that a caution names; the rest are counted."""


@dataclass(frozen=True)
class Caution:
    """One warning with where it holds."""

    title: str
    text: str
    items: tuple[str, ...] = ()
    left_out: int = 0
    """Items beyond `MOST_ITEMS`."""


def cautions(
    comparison: Comparison, runs: Sequence[RunFile], failures: Sequence[Failure]
) -> list[Caution]:
    """The gravest first."""
    return [
        *(Caution("Likely no-op", note) for note in comparison.notes),
        *_obstacles(comparison, refused=True),
        *_unchanged(runs),
        *_failed(failures, runs),
        *_empty(runs),
        *_row_warnings(comparison.rows),
        *_untested(comparison),
        *_obstacles(comparison, refused=False),
        *_of_panels(comparison),
        *(Caution("Left out", remark) for remark in comparison.remarks),
    ]


def _caution(title: str, text: str, items: Sequence[str]) -> Caution:
    chosen = tuple(dict.fromkeys(items))
    return Caution(title, text, chosen[:MOST_ITEMS], max(0, len(chosen) - MOST_ITEMS))


def _obstacles(comparison: Comparison, refused: bool) -> Iterator[Caution]:
    """Numbers that are not compared, or are compared without a test, by reason."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for panel in comparison.panels:
        for (condition, language), change in panel.changes.items():
            lacks = condition != NO_CONDITION and change.baseline is None
            if lacks == refused:
                for reason in change.obstacles:
                    by_reason[reason].append(f"{condition} on {language} ({panel.metric})")
    for reason, cells in by_reason.items():
        numbers = "1 number" if len(cells) == 1 else f"{len(cells)} numbers"
        if reason.startswith("the value "):
            yield _caution("No number", f"{numbers}: {reason}", cells)
        elif refused:
            yield _caution("Comparison refused", f"{numbers} without a change: {reason}", cells)
        else:
            yield _caution("No test", f"{numbers}: {reason}", cells)


def _unchanged(runs: Sequence[RunFile]) -> Iterator[Caution]:
    sites: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    nothing = []
    for run in runs:
        for row in run.rows:
            sites[run.condition, run.mask].update(dict.fromkeys(row.unchanged))
        counts = list(mapping(run.seen.get("hookpoints")).values())
        written = sum(_number(mapping(count).get("values_overwritten")) for count in counts)
        if written and not sum(_number(mapping(c).get("values_changed")) for c in counts):
            nothing.append(f"{run.condition}: {written:,} values written, none changed")
    if nothing:
        yield _caution(
            "Nothing was changed",
            "every value that the hooks wrote was there already, so these are the model itself",
            nothing,
        )
    items = [f"{condition}: {', '.join(found)}" for (condition, _), found in sites.items() if found]
    if items:
        yield _caution(
            "Unchanged sites",
            "at these hookpoints and layers every value written was there already (dead neurons?)",
            items,
        )


def _failed(failures: Sequence[Failure], runs: Sequence[RunFile]) -> Iterator[Caution]:
    folders = {failure.sweep.resolve() for failure in failures}
    folders |= {
        run.path.resolve().parents[2] for run in runs if len(run.path.resolve().parents) > 2
    }
    items = [
        f"{failure.condition}{f' in {failure.sweep}' if len(folders) > 1 else ''}: {failure.reason}"
        for failure in failures
    ]
    if items:
        yield _caution("Failed conditions", "of these a sweep has no results", items)


def _untested(comparison: Comparison) -> Iterator[Caution]:
    """Changes of which nobody can say whether they are more than chance, controls apart."""
    items: list[str] = []
    lacking: list[Change] = []
    total = 0
    for panel in comparison.panels:
        changes = {
            place: change
            for place, change in panel.changes.items()
            if place[0] in panel.conditions
            and place[0] != NO_CONDITION
            and change.shift is not None
        }
        bare = {place: c for place, c in changes.items() if c.interval is None and c.p is None}
        total += len(changes)
        lacking += bare.values()
        if bare and len(bare) == len(changes):
            items.append(f"every change of {panel.title}")
        else:
            items += [f"{condition} on {language} ({panel.title})" for condition, language in bare]
    # Where each has a reason of its own, the caution of that reason counts them.
    if all(change.obstacles for change in lacking):
        return
    many = f"{len(lacking)} of {total} changes" if len(lacking) < total else f"all {total} changes"
    if total == 1:
        many = "the only change"
    yield _caution(
        "No interval and no test",
        f"{many}, which may be chance alone; intervals and tests need the samples (--log_samples) "
        "of none and of the condition beside the results",
        items if len(lacking) < total else [],
    )


def _empty(runs: Sequence[RunFile]) -> Iterator[Caution]:
    items = [
        f"{run.condition}: {', '.join(map(str, empty))}"
        for run in runs
        if isinstance(empty := run.seen.get("empty"), list) and empty
    ]
    if items:
        yield _caution("No neurons", "the mask holds no neuron of these", items)


def _row_warnings(rows: Sequence[Row]) -> Iterator[Caution]:
    """What the reader of the files noticed, unchanged sites apart."""
    items = [
        f"{row.condition}, {row.task}: {text}"
        for row in rows
        for text in row.warnings
        if not text.startswith("every value written to ")
    ]
    if items:
        yield _caution("Mixed files", "files of one model, condition and task disagree", items)


def _of_panels(comparison: Comparison) -> Iterator[Caution]:
    """What a panel says of itself, and not of single numbers."""
    panels: dict[str, list[str]] = defaultdict(list)
    for panel in comparison.panels:
        told = {
            text
            for change in panel.changes.values()
            for text in (*change.obstacles, *change.row.warnings)
        }
        for note in panel.notes:
            if not any(note.endswith(f": {text}") for text in told):
                panels[note].append(panel.title)
    for note, titles in panels.items():
        yield _caution("About the intervals and means", note, titles)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
