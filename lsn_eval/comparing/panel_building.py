"""One panel from its rows: which cells it has, what is tested, controls, and what is to be said."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lsn_eval.comparing.changes import Measured, change_since, too_few
from lsn_eval.comparing.kinds import Kind
from lsn_eval.comparing.paired import Draws, PairedChange, holm, paired_changes
from lsn_eval.comparing.panels import Change, Panel, own_language
from lsn_eval.comparing.scores import NoScores, SampleColumns, Scores, scores
from lsn_eval.comparing.selectivity import rank_p_value, selectivities, size
from lsn_eval.errors import LsnError
from lsn_eval.results.controls import controlled
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.results.scale import Scale, scale_of
from lsn_eval.results.settings import OF_A_LANGUAGE, differing
from lsn_eval.wording.lists import listed

Place = tuple[str, str]
"""Condition and language."""
Samples = Callable[[Row], Mapping[str, SampleColumns] | str]
"""Samples of a row by filter; a text where they cannot be read."""
Remarks = dict[str, dict[Place, None]]
"""Every remark once, with where it applies."""


def build_panel(
    rows: Sequence[Row], draws: Draws, samples: Samples | None, allowed: frozenset[str]
) -> Panel:
    """Rows of one model, mask, family of tasks and metric, with those of `none`."""
    first = rows[-1]
    scale = scale_of(first.metric)
    remarks: Remarks = defaultdict(dict)
    cells = _cells(rows, remarks)
    languages = _languages(rows)
    conditions = _in_order({condition for condition, _ in cells}, languages)
    # One language after the other, so that its draws are made once; its baseline first.
    by_language = [(c, x) for x in languages for c in conditions if (c, x) in cells]
    measured = _measured({place: cells[place] for place in by_language}, scale, samples)
    changes = _changes(measured, scale, draws, allowed, remarks)
    changes = {(c, x): changes[c, x] for c in conditions for x in languages if (c, x) in changes}
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
            *(
                f"{_where(places, conditions, languages)}: {text}"
                for text, places in remarks.items()
            ),
            *_notes(changes, lone, uneven),
        ),
    )  # fmt: skip
    selectivity, overall = selectivities(panel, scored, draws)
    return replace(panel, selectivity=selectivity, overall=overall)


def _where(places: Collection[Place], conditions: Sequence[str], languages: Sequence[str]) -> str:
    """Places in few words."""
    whos, texts = ({place[part] for place in places} for part in (0, 1))
    if 1 < len(places) == len(whos) * len(texts):
        return (
            f"{listed(c for c in conditions if c in whos)} on "
            f"{listed(x for x in languages if x in texts)}"
        )
    return listed(f"{condition} on {language}" for condition, language in places)


def _cells(rows: Sequence[Row], remarks: Remarks) -> dict[Place, Row]:
    """The newest row of each place."""
    cells: dict[Place, Row] = {}
    for row in rows:
        place = row.condition, row.language or row.task
        other = cells.setdefault(place, row)
        if other is not row:
            text = f"measured twice ({other.task} and {row.task}); the newer is shown"
            remarks[text][place] = None
            cells[place] = max(other, row, key=lambda cell: cell.date)
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
    cells: Mapping[Place, Row], scale: Scale, samples: Samples | None
) -> dict[Place, Measured]:
    """Every number with its samples, those of one language by the statistic of its baseline."""
    measured = {}
    like: dict[str, Kind] = {}
    for (condition, language), row in cells.items():
        scored: Scores | NoScores | None = None
        if samples is not None and row.usable:
            logged = samples(row)
            if isinstance(logged, str):
                scored = NoScores(logged)
            elif logged:
                scored = scores(logged.get(row.filter), row, scale, like.get(language))
        if condition == NO_CONDITION and isinstance(scored, Scores):
            like[language] = scored.kind
        measured[condition, language] = Measured(row, scored)
    return measured


def _changes(
    measured: Mapping[Place, Measured],
    scale: Scale,
    draws: Draws,
    allowed: frozenset[str],
    remarks: Remarks,
) -> dict[Place, Change]:
    """Of every number, and what is to be said of them into `remarks`."""
    # Where no file's samples give its value, the metric is of a statistic that is not known here.
    known = any(isinstance(cell.scored, Scores) for cell in measured.values())
    contradicted = {
        place: cell.scored.reason
        for place, cell in measured.items()
        if known and isinstance(cell.scored, NoScores) and cell.scored.unlike_value
    }
    first: dict[str, Row] = {}
    changes = {}
    tested = _tested(measured, draws)
    for place, cell in measured.items():
        none = NO_CONDITION, place[1]
        other = first.setdefault(place[1], cell.row)
        moved = change_since(measured.get(none), cell, other, tested.get(place), scale, allowed)
        changes[place] = replace(
            moved,
            contradicted=place in contradicted,
            baseline_contradicted=moved.baseline is not None and none in contradicted,
        )
        for text in (*cell.row.warnings, *moved.obstacles):
            if text != contradicted.get(place):  # which the table marks
                remarks[text][place] = None
    return changes


def _tested(
    measured: Mapping[Place, Measured], draws: Draws
) -> dict[Place, PairedChange | LsnError]:
    """Every number with samples beside its baseline's."""
    pairs = {}
    for place, cell in measured.items():
        baseline = measured.get((NO_CONDITION, place[1]), cell)
        before, after = baseline.scored, cell.scored
        if baseline is not cell and isinstance(before, Scores) and isinstance(after, Scores):
            pairs[place] = before, after
    return dict(zip(pairs, paired_changes(list(pairs.values()), draws), strict=True))


def _control_groups(
    conditions: Sequence[str],
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Conditions without controls, controls by condition, and controls of none of them."""
    by_terms = {frozenset(name.split("/")): name for name in conditions}  # in whatever order
    groups: dict[str | None, tuple[str, ...]] = defaultdict(tuple)
    shown = []
    for condition in conditions:
        if of := controlled(condition):
            groups[by_terms.get(frozenset(of.split("/")))] += (condition,)
        else:
            shown.append(condition)
    lone = groups.pop(None, ())
    return tuple(shown), {name: names for name, names in groups.items() if name}, lone


def _beside_each_other(
    changes: Mapping[Place, Change],
    conditions: Sequence[str],
    controls: Mapping[str, Sequence[str]],
    scale: Scale,
) -> dict[Place, Change]:
    """With p corrected over the conditions' cells, and ranks among the controls."""
    tested = {
        place: change.p
        for place, change in changes.items()
        if change.p is not None and place[0] in conditions
    }
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    beside = {}
    for (condition, language), change in changes.items():
        shifts = {
            control: shift
            for control in controls.get(condition, ())
            if (other := changes.get((control, language))) and (shift := other.shift) is not None
        }
        if change.shift is not None:
            rank = rank_p_value(
                size(change.shift, scale, condition),
                [size(x, scale, condition) for x in shifts.values()],
            )
            p_holm = corrected.get((condition, language))
            change = replace(change, controls=shifts, control_p=rank, p_holm=p_holm)
        beside[condition, language] = change
    return beside


def _uneven(
    cells: Mapping[Place, Row], languages: Sequence[str], allowed: frozenset[str]
) -> tuple[str, ...]:
    """Settings in which languages differ: of the baselines, or without them of each condition."""
    conditions = {condition for condition, _ in cells}
    uneven: list[str] = []
    for condition in [NO_CONDITION] if NO_CONDITION in conditions else sorted(conditions):
        first, *others = (cells[condition, x] for x in languages if (condition, x) in cells)
        for row in others:
            uneven += differing(first.settings, row.settings, allowed | OF_A_LANGUAGE)
    return tuple(dict.fromkeys(uneven))


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
    if few := too_few(changes.values()):
        yield few
