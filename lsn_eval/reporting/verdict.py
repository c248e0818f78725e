"""What the numbers come to, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lsn_eval.comparing import Change, Comparison, Panel
from lsn_eval.comparing.panels import own_language
from lsn_eval.results import NO_CONDITION
from lsn_eval.tables.numbers import p_value, percent, signed


@dataclass(frozen=True)
class Own:
    """A condition on the language that it is about, beside what it did elsewhere."""

    condition: str
    language: str
    change: Change
    shift: float
    elsewhere: tuple[float, str] | None
    """The largest shift in another language, and which; None if no other was measured."""
    controls: tuple[float, ...]

    @property
    def largest(self) -> bool | None:
        """Whether no other language changed as much; None if no other was measured."""
        return None if self.elsewhere is None else abs(self.shift) > abs(self.elsewhere[0])

    @property
    def beyond_controls(self) -> bool | None:
        """Whether it exceeds every control, by the rule of `rank_p_value`; None without any."""
        if not self.controls:
            return None
        return self.change.control_p == 1 / (1 + len(self.controls))


@dataclass(frozen=True)
class Verdict:
    """The first lines of a report."""

    headline: str
    panels: tuple[tuple[str, tuple[str, ...]], ...]
    """Title and sentences of each panel."""


def verdict(comparison: Comparison) -> Verdict:
    """Computed from the numbers alone, no sentence claims more than they say."""
    first = _first_metrics(comparison.panels)
    own = [entry for panel in first for entry in own_changes(panel)]
    sentences = tuple((panel.title, tuple(_sentences(panel))) for panel in comparison.panels)
    return Verdict(_headline(first, own), sentences)


def _first_metrics(panels: Sequence[Panel]) -> list[Panel]:
    """Those of each task's first metric: a headline over metrics that say the same, or little,
    would count one finding several times."""
    chosen: dict[tuple[str, ...], Panel] = {}
    for panel in panels:
        chosen.setdefault((panel.model, panel.mask, panel.dtype, panel.family), panel)
    return list(chosen.values())


def own_changes(panel: Panel) -> list[Own]:
    """Of the conditions that are about one language that was measured and is comparable."""
    found = []
    for condition in panel.conditions:
        language = own_language(condition)
        change = panel.change(condition, language) if language else None
        if change is None or language is None or change.shift is None:
            continue
        others = [
            (shift, other)
            for other in panel.languages
            if other != language
            and (cell := panel.change(condition, other)) is not None
            and (shift := cell.shift) is not None
        ]
        found.append(
            Own(
                condition, language, change, change.shift,
                max(others, key=lambda pair: abs(pair[0])) if others else None,
                tuple(change.controls.values()),
            )
        )  # fmt: skip
    return found


def written_shift(panel: Panel, shift: float) -> str:
    """Percent of perplexities, the difference of the rest."""
    return f"{percent(math.expm1(shift))} %" if panel.scale == "log" else signed(shift)


def _headline(panels: Sequence[Panel], own: Sequence[Own]) -> str:
    cells = [
        change
        for panel in panels
        for (condition, _), change in panel.changes.items()
        if condition != NO_CONDITION
    ]
    if not cells:
        return "Only the baseline was evaluated: there is nothing to compare it with."
    if all(change.shift is None for change in cells):
        return (
            f"No change can be given: all {len(cells)} numbers lack a baseline that they can be "
            "compared with."
        )
    metrics = list(dict.fromkeys(panel.metric for panel in panels))
    where = "In " + " and ".join(metrics) if len(metrics) < 4 else f"In {len(metrics)} metrics"
    if len(panels) > len(metrics):
        where += f", over {len(panels)} combinations of model, mask and tasks"
    if not own:
        return (
            f"{where}, no condition is about a single language that was measured; the changes "
            "are in the tables."
        )
    told = [entry.largest for entry in own if entry.largest is not None]
    if told:
        said = (
            f"{where}, a condition changes its own language more than any other in {sum(told)} of "
            f"{len(told)} cases"
        )
    else:
        said = f"{where}, {len(own)} conditions were measured on their own language alone"
    ranked = [entry.beyond_controls for entry in own if entry.beyond_controls is not None]
    if ranked:
        said += f", and more than every random control in {sum(ranked)} of {len(ranked)}."
    else:
        said += "; no random controls were evaluated."
    undecided = sum(entry.change.undecided for entry in own)
    if undecided:
        said += f" In {undecided} of {len(own)} the interval of the change holds 0."
    return said


def _sentences(panel: Panel) -> list[str]:
    own = own_changes(panel)
    moved = [
        change.shift
        for (condition, _), change in panel.changes.items()
        if condition in panel.conditions and condition != NO_CONDITION and change.shift is not None
    ]
    if not moved:
        return ["No change from the baseline can be given."]
    if not own:
        return [f"Changes: {_range(panel, moved)}, none on a language that its condition is about."]
    said = [f"Own language: {_range(panel, [entry.shift for entry in own])} ({_count(len(own))})."]
    elsewhere = [(*entry.elsewhere, entry.condition) for entry in own if entry.elsewhere]
    if elsewhere:
        shift, language, condition = max(elsewhere, key=lambda found: abs(found[0]))
        where = f"{written_shift(panel, shift)} ({language} under {condition})"
        said.append(f"Largest change elsewhere: {where if shift else 'none'}.")
    controls = [shift for entry in own for shift in entry.controls]
    if controls:
        ranks = sorted(e.change.control_p for e in own if e.change.control_p is not None)
        most = max(len(entry.controls) for entry in own)
        span = p_value(ranks[0])
        if ranks[-1] != ranks[0]:
            span += f" to {p_value(ranks[-1])}"
        said.append(
            f"Random controls on the same languages: {_range(panel, controls)} ({len(controls)}); "
            f"rank p {span}; {p_value(1 / (1 + most))} is the least that {most} "
            f"{'control' if most == 1 else 'controls'} of a language can show."
        )
    return said


def _range(panel: Panel, shifts: Sequence[float]) -> str:
    low, high = (written_shift(panel, end) for end in (min(shifts), max(shifts)))
    return low if low == high else f"{low} to {high}"


def _count(number: int) -> str:
    return "1 condition" if number == 1 else f"{number} conditions"
