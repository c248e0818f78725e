"""`Own`: a condition on the language that it is about, beside what it did elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lsn_eval.comparing import Change, Panel
from lsn_eval.comparing.panels import growth, own_language
from lsn_eval.conditions import Condition
from lsn_eval.masks.names import CONTROL_NAME
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.wording.numbers import p_value, percent, signed, span


@dataclass(frozen=True)
class Own:
    """One condition on its own language."""

    condition: str
    language: str
    change: Change
    shift: float
    elsewhere: tuple[float, str] | None
    """The largest shift in another language, and which; None if no other was measured."""
    controls: tuple[float, ...]
    whole: bool = True
    """Whether every other language of the panel can be compared."""

    @property
    def largest(self) -> bool | None:
        """Whether no other language changed as much; None if that cannot be told, because no other
        was measured, or one that was cannot be compared."""
        if self.elsewhere is None:
            return None
        larger = abs(self.shift) > abs(self.elsewhere[0])
        return larger if self.whole or not larger else None

    @property
    def exceeded(self) -> bool:
        """Whether another language changed more."""
        return self.elsewhere is not None and abs(self.elsewhere[0]) > abs(self.shift)

    @property
    def beyond_controls(self) -> bool | None:
        """Whether it exceeds every control, by the rule of `rank_p_value`; None without any."""
        if not self.controls:
            return None
        return self.change.control_p == 1 / (1 + len(self.controls))


def own_changes(panel: Panel) -> list[Own]:
    """Of the conditions that are about one language that was measured and is comparable."""
    found = []
    for condition, language, change in _on_own_language(panel):
        if change.shift is None:
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
                len(others) == len(panel.languages) - 1,
            )
        )  # fmt: skip
    return found


def without_change(panel: Panel) -> list[str]:
    """Conditions that were measured on their own language, and why no change can be given."""
    return [
        f"{condition} on {language} ({'; '.join(change.obstacles) or 'no ratio to the baseline'})"
        for condition, language, change in _on_own_language(panel)
        if change.shift is None
    ]


def _on_own_language(panel: Panel) -> Iterator[tuple[str, str, Change]]:
    for condition in panel.conditions:
        language = own_language(condition)
        change = panel.change(condition, language) if language else None
        if change is not None and language is not None:
            yield condition, language, change


def about_several(panel: Panel) -> list[str]:
    """Conditions about several languages that have a change; none with random neurons."""
    return [
        condition
        for condition in panel.conditions
        if condition != NO_CONDITION
        and not any(CONTROL_NAME.fullmatch(term.who) for term in Condition.parse(condition).terms)
        and own_language(condition) is None
        and any(
            change.shift is not None
            for (name, _), change in panel.changes.items()
            if name == condition
        )
    ]


def largest_of_several(panel: Panel) -> tuple[float, str, str] | None:
    """The largest shift under a condition about several languages, that condition, and where."""
    conditions = set(about_several(panel))
    return max(
        (
            (change.shift, condition, language)
            for (condition, language), change in panel.changes.items()
            if condition in conditions and change.shift is not None
        ),
        key=lambda found: abs(found[0]),
        default=None,
    )


def written_shift(panel: Panel, shift: float) -> str:
    """Percent of perplexities, the difference of the rest."""
    return f"{percent(growth(shift))} %" if panel.scale == "log" else signed(shift)


def written_change(panel: Panel, condition: str, language: str) -> str:
    """A change with where it is, what its interval says, and its controls."""
    change = panel.changes[condition, language]
    told = [
        "no interval" if change.interval is None
        else "interval holds 0" if change.undecided
        else "interval without 0"
    ]  # fmt: skip
    controls = list(change.controls.values())
    if not controls:
        told.append("no controls")
    else:
        reach = span(controls, lambda shift: written_shift(panel, shift))
        few = written_shift(panel, controls[0]) if len(set(controls)) == 1 else reach
        told.append(
            f"{counted(len(controls), 'control')} {few}, rank p {p_value(change.control_p)}"
        )
    return f"{written_shift(panel, change.shift or 0.0)} on {language} under {condition} " + (
        f"({'; '.join(told)})"
    )


def counted(number: int, noun: str) -> str:
    """`1 control`, `2 controls`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
