"""Selectivity: how much more a condition changes its own language than the others.

For perplexities it is the change of log perplexity on the own language's text, minus the mean of
the changes on the others'; for other metrics the same with the value itself. All languages of the
panel have a part in it, or it is not given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lsn_eval.comparing.kinds import Numbers, Scale
from lsn_eval.comparing.paired import Draws, bootstrapped, bounds
from lsn_eval.comparing.panels import (
    Overall,
    Panel,
    Selectivity,
    own_language,
    rank_p_value,
    strength,
)
from lsn_eval.comparing.scores import Scores
from lsn_eval.masks.names import CONTROL_NAME
from lsn_eval.results.rows import NO_CONDITION


def selectivities(
    panel: Panel, scored: Mapping[tuple[str, str], Scores], draws: Draws
) -> tuple[dict[str, Selectivity], dict[str, Overall]]:
    """Of every condition of one language, and of all languages together by what was done."""
    if panel.uneven:
        return {}, {}
    parts: dict[str, tuple[str, _Parts]] = {}
    for condition in panel.conditions:
        language = own_language(condition)
        both = None if language is None else _parts(panel, condition, language)
        if language is not None and both is not None:
            parts[condition] = language, both
    spreads = _spreads(panel, {c: language for c, (language, _) in parts.items()}, scored, draws)
    found: dict[str, Selectivity] = {}
    control_parts: dict[str, dict[str, _Parts]] = {}
    for condition, (language, (own, others)) in parts.items():
        controls = control_parts[condition] = {
            control: both
            for control in panel.controls.get(condition, ())
            if (both := _parts(panel, control, language)) is not None
        }
        spread = spreads.get(condition)
        found[condition] = Selectivity(
            language=language,
            value=own - others,
            own=own,
            others=others,
            interval=None if spread is None else bounds(spread, draws.level),
            controls={control: a - b for control, (a, b) in controls.items()},
            p=_rank((own, others), list(controls.values()), panel.scale),
        )
    return found, _overall(panel, found, control_parts, spreads, draws)


_Parts = tuple[float, float]
"""Change of the own language, and mean change of the others."""


def _parts(panel: Panel, condition: str, language: str) -> _Parts | None:
    own = panel.mean_shift(condition, [language])
    rest = panel.mean_shift(condition, [other for other in panel.languages if other != language])
    return None if own is None or rest is None else (own, rest)


def _rank(parts: _Parts, controls: Sequence[_Parts], scale: Scale) -> float | None:
    if not controls:
        return None
    return rank_p_value(
        strength(*parts, scale), [strength(*control, scale) for control in controls]
    )


def _spreads(
    panel: Panel,
    conditions: Mapping[str, str],
    scored: Mapping[tuple[str, str], Scores],
    draws: Draws,
) -> dict[str, Numbers]:
    """[resample] of each condition (given with its language) that has samples of all languages.

    Documents are drawn anew in every language, each language's independently of the others'.
    """
    tested = {
        condition: own
        for condition, own in conditions.items()
        if all(
            (change := panel.change(condition, language)) and change.interval is not None
            for language in panel.languages
        )
    }
    spreads = {condition: np.zeros(draws.resamples) for condition in tested}
    # One language after the other, so that its draws are made once.
    for stream, language in enumerate(panel.languages, start=1):
        for condition, own in tested.items():
            weight = 1.0 if language == own else -1.0 / (len(panel.languages) - 1)
            before, after = scored[NO_CONDITION, language], scored[condition, language]
            spreads[condition] += weight * bootstrapped(before, after, draws, stream)
    return spreads


def _overall(
    panel: Panel,
    found: Mapping[str, Selectivity],
    control_parts: Mapping[str, Mapping[str, _Parts]],
    spreads: Mapping[str, Numbers],
    draws: Draws,
) -> dict[str, Overall]:
    overall = {}
    for what in dict.fromkeys(condition.partition(":")[2] for condition in found):
        chosen = [c for c in found if c == f"{found[c].language}:{what}"]
        if not chosen:
            continue
        controls = _overall_controls([control_parts[c] for c in chosen])
        known = [spreads[c] for c in chosen if c in spreads]
        spread = np.mean(known, axis=0) if len(known) == len(chosen) else None
        own = sum(found[c].own for c in chosen) / len(chosen)
        others = sum(found[c].others for c in chosen) / len(chosen)
        overall[what] = Overall(
            languages=tuple(found[c].language for c in chosen),
            own=own,
            others=others,
            selectivity=own - others,
            interval=None if spread is None else bounds(spread, draws.level),
            controls=tuple(a - b for a, b in controls),
            p=_rank((own, others), controls, panel.scale),
        )
    return overall


def _overall_controls(found: Sequence[Mapping[str, _Parts]]) -> list[_Parts]:
    """Control number k of every language stands for one mask of random neurons."""
    numbered = [
        {
            match[1]: parts
            for control, parts in controls.items()
            if (match := CONTROL_NAME.fullmatch(control.partition(":")[0]))
        }
        for controls in found
    ]
    common = [number for number in numbered[0] if all(number in other for other in numbered)]
    return [
        (
            sum(parts[number][0] for parts in numbered) / len(numbered),
            sum(parts[number][1] for parts in numbered) / len(numbered),
        )
        for number in common
    ]
