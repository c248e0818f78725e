"""One panel from its rows: changes against the baseline, tests, controls, and what forbids them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lsn_eval.comparing.kinds import Kind, Scale
from lsn_eval.comparing.paired import FEW, Draws, holm, paired_change, same_responses
from lsn_eval.comparing.panels import Change, Panel, own_language, ranked
from lsn_eval.comparing.scores import Scores
from lsn_eval.comparing.selectivity import selectivities
from lsn_eval.errors import LsnError
from lsn_eval.results.controls import controlled
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.results.settings import OF_A_LANGUAGE, differing
from lsn_eval.wording.lists import listed

ROUNDING = 1e-3
"""Relative change that another batch size may give without any cause."""
Place = tuple[str, str]
"""Condition and language."""
Reader = Callable[[Row, Scale, Kind | None], Scores | str | None]
"""The samples of a row as scores, or why there is no test; None where nothing was logged."""


def build_panel(
    rows: Sequence[Row], draws: Draws, read: Reader, allowed: frozenset[str] = frozenset()
) -> Panel:
    """Rows of one model, mask, family of tasks and metric, with those of `none`."""
    return _Builder(rows, draws, read, allowed).panel()


@dataclass
class _Builder:
    rows: Sequence[Row]
    draws: Draws
    read: Reader
    allowed: frozenset[str]
    said: dict[str, list[Place]] = field(default_factory=dict)
    """Where each remark applies."""
    scored: dict[Place, Scores] = field(default_factory=dict)

    def panel(self) -> Panel:
        first = self.rows[-1]
        self.scale: Scale = "log" if "perplexity" in first.metric else "linear"
        self.cells = self._cells()
        languages = _languages(self.rows)
        order = {language: place for place, language in enumerate(languages)}
        conditions = sorted(
            {condition for condition, _ in self.cells}, key=lambda c: _order(c, order)
        )
        # One language after the other, so that its draws are made once.
        found = {
            (condition, language): self._change(condition, language, conditions)
            for language in languages
            for condition in conditions
            if (condition, language) in self.cells
        }
        changes = {
            (condition, language): found[condition, language]
            for condition in conditions
            for language in languages
            if (condition, language) in found
        }
        controls: dict[str, list[str]] = {}
        # Whichever term is named first.
        by_terms = {frozenset(condition.split("/")): condition for condition in conditions}
        for condition in conditions:
            of = controlled(condition)
            if of is not None and (found_as := by_terms.get(frozenset(of.split("/")))) is not None:
                controls.setdefault(found_as, []).append(condition)
        hidden = {name for names in controls.values() for name in names}
        shown = tuple(condition for condition in conditions if condition not in hidden)
        changes = _with_controls(changes, controls, self.scale)
        changes = _with_holm(changes, shown)
        uneven = self._uneven(languages)
        panel = Panel(
            model=first.model, mask=first.mask, dtype=first.dtype, family=first.family,
            metric=first.name, scale=self.scale, higher_is_better=first.higher_is_better,
            languages=languages, conditions=shown,
            controls={condition: tuple(names) for condition, names in controls.items()},
            changes=changes,
            uneven=uneven,
            units=self._units(languages),
            notes=tuple(self._notes(changes, conditions, languages, uneven)),
        )  # fmt: skip
        selectivity, overall = selectivities(panel, self.scored, self.draws)
        return replace(panel, selectivity=selectivity, overall=overall)

    def _cells(self) -> dict[Place, Row]:
        """The newest row of each place."""
        cells: dict[Place, Row] = {}
        for row in self.rows:
            place = row.condition, row.language or row.task
            if place in cells:
                self._say(
                    f"measured twice ({cells[place].task} and {row.task}); the newer is shown",
                    place,
                )
            if place not in cells or row.date > cells[place].date:
                cells[place] = row
        return cells

    def _say(self, text: str, place: Place) -> None:
        places = self.said.setdefault(text, [])
        if place not in places:
            places.append(place)

    def _change(self, condition: str, language: str, conditions: Sequence[str]) -> Change:
        place = condition, language
        row = self.cells[place]
        for text in row.warnings:
            self._say(text, place)
        baseline = self.cells.get((NO_CONDITION, language))
        before = self.scored.get((NO_CONDITION, language))
        scored = self.read(row, self.scale, before.kind if before else None)
        change = Change(row=row, baseline=None, scale=self.scale)
        obstacles = []
        if isinstance(scored, Scores):
            self.scored[place] = scored
        elif scored is not None:
            obstacles.append(scored)
        if not row.usable:
            obstacles.append(f"the value is {row.value}")
        elif not self._possible(row):
            obstacles.append(f"{row.value} is no perplexity")
        if condition == NO_CONDITION:
            pass
        elif baseline is None:
            obstacles.append("no baseline: evaluate the same task under none, with the same model")
            first = next(self.cells[c, language] for c in conditions if (c, language) in self.cells)
            if different := differing(first.settings, row.settings, self.allowed):
                obstacles.append(f"not comparable with {first.condition}: {'; '.join(different)}")
                change = replace(change, incomparable=True)
        elif not (baseline.usable and self._possible(baseline)):
            obstacles.append(f"the value under none is {baseline.value}")
        elif different := differing(baseline.settings, row.settings, self.allowed):
            obstacles.append(f"not comparable with none: {'; '.join(different)}")
            change = replace(change, incomparable=True)
        elif row.usable and self._possible(row):
            equal = row.value == baseline.value
            change = replace(change, baseline=baseline, equal=equal)
            if isinstance(scored, Scores) and before is not None:
                change = self._tested(change, before, scored, obstacles)
            change = self._without_a_cause(change, obstacles)
        for text in obstacles:
            self._say(text, place)
        return replace(change, obstacles=tuple(obstacles))

    def _tested(
        self, change: Change, before: Scores, scored: Scores, obstacles: list[str]
    ) -> Change:
        try:
            found = paired_change(before, scored, self.draws)
        except LsnError as error:
            if {"prompts", "documents"} & self.allowed:
                obstacles.append(f"no test: {error}")
                return change
            obstacles.append(f"not comparable with none: {error}")
            return replace(change, baseline=None, equal=False, incomparable=True)
        if found.interval is None:
            obstacles.append("no interval: many resamples hold no document with a number")
        return replace(
            change,
            interval=found.interval,
            p=found.p,
            documents=found.documents,
            equal=found.equal,
            same_responses=same_responses(before, scored),
        )

    def _possible(self, row: Row) -> bool:
        return self.scale == "linear" or row.value > 0

    def _without_a_cause(self, change: Change, obstacles: list[str]) -> Change:
        """Refused if the number moved although the hooks changed no value."""
        if not change.row.nothing_changed or change.equal or change.undecided:
            return change
        if change.interval is None and abs(change.relative or 0.0) < ROUNDING:
            return change
        obstacles.append(
            "not comparable with none: every value written was there already, and yet the number "
            "moved, so that something else differs between the two runs"
        )
        return replace(
            change, baseline=None, interval=None, p=None, documents=None, equal=False,
            incomparable=True,
        )  # fmt: skip

    def _uneven(self, languages: Sequence[str]) -> tuple[str, ...]:
        """Of the baselines, or without them of each condition."""
        uneven: dict[str, None] = {}
        conditions = {condition for condition, _ in self.cells}
        for condition in [NO_CONDITION] if NO_CONDITION in conditions else sorted(conditions):
            rows = [self.cells[condition, x] for x in languages if (condition, x) in self.cells]
            for row in rows[1:]:
                different = differing(rows[0].settings, row.settings, self.allowed | OF_A_LANGUAGE)
                uneven |= dict.fromkeys(different)
        return tuple(uneven)

    def _units(self, languages: Sequence[str]) -> dict[str, float]:
        return {
            language: float(scored.columns[:, 1].sum())
            for language in languages
            if self.scale == "log" and (scored := self.scored.get((NO_CONDITION, language)))
        }

    def _notes(
        self,
        changes: Mapping[Place, Change],
        conditions: Sequence[str],
        languages: Sequence[str],
        uneven: Sequence[str],
    ) -> list[str]:
        """Every remark once, with where it applies."""
        notes = [
            f"{_named(places, conditions, languages)}: {text}" for text, places in self.said.items()
        ]
        if uneven:
            notes.append(f"no mean: the languages were measured with {'; '.join(uneven)}")
        few = [c.documents for c in changes.values() if c.interval and c.documents and not c.equal]
        if few and min(few) < FEW:
            notes.append(
                f"intervals of {min(few)} documents are too short: percentile intervals of fewer "
                f"than {FEW} documents hold the truth less often than they say"
            )
        return notes


def _named(places: Sequence[Place], conditions: Sequence[str], languages: Sequence[str]) -> str:
    """Places in few words."""
    there = set(places)
    of_conditions = [c for c in conditions if any(place[0] == c for place in places)]
    of_languages = [x for x in languages if any(place[1] == x for place in places)]
    whole = len(there) == len(of_conditions) * len(of_languages)
    if len(there) > 1 and whole:
        return f"{listed(of_conditions)} on {listed(of_languages)}"
    return listed([f"{condition} on {language}" for condition, language in places])


def _languages(rows: Sequence[Row]) -> tuple[str, ...]:
    """Columns: in the mask's order where one says, then by name."""
    # The last rows are those of the panel's own mask; a baseline may have run with another.
    of_mask = next((row.languages for row in reversed(rows) if row.languages), ())
    there = {row.language or row.task for row in rows}
    return (*(code for code in of_mask if code in there), *sorted(there - set(of_mask)))


def _order(condition: str, languages: Mapping[str, int]) -> tuple[Any, ...]:
    own = own_language(condition)
    place = len(languages) if own is None else languages.get(own, len(languages))
    return condition != NO_CONDITION, place, _natural(condition)


def _natural(text: str) -> tuple[Any, ...]:
    """random2 before random10."""
    return tuple(
        (0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", text)
    )


def _with_controls(
    changes: Mapping[Place, Change], controls: Mapping[str, Sequence[str]], scale: Scale
) -> dict[Place, Change]:
    found = dict(changes)
    for (condition, language), change in changes.items():
        shifts = {
            control: shift
            for control in controls.get(condition, ())
            if (cell := changes.get((control, language))) and (shift := cell.shift) is not None
        }
        if shifts and change.shift is not None:
            p = ranked(change.shift, list(shifts.values()), scale)
            found[condition, language] = replace(change, controls=shifts, control_p=p)
    return found


def _with_holm(changes: Mapping[Place, Change], conditions: Sequence[str]) -> dict[Place, Change]:
    tested = {
        place: change.p
        for place, change in changes.items()
        if change.p is not None and place[0] in conditions
    }
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    return {
        place: replace(change, p_holm=corrected.get(place)) for place, change in changes.items()
    }
