"""`Caution`: what a reader has to know before using a number. They stand above everything else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lsn_eval.comparing import Comparison
from lsn_eval.reporting.failures import Failure
from lsn_eval.reporting.runs import hook_total
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.results.run_files import RunFile
from lsn_eval.wording.lists import counted

MOST_ITEMS = 12
"""Places that a caution names; the rest are counted."""


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
        *_of_hooks(runs),
        *_caution(
            "Failed conditions",
            "of these a sweep has no results",
            (f"{failed.condition} in {failed.sweep}: {failed.reason}" for failed in failures),
        ),
        # What the reader of the files noticed, unchanged sites apart.
        *_caution(
            "Mixed files",
            "files of one model, condition and task disagree",
            (
                f"{row.condition}, {row.task}: {text}"
                for row in comparison.rows
                for text in row.warnings
                if not text.startswith("every value written to ")
            ),
        ),
        *_untested(comparison),
        *_obstacles(comparison, refused=False),
        *_of_panels(comparison),
        *(Caution("Left out", remark) for remark in comparison.remarks),
    ]


def _caution(title: str, text: str, places: Iterable[str]) -> list[Caution]:
    """None without places."""
    items = tuple(dict.fromkeys(places))
    left_out = max(0, len(items) - MOST_ITEMS)
    return [Caution(title, text, items[:MOST_ITEMS], left_out)] if items else []


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
        title = "Comparison refused" if refused else "No test"
        if reason.startswith("the value "):
            title = "No number"
        yield from _caution(title, f"{counted(len(cells), 'number')}: {reason}", cells)


def _of_hooks(runs: Sequence[RunFile]) -> Iterator[Caution]:
    """What the hooks did not change, and what they had nothing to change of."""
    sites: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    nothing, empty = [], []
    for run in runs:
        for row in run.rows:
            sites[run.condition, run.mask].update(dict.fromkeys(row.unchanged))
        written = hook_total([run], "values_overwritten")
        if written and not hook_total([run], "values_changed"):
            nothing.append(f"{run.condition}: {written:,} values written, none changed")
        lacking = run.seen.get("empty")
        if isinstance(lacking, list) and lacking:
            empty.append(f"{run.condition}: {', '.join(map(str, lacking))}")
    yield from _caution(
        "Nothing was changed",
        "every value that the hooks wrote was there already, so these are the model itself",
        nothing,
    )
    yield from _caution(
        "Unchanged sites",
        "at these hookpoints and layers every value written was there already (dead neurons?)",
        (f"{condition}: {', '.join(names)}" for (condition, _), names in sites.items() if names),
    )
    yield from _caution("No neurons", "the mask holds no neuron of these", empty)


def _untested(comparison: Comparison) -> list[Caution]:
    """Changes of which nobody can say whether they are more than chance, controls apart."""
    changes = [
        (f"{condition} on {language} ({panel.title})", change)
        for panel in comparison.panels
        for (condition, language), change in panel.changes.items()
        if condition in panel.conditions and condition != NO_CONDITION and change.shift is not None
    ]
    bare = [(at, change) for at, change in changes if change.interval is None and change.p is None]
    # Where each has a reason of its own, the caution of that reason counts them.
    if all(change.obstacles for _, change in bare):
        return []
    return _caution(
        "No interval and no test",
        f"{len(bare)} of {counted(len(changes), 'change')}, which may be chance alone; both need "
        "the samples (--log_samples) of none and of the condition beside the results",
        (at for at, _ in bare),
    )


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
        yield from _caution("About the intervals and means", note, titles)
