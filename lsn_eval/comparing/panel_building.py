"""One panel from its rows: which cells it has, what is tested, controls, and what is to be said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lsn_eval.comparing.changes import Measured, change
from lsn_eval.comparing.kinds import Kind
from lsn_eval.comparing.paired import FEW, Draws, holm
from lsn_eval.comparing.panels import Change, Panel, own_language
from lsn_eval.comparing.ranks import rank_p_value, size
from lsn_eval.comparing.sample_columns import SampleColumns
from lsn_eval.comparing.scores import NoScores, Scores, scores
from lsn_eval.comparing.selectivity import selectivities
from lsn_eval.results.controls import controlled
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.results.scale import Scale, scale_of
from lsn_eval.results.settings import OF_A_LANGUAGE, differing
from lsn_eval.wording.lists import listed

Place = tuple[str, str]
"""Condition and language."""
Samples = Callable[[Row], Mapping[str, SampleColumns] | str]
"""Samples of a row by filter; a text where they cannot be read."""


def build_panel(
    rows: Sequence[Row], draws: Draws, samples: Samples | None, allowed: frozenset[str]
) -> Panel:
    """Rows of one model, mask, family of tasks and metric, with those of `none`."""
    first = rows[-1]
    scale = scale_of(first.metric)
    remarks = Remarks()
    cells = _cells(rows, remarks)
    languages = _languages(rows)
    conditions = _in_order({condition for condition, _ in cells}, languages)
    measured = _measured(cells, conditions, languages, scale, samples)
    changes = _changes(measured, conditions, languages, scale, draws, allowed, remarks)
    shown, controls, lone = _control_groups(conditions)
    changes = _beside_each_other(changes, shown, controls, scale)
    uneven = _uneven(cells, languages, allowed)
    scored = {
        place: cell.scored for place, cell in measured.items() if isinstance(cell.scored, Scores)
    }
    panel = Panel(
        model=first.model, mask=first.mask, dtype=first.dtype, family=first.family,
        metric=first.name, scale=scale, higher_is_better=first.higher_is_better,
        languages=languages, conditions=shown, controls=controls, lone_controls=lone,
        changes=changes, uneven=uneven,
        units={
            language: float(scored[NO_CONDITION, language].columns[:, 1].sum())
            for language in languages
            if scale == "log" and (NO_CONDITION, language) in scored
        },
        notes=(
            *remarks.notes(conditions, languages), *_notes(changes, lone, uneven),
        ),
    )  # fmt: skip
    selectivity, overall = selectivities(panel, scored, draws)
    return replace(panel, selectivity=selectivity, overall=overall)


class Remarks:
    """Every remark once, with where it applies."""

    def __init__(self) -> None:
        self._places: dict[str, dict[Place, None]] = {}

    def add(self, text: str, place: Place) -> None:
        """What is to be known of a cell."""
        self._places.setdefault(text, {})[place] = None

    def notes(self, conditions: Sequence[str], languages: Sequence[str]) -> Iterator[str]:
        """A sentence each, places in few words."""
        for text, places in self._places.items():
            whos, texts = ({place[part] for place in places} for part in (0, 1))
            if 1 < len(places) == len(whos) * len(texts):
                where = (
                    f"{listed(c for c in conditions if c in whos)} on "
                    f"{listed(x for x in languages if x in texts)}"
                )
            else:
                where = listed(f"{condition} on {language}" for condition, language in places)
            yield f"{where}: {text}"


def _cells(rows: Sequence[Row], remarks: Remarks) -> dict[Place, Row]:
    """The newest row of each place."""
    cells: dict[Place, Row] = {}
    for row in rows:
        place = row.condition, row.language or row.task
        other = cells.get(place)
        if other:
            both = f"{other.task} and {row.task}"
            remarks.add(f"measured twice ({both}); the newer is shown", place)
        if not other or row.date > other.date:
            cells[place] = row
    return cells


def _languages(rows: Sequence[Row]) -> tuple[str, ...]:
    """Columns: in the mask's order where one says, then by name."""
    # The last rows are those of the panel's own mask; a baseline may have run with another.
    of_mask = next((row.languages for row in reversed(rows) if row.languages), ())
    there = {row.language or row.task for row in rows}
    return (*(code for code in of_mask if code in there), *sorted(there - set(of_mask)))


def _in_order(conditions: set[str], languages: Sequence[str]) -> list[str]:
    """`none`, then by language in the columns' order, then by name; random2 before random10."""
    places = {language: place for place, language in enumerate(languages)}

    def order(condition: str) -> tuple[Any, ...]:
        place = places.get(own_language(condition) or "", len(languages))
        parts = re.split(r"(\d+)", condition)
        natural = [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]
        return condition != NO_CONDITION, place, natural

    return sorted(conditions, key=order)


def _measured(
    cells: Mapping[Place, Row],
    conditions: Sequence[str],
    languages: Sequence[str],
    scale: Scale,
    samples: Samples | None,
) -> dict[Place, Measured]:
    """Every number with its samples, those of one language by the statistic of its baseline."""
    measured = {}
    for language in languages:
        like = None
        for condition in conditions:
            row = cells.get((condition, language))
            if row is not None:
                scored = _scored(row, scale, like, samples)
                measured[condition, language] = Measured(row, scored)
                if condition == NO_CONDITION and isinstance(scored, Scores):
                    like = scored.kind
    return measured


def _scored(
    row: Row, scale: Scale, like: Kind | None, samples: Samples | None
) -> Scores | NoScores | None:
    """None where there is nothing to test with, and nothing to be said of it."""
    if samples is None or not row.usable:
        return None
    logged = samples(row)
    if isinstance(logged, str):
        return NoScores(logged)
    return scores(logged.get(row.filter), row, scale, like) if logged else None


def _changes(
    measured: Mapping[Place, Measured],
    conditions: Sequence[str],
    languages: Sequence[str],
    scale: Scale,
    draws: Draws,
    allowed: frozenset[str],
    remarks: Remarks,
) -> dict[Place, Change]:
    """By condition and language, and what is to be said of them into `remarks`."""
    # Where no file's samples give its value, the metric is of a statistic that is not known here.
    known = any(isinstance(cell.scored, Scores) for cell in measured.values())
    contradicted = {
        place: cell.scored.reason
        for place, cell in measured.items()
        if known and isinstance(cell.scored, NoScores) and cell.scored.unlike_value
    }
    changes = {}
    # One language after the other, so that its draws are made once.
    for language in languages:
        baseline = measured.get((NO_CONDITION, language))
        places = [(c, language) for c in conditions if (c, language) in measured]
        for place in places:
            cell = measured[place]
            found = change(cell, baseline, measured[places[0]].row, scale, draws, allowed)
            of_baseline = found.baseline is not None and (NO_CONDITION, language) in contradicted
            if of_baseline or place in contradicted:
                found = replace(
                    found, contradicted=place in contradicted, baseline_contradicted=of_baseline
                )
            changes[place] = found
            for text in (*cell.row.warnings, *found.obstacles):
                if text != contradicted.get(place):  # which the table marks
                    remarks.add(text, place)
    return {(c, x): changes[c, x] for c in conditions for x in languages if (c, x) in changes}


def _control_groups(
    conditions: Sequence[str],
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Conditions without controls, controls by condition, and controls of none of them."""
    by_terms = {frozenset(name.split("/")): name for name in conditions}  # in whatever order
    controls: dict[str, list[str]] = {}
    lone = []
    for condition in conditions:
        of = controlled(condition)
        if of is None:
            continue
        measured_as = by_terms.get(frozenset(of.split("/")))
        if measured_as is None:
            lone.append(condition)
        else:
            controls.setdefault(measured_as, []).append(condition)
    hidden = {*lone, *(name for names in controls.values() for name in names)}
    shown = tuple(condition for condition in conditions if condition not in hidden)
    return shown, {name: tuple(names) for name, names in controls.items()}, tuple(lone)


def _beside_each_other(
    changes: Mapping[Place, Change],
    conditions: Sequence[str],
    controls: Mapping[str, Sequence[str]],
    scale: Scale,
) -> dict[Place, Change]:
    """With p corrected over the conditions' cells, and ranks among the controls."""
    shown = set(conditions)
    tested = {
        place: cell.p for place, cell in changes.items() if cell.p is not None and place[0] in shown
    }
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    found = dict(changes)
    for (condition, language), cell in changes.items():
        shifts = {
            control: shift
            for control in controls.get(condition, ())
            if (other := changes.get((control, language))) and (shift := other.shift) is not None
        }
        p_holm = corrected.get((condition, language))
        if cell.shift is None or not (shifts or p_holm is not None):
            continue
        sizes = [size(shift, scale) for shift in shifts.values()]
        rank = rank_p_value(size(cell.shift, scale), sizes)
        found[condition, language] = replace(cell, controls=shifts, control_p=rank, p_holm=p_holm)
    return found


def _uneven(
    cells: Mapping[Place, Row], languages: Sequence[str], allowed: frozenset[str]
) -> tuple[str, ...]:
    """Settings in which languages differ: of the baselines, or without them of each condition."""
    uneven: dict[str, None] = {}
    conditions = {condition for condition, _ in cells}
    for condition in [NO_CONDITION] if NO_CONDITION in conditions else sorted(conditions):
        rows = [cells[condition, x] for x in languages if (condition, x) in cells]
        for row in rows[1:]:
            different = differing(rows[0].settings, row.settings, allowed | OF_A_LANGUAGE)
            uneven |= dict.fromkeys(different)
    return tuple(uneven)


def _notes(
    changes: Mapping[Place, Change], lone: Sequence[str], uneven: Sequence[str]
) -> Iterator[str]:
    if lone:
        yield (
            f"{listed(lone)}: controls of a condition that was not measured, which are no "
            "conditions; --all-controls shows them"
        )
    if uneven:
        yield f"no mean: the languages were measured with {'; '.join(uneven)}"
    few = [c.documents for c in changes.values() if c.interval and c.documents and not c.equal]
    if few and min(few) < FEW:
        yield (
            f"intervals of {min(few)} documents are too short: percentile intervals of fewer than "
            f"{FEW} documents hold the truth less often than they say"
        )
