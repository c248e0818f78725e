"""What the numbers come to, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsn_eval.comparing import Comparison, Panel
from lsn_eval.reporting.headline import headline
from lsn_eval.reporting.own_changes import (
    counted,
    largest_of_several,
    own_changes,
    without_change,
    written_change,
    written_shift,
)
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.wording.numbers import p_value


@dataclass(frozen=True)
class Verdict:
    """The first lines of a report."""

    headline: str
    panels: tuple[tuple[str, tuple[str, ...]], ...]
    """Title and sentences of each panel."""


def verdict(comparison: Comparison) -> Verdict:
    """Computed from the numbers alone, no sentence claims more than they say."""
    sentences = tuple((panel.title, tuple(_sentences(panel))) for panel in comparison.panels)
    return Verdict(headline(_first_metrics(comparison.panels)), sentences)


def _first_metrics(panels: Sequence[Panel]) -> list[Panel]:
    """Those of each task's first metric: a headline over metrics that say the same, or little,
    would count one finding several times."""
    chosen: dict[tuple[str, ...], Panel] = {}
    for panel in panels:
        chosen.setdefault((panel.model, panel.mask, panel.dtype, panel.family), panel)
    return list(chosen.values())


def _sentences(panel: Panel) -> list[str]:
    moved = [
        change.shift
        for (condition, _), change in panel.changes.items()
        if condition in panel.conditions and condition != NO_CONDITION and change.shift is not None
    ]
    if not moved:
        return ["No change from the baseline can be given."]
    return [*_own(panel, moved), *_several(panel)]


def _own(panel: Panel, moved: Sequence[float]) -> list[str]:
    own, missing = own_changes(panel), without_change(panel)
    lacking = [f"No change on the own language can be given: {', '.join(missing)}."]
    if not own and missing:
        return [f"Changes elsewhere: {_range(panel, moved)}.", *lacking]
    if not own:
        return [f"Changes: {_range(panel, moved)}, none on a language that its condition is about."]
    shifts = [entry.shift for entry in own]
    said = [f"Own language: {_range(panel, shifts)} ({counted(len(own), 'condition')})."]
    said += lacking if missing else []
    elsewhere = [(*entry.elsewhere, entry.condition) for entry in own if entry.elsewhere]
    if elsewhere:
        shift, language, condition = max(elsewhere, key=lambda found: abs(found[0]))
        where = f"{written_shift(panel, shift)} ({language} under {condition})"
        said.append(
            f"Largest change elsewhere: {where}." if shift else "No other language changes."
        )
    controls = [shift for entry in own for shift in entry.controls]
    if controls:
        ranks = sorted(e.change.control_p for e in own if e.change.control_p is not None)
        most = max(len(entry.controls) for entry in own)
        span = p_value(ranks[0])
        if ranks[-1] != ranks[0]:
            span += f" to {p_value(ranks[-1])}"
        said.append(
            f"Random controls on the same languages: {_range(panel, controls)} ({len(controls)}); "
            f"rank p {span}; {p_value(1 / (1 + most))} is the least that "
            f"{counted(most, 'control')} of a language can show."
        )
    return said


def _several(panel: Panel) -> list[str]:
    found = largest_of_several(panel)
    if found is None:
        return []
    return [f"Conditions about several languages: at most {written_change(panel, *found[1:])}."]


def _range(panel: Panel, shifts: Sequence[float]) -> str:
    low, high = (written_shift(panel, end) for end in (min(shifts), max(shifts)))
    return low if low == high else f"{low} to {high}"
