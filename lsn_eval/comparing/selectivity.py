"""Selectivity: how much more a condition changes its own language than the others.

For perplexities it is the change of log perplexity on the own language's text, minus the mean of
the changes on the others'; for other metrics the same with the value itself. All languages of the
panel have a part in it, or it is not given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lsn_eval.comparing.paired import Draws, bootstrapped, bounds
from lsn_eval.comparing.panels import Overall, Panel, Selectivity, own_language, ranked
from lsn_eval.comparing.scores import Numbers, Scores
from lsn_eval.mask_names import CONTROL_NAME
from lsn_eval.results import NO_CONDITION


def selectivities(
    panel: Panel, scored: Mapping[tuple[str, str], Scores], draws: Draws
) -> tuple[dict[str, Selectivity], dict[str, Overall]]:
    """Of every condition of one language, and of all languages together by what was done."""
    if panel.uneven:
        return {}, {}
    values: dict[str, tuple[str, float]] = {}
    for condition in panel.conditions:
        language = own_language(condition)
        value = None if language is None else _value(panel, condition, language)
        if language is not None and value is not None:
            values[condition] = language, value
    spreads = _spreads(panel, {c: language for c, (language, _) in values.items()}, scored, draws)
    found: dict[str, Selectivity] = {}
    for condition, (language, value) in values.items():
        controls = {
            control: other
            for control in panel.controls.get(condition, ())
            if (other := _value(panel, control, language)) is not None
        }
        spread = spreads.get(condition)
        found[condition] = Selectivity(
            language=language,
            value=value,
            interval=None if spread is None else bounds(spread, draws.level),
            controls=controls,
            p=ranked(value, list(controls.values()), panel.scale),
        )
    return found, _overall(panel, found, spreads, draws)


def _value(panel: Panel, condition: str, language: str) -> float | None:
    own = panel.mean_shift(condition, [language])
    rest = panel.mean_shift(condition, _others(panel, language))
    return None if own is None or rest is None else own - rest


def _others(panel: Panel, language: str) -> list[str]:
    return [other for other in panel.languages if other != language]


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
    spreads: Mapping[str, Numbers],
    draws: Draws,
) -> dict[str, Overall]:
    overall = {}
    for what in dict.fromkeys(condition.partition(":")[2] for condition in found):
        chosen = [c for c in found if c == f"{found[c].language}:{what}"]
        if not chosen:
            continue
        controls = _overall_controls([found[c] for c in chosen])
        known = [spreads[c] for c in chosen if c in spreads]
        spread = np.mean(known, axis=0) if len(known) == len(chosen) else None
        value = sum(found[c].value for c in chosen) / len(chosen)
        own = sum(panel.mean_shift(c, [found[c].language]) or 0.0 for c in chosen) / len(chosen)
        overall[what] = Overall(
            languages=tuple(found[c].language for c in chosen),
            own=own,
            others=own - value,
            selectivity=value,
            interval=None if spread is None else bounds(spread, draws.level),
            controls=controls,
            p=ranked(value, controls, panel.scale),
        )
    return overall


def _overall_controls(found: Sequence[Selectivity]) -> tuple[float, ...]:
    """Control number k of every language stands for one mask of random neurons."""
    numbered = [
        {
            match[1]: value
            for control, value in selectivity.controls.items()
            if (match := CONTROL_NAME.fullmatch(control.partition(":")[0]))
        }
        for selectivity in found
    ]
    common = [number for number in numbered[0] if all(number in other for other in numbered)]
    return tuple(sum(values[number] for values in numbered) / len(numbered) for number in common)
