"""Selectivities of a panel (`lsn_eval.results.scale.selectivity`), with intervals and controls.

All languages of the panel have a part in one, or it is not given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import numpy as np

from lsn_eval.comparing.kinds import Numbers
from lsn_eval.comparing.paired import Draws, bootstrapped, bounds
from lsn_eval.comparing.panels import Overall, Panel, Selectivity, own_language
from lsn_eval.comparing.ranks import rank_p_value, strength
from lsn_eval.comparing.scores import Scores
from lsn_eval.masks.names import CONTROL_NAME
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.results.scale import Scale, selectivity

OwnAndOthers = tuple[float, float]
"""Change of the own language, and mean change of the others."""


Spreads = dict[str, Numbers]
"""[resample] by condition."""


def selectivities(
    panel: Panel, scored: Mapping[tuple[str, str], Scores], draws: Draws
) -> tuple[dict[str, Selectivity], dict[str, Overall]]:
    """Of every condition of one language, and of all languages together by what was done."""
    if panel.uneven:
        return {}, {}
    moves: dict[str, OwnAndOthers] = {}
    for condition in panel.conditions:
        language = own_language(condition)
        if language and (move := _own_and_others(panel, condition, language)):
            moves[condition] = move
    spreads, own_spreads = _spreads(panel, moves, scored, draws)
    found: dict[str, Selectivity] = {}
    moves_of_controls: dict[str, dict[str, OwnAndOthers]] = {}
    for condition, (own, others) in moves.items():
        language = own_language(condition) or ""
        controls = moves_of_controls[condition] = {
            control: move
            for control in panel.controls.get(condition, ())
            if (move := _own_and_others(panel, control, language)) is not None
        }
        spread = spreads.get(condition)
        found[condition] = Selectivity(
            language=language,
            value=selectivity(own, [others]),
            own=own,
            others=others,
            interval=None if spread is None else bounds(spread, draws.level),
            controls={name: selectivity(a, [b]) for name, (a, b) in controls.items()},
            p=_rank((own, others), controls.values(), panel.scale),
        )
    return found, _overall(panel, found, moves_of_controls, (spreads, own_spreads), draws)


def _own_and_others(panel: Panel, condition: str, language: str) -> OwnAndOthers | None:
    own = panel.mean_shift(condition, [language])
    others = panel.mean_shift(condition, [x for x in panel.languages if x != language])
    return None if own is None or others is None else (own, others)


def _rank(move: OwnAndOthers, controls: Iterable[OwnAndOthers], scale: Scale) -> float | None:
    return rank_p_value(strength(*move, scale), [strength(*control, scale) for control in controls])


def _spreads(
    panel: Panel,
    conditions: Iterable[str],
    scored: Mapping[tuple[str, str], Scores],
    draws: Draws,
) -> tuple[Spreads, Spreads]:
    """Of each condition that has samples of all languages: of its selectivity, and of the change of
    its own language.

    Documents are drawn anew in every language, each language's independently of the others'.
    """
    spreads = {
        condition: np.zeros(draws.resamples)
        for condition in conditions
        if all(
            (change := panel.change(condition, language)) and change.interval is not None
            for language in panel.languages
        )
    }
    own_spreads = {}
    # One language after the other, so that its draws are made once.
    for stream, language in enumerate(panel.languages, start=1):
        for condition in spreads:
            own = language == own_language(condition)
            weight = 1.0 if own else -1.0 / (len(panel.languages) - 1)
            before, after = scored[NO_CONDITION, language], scored[condition, language]
            spread = bootstrapped(before, after, draws, stream)
            spreads[condition] += weight * spread
            if own:
                own_spreads[condition] = spread
    return spreads, own_spreads


def _overall(
    panel: Panel,
    found: Mapping[str, Selectivity],
    moves_of_controls: Mapping[str, Mapping[str, OwnAndOthers]],
    spreads: tuple[Spreads, Spreads],
    draws: Draws,
) -> dict[str, Overall]:
    by_what: dict[str, list[str]] = defaultdict(list)
    for condition in found:
        who, _, what = condition.partition(":")
        if who == found[condition].language:
            by_what[what].append(condition)
    overall = {}
    for what, conditions in by_what.items():
        controls = _masks_of_controls([moves_of_controls[c] for c in conditions])
        interval, own_interval = (
            bounds(np.mean([of[c] for c in conditions], axis=0), draws.level)
            if all(c in of for c in conditions)
            else None
            for of in spreads
        )
        own = fmean(found[c].own for c in conditions)
        others = fmean(found[c].others for c in conditions)
        overall[what] = Overall(
            languages=tuple(found[c].language for c in conditions),
            own=own,
            others=others,
            selectivity=selectivity(own, [others]),
            interval=interval,
            own_interval=own_interval,
            controls=tuple(selectivity(a, [b]) for a, b in controls),
            p=_rank((own, others), controls, panel.scale),
        )
    return overall


def _masks_of_controls(
    controls: Sequence[Mapping[str, OwnAndOthers]],
) -> list[OwnAndOthers]:
    """Control number k of every language stands for one mask of random neurons."""
    numbered: list[dict[str, OwnAndOthers]] = [
        {
            match[1]: move
            for control, move in moves.items()
            if (match := CONTROL_NAME.fullmatch(control.partition(":")[0]))
        }
        for moves in controls
    ]
    common = [number for number in numbered[0] if all(number in other for other in numbered)]
    return [
        (
            fmean(moves[number][0] for moves in numbered),
            fmean(moves[number][1] for moves in numbered),
        )
        for number in common
    ]
