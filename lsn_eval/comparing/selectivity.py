"""Selectivities of a panel (`lsn_eval.results.scale.selectivity`), with intervals; what counts as a
large change, and where one stands among those of its controls.

All languages of the panel have a part in a selectivity, or it is not given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import numpy as np

from lsn_eval.comparing.kinds import Numbers
from lsn_eval.comparing.paired import Draws, bootstrapped, bounds
from lsn_eval.comparing.panels import Overall, Panel, Selectivity, judged_language, own_language
from lsn_eval.comparing.scores import Scores
from lsn_eval.conditions import is_tuned
from lsn_eval.masks.names import CONTROL_NAME
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.results.scale import Scale, selectivity

OwnAndOthers = tuple[float, float]
"""Change of the own language, and mean change of the others."""
Spreads = dict[str, Numbers]
"""[resample] by condition."""


def size(shift: float, scale: Scale, condition: str = NO_CONDITION) -> float:
    """The one rule for ranks: of perplexities a rise is large, under a tuned condition a fall; of
    metrics that may rise or fall a move in either direction."""
    return abs(shift) if scale == "linear" else -shift if is_tuned(condition) else shift


def largest(shifts: Iterable[float], scale: Scale, condition: str = NO_CONDITION) -> float | None:
    """The largest of some changes by the rule of ranks; None of none."""
    return max(shifts, key=lambda shift: size(shift, scale, condition), default=None)


def strength(own: float, others: float, scale: Scale, condition: str = NO_CONDITION) -> float:
    """What selectivities are ranked by: how much larger the own change is than the mean of the
    others'. Of perplexities it is the selectivity itself; an accuracy that falls in its own
    language has a negative selectivity and is selective all the same."""
    return size(own, scale, condition) - size(others, scale, condition)


def rank_p_value(value: float, controls: Sequence[float]) -> float | None:
    """Chance that as large a value is drawn from the controls: (1 + number at least as large) /
    (1 + number of controls), so that n controls can show 1 / (n + 1) at best (Phipson and Smyth
    2010, section 3). None without controls."""
    if not controls:
        return None
    return (1 + sum(control >= value for control in controls)) / (1 + len(controls))


def selectivities(
    panel: Panel, scored: Mapping[tuple[str, str], Scores], draws: Draws
) -> tuple[dict[str, Selectivity], dict[str, Overall]]:
    """Of every condition judged on one language, and of all languages together by what was done."""
    own_languages = {c: x for c in panel.conditions if (x := judged_language(c, panel.scale))}
    moves = _own_and_others(panel, own_languages) if not panel.uneven else {}
    spreads, own_spreads = _spreads(panel, moves, scored, draws)
    of_controls = {
        c: _own_and_others(panel, dict.fromkeys(panel.controls.get(c, ()), own_languages[c]))
        for c in moves
    }
    by_condition = {
        condition: Selectivity(
            language=own_languages[condition],
            value=selectivity(own, [others]),
            own=own,
            others=others,
            interval=bounds(spreads[condition], draws.level) if condition in spreads else None,
            controls={c: selectivity(a, [b]) for c, (a, b) in of_controls[condition].items()},
            p=_rank((own, others), of_controls[condition].values(), panel.scale, condition),
        )
        for condition, (own, others) in moves.items()
    }
    by_what: dict[str, list[str]] = defaultdict(list)
    for condition, of_one in by_condition.items():
        who, _, what = condition.partition(":")
        if who == of_one.language:
            by_what[what].append(condition)
    overall = {}
    for what, conditions in by_what.items():
        own, others = _mean([moves[c] for c in conditions])
        controls = _masks_of_controls([of_controls[c] for c in conditions])
        interval, own_interval = (
            bounds(np.mean([of[c] for c in conditions], axis=0), draws.level)
            if all(c in of for c in conditions)
            else None
            for of in (spreads, own_spreads)
        )
        overall[what] = Overall(
            languages=tuple(own_languages[c] for c in conditions),
            own=own,
            others=others,
            selectivity=selectivity(own, [others]),
            interval=interval,
            own_interval=own_interval,
            controls=tuple(selectivity(a, [b]) for a, b in controls),
            p=_rank((own, others), controls, panel.scale, conditions[0]),
        )
    return by_condition, overall


def _own_and_others(panel: Panel, languages: Mapping[str, str]) -> dict[str, OwnAndOthers]:
    """Of the conditions whose every change is there; `languages` is each one's own."""
    moves = {}
    for condition, language in languages.items():
        own = panel.mean_shift(condition, [language])
        others = panel.mean_shift(condition, [x for x in panel.languages if x != language])
        if own is not None and others is not None:
            moves[condition] = own, others
    return moves


def _mean(moves: Sequence[OwnAndOthers]) -> OwnAndOthers:
    return fmean(own for own, _ in moves), fmean(others for _, others in moves)


def _rank(
    move: OwnAndOthers, controls: Iterable[OwnAndOthers], scale: Scale, condition: str
) -> float | None:
    own, *others = (strength(*one, scale, condition) for one in (move, *controls))
    return rank_p_value(own, others)


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
    tested = [
        condition
        for condition in conditions
        if all(panel.changes[condition, x].interval is not None for x in panel.languages)
    ]
    spreads = {condition: np.zeros(draws.resamples) for condition in tested}
    own_spreads = {}
    for stream, language in enumerate(panel.languages if tested else (), start=1):
        several = [scored[condition, language] for condition in tested]
        found = bootstrapped(scored[NO_CONDITION, language], several, draws, stream)
        for condition, spread in zip(tested, found.T, strict=True):
            if language == own_language(condition):
                own_spreads[condition] = spread
                spreads[condition] += spread
            else:
                spreads[condition] += -1.0 / (len(panel.languages) - 1) * spread
    return spreads, own_spreads


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
    return [_mean([moves[number] for moves in numbered]) for number in common]
