"""The first sentences of a report: what the numbers come to over all of its panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lsn_eval.comparing import Change, Panel
from lsn_eval.comparing.panels import own_language
from lsn_eval.reporting.own_changes import (
    Own,
    about_several,
    counted,
    largest_of_several,
    own_changes,
    without_change,
    written_change,
    written_shift,
)
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.wording.numbers import p_value

MOST_NAMED = 3
"""Metrics of which a largest change is named, and reasons; the panels' own sentences have all."""


def headline(panels: Sequence[Panel]) -> str:
    """Of the panels of each task's first metric. No sentence claims more than the numbers say."""
    cells = [
        change
        for panel in panels
        for (condition, _), change in panel.changes.items()
        if condition != NO_CONDITION
    ]
    if not cells:
        return "Only the baseline was evaluated: there is nothing to compare it with."
    if all(change.shift is None for change in cells):
        return _nothing(cells)
    own = [entry for panel in panels for entry in own_changes(panel)]
    missing = [text for panel in panels for text in without_change(panel)]
    if own:
        said = [f"{_where(panels)}, {_counts(panels, own)}", *_intervals(own)]
        if missing:
            said.append(
                f"Of {len(missing)} more no change on the own language can be given: "
                f"{_few(missing)}."
            )
    elif missing:
        said = [
            f"{_where(panels)}, no change of a condition on its own language can be given, though "
            f"it was measured: {_few(missing)}; the other changes are in the tables."
        ]
    else:
        said = [
            f"{_where(panels)}, no condition is about a single language that was measured; the "
            "changes are in the tables."
        ]
    return " ".join([*said, *_elsewhere(panels), *_several(panels)])


def _nothing(cells: Sequence[Change]) -> str:
    odd = sum(not change.row.usable for change in cells)
    reasons = []
    if odd:
        reasons.append(f"{odd} of {counted(len(cells), 'number')} {_is(odd)} not finite")
    if lacking := len(cells) - odd:
        every = f"all {counted(lacking, 'number')}" if not odd else f"{lacking}"
        verb = "lacks" if lacking == 1 else "lack"
        reasons.append(f"{every} {verb} a baseline to be compared with")
    return f"No change can be given: {', '.join(reasons)}."


def _where(panels: Sequence[Panel]) -> str:
    metrics = list(dict.fromkeys(panel.metric for panel in panels))
    where = "In " + " and ".join(metrics) if len(metrics) < 4 else f"In {len(metrics)} metrics"
    if len(panels) > len(metrics):
        where += f", over {len(panels)} combinations of model, mask and tasks"
    return where


def _counts(panels: Sequence[Panel], own: Sequence[Own]) -> str:
    told = [entry.largest for entry in own if entry.largest is not None]
    if told:
        said = (
            f"a condition changes its own language more than any other in {sum(told)} of "
            f"{counted(len(told), 'case')}"
        )
    elif any(entry.elsewhere is not None for entry in own):
        said = (
            f"whether any of {counted(len(own), 'condition')} changes its own language most cannot "
            "be told: not every other language can be compared"
        )
    elif len(own) == 1:
        said = "1 condition was measured on its own language alone"
    else:
        said = f"{len(own)} conditions were measured on their own language alone"
    ranked = [entry for entry in own if entry.controls]
    if ranked:
        beyond = sum(bool(entry.beyond_controls) for entry in ranked)
        said += f", and more than every random control in {beyond} of {len(ranked)} "
        return said + f"({_reach([len(entry.controls) for entry in ranked])})."
    parents = {condition for panel in panels for condition in panel.controls}
    if not parents:
        return said + "; no random controls were evaluated."
    if any(own_language(condition) for condition in parents):
        return said + "; no random control can be compared on a condition's own language."
    return said + "; no random controls of conditions about one language were evaluated."


def _reach(numbers: Sequence[int]) -> str:
    """How many controls, and what so many can show."""
    fewest, most = min(numbers), max(numbers)
    many = counted(most, "control") if fewest == most else f"{fewest} to {most} controls"
    least = p_value(1 / (1 + most))
    if fewest != most:
        least = f"{p_value(1 / (1 + fewest))} to {least}"
    they = "it" if most == 1 else "they"
    return f"{many} each: the least rank p that {they} can show is {least}"


def _intervals(own: Sequence[Own]) -> list[str]:
    known = [entry for entry in own if entry.change.interval is not None]
    if not known:
        return [
            "This change has no interval." if len(own) == 1
            else "None of these changes has an interval."
        ]  # fmt: skip
    said = []
    if undecided := sum(entry.change.undecided for entry in known):
        said.append(f"In {undecided} of the {len(known)} with an interval, it holds 0.")
    if lacking := len(own) - len(known):
        said.append(f"{lacking} of the {len(own)} {'has' if lacking == 1 else 'have'} no interval.")
    return said


def _elsewhere(panels: Sequence[Panel]) -> list[str]:
    """The largest change of another language than the condition's own, where it is the larger."""

    def largest(panel: Panel) -> tuple[float, str] | None:
        found = [
            (
                entry.elsewhere[0],
                f"{written_change(panel, entry.condition, entry.elsewhere[1])}, beside "
                f"{written_shift(panel, entry.shift)} on {entry.language}",
            )
            for entry in own_changes(panel)
            if entry.exceeded and entry.elsewhere is not None
        ]
        return max(found, key=lambda one: abs(one[0]), default=None)

    told = _by_metric(panels, largest)
    if not told:
        return []
    return [f"Where another language changes more than the own one, the most is {told}."]


def _several(panels: Sequence[Panel]) -> list[str]:
    """What became of conditions about several languages."""

    def largest(panel: Panel) -> tuple[float, str] | None:
        found = largest_of_several(panel)
        return None if found is None else (found[0], written_change(panel, *found[1:]))

    conditions = {name for panel in panels for name in about_several(panel)}
    if not conditions:
        return []
    whose = "its" if len(conditions) == 1 else "their"
    return [
        f"{counted(len(conditions), 'condition')} {_is(len(conditions))} about several languages; "
        f"{whose} largest change is {_by_metric(panels, largest)}."
    ]


def _by_metric(
    panels: Sequence[Panel], largest: Callable[[Panel], tuple[float, str] | None]
) -> str:
    """The largest of each metric, for one metric's numbers say nothing beside another's."""
    models = {(panel.model, panel.mask, panel.dtype, panel.family) for panel in panels}
    found: dict[str, tuple[float, str]] = {}
    for panel in panels:
        one = largest(panel)
        if one is not None and len(models) > len({panel.metric for panel in panels}):
            one = one[0], f"{one[1]} ({panel.model}, {panel.family})"
        if one is not None and (
            panel.metric not in found or abs(one[0]) > abs(found[panel.metric][0])
        ):
            found[panel.metric] = one
    named = len({panel.metric for panel in panels}) > 1
    texts = [f"in {metric} {text}" if named else text for metric, (_, text) in found.items()]
    return _few(texts)


def _few(texts: Sequence[str]) -> str:
    more = [f"{len(texts) - MOST_NAMED} more"] if len(texts) > MOST_NAMED else []
    return "; ".join([*texts[:MOST_NAMED], *more])


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
