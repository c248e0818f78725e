"""From the neurons a method chose to a mask: statistics to steer with, controls, provenance."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from lsn_eval.errors import MaskError
from lsn_eval.identification.average_precision import text_languages
from lsn_eval.identification.rate_controls import draw_rate_controls
from lsn_eval.identification.selection import (
    IdentificationError,
    Selection,
    check_whole,
    probabilities,
)
from lsn_eval.masks.content import nested
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.masks.names import STATISTICS, MaskMethod
from lsn_eval.models.layout import Place
from lsn_eval.statistics import ActivationStats

Matched = Literal["layer", "rate"]
MATCHED: tuple[Matched, ...] = ("layer", "rate")

DEFAULT_CONTROLS = 20
_PACKAGES = ("lsn-eval", "numpy", "torch", "transformers")

_Tree = dict[str, dict[str, dict[str, Any]]]


def assemble(
    selection: Selection,
    stats: ActivationStats | None,
    *,
    method: str,
    parameters: Mapping[str, Any],
    controls: int | None,
    controls_matched: Matched,
    command: str | None,
) -> NeuronMask:
    """The mask of a selection.

    Args:
        controls: how many to store for each language that has neurons. None means
            `DEFAULT_CONTROLS`, or none for a language that leaves too few neurons in some layer
            to draw them from; which languages those are stands in the method's parameters under
            "without_controls".

    Raises:
        IdentificationError: a number of controls was asked for that cannot be drawn.
    """
    wanted = DEFAULT_CONTROLS if controls is None else check_whole("controls", controls)
    if controls_matched not in MATCHED:
        raise IdentificationError(
            f"controls_matched must be one of {', '.join(MATCHED)}, not {controls_matched!r}"
        )
    neurons: dict[str, Any] = {name: selection.neurons[name] for name in selection.languages}
    bare = NeuronMask(neurons, model=selection.model, languages=selection.languages)
    drawn, without = _controls(bare, stats, wanted, controls_matched)
    if without and controls is not None:
        raise IdentificationError(
            f"{next(iter(without.values()))}, or no controls (controls=0, --controls 0)"
        )
    neurons |= drawn
    stored: dict[str, Any] = {
        **parameters,
        **selection.found,
        "controls": wanted,
        "controls_matched": controls_matched,
    }
    if without:
        stored["without_controls"] = without
    mask = NeuronMask(
        neurons,
        model=selection.model,
        languages=selection.languages,
        method=MaskMethod(method, stored),
        provenance=_provenance(selection, stats, command),
    )
    return mask if stats is None else mask.with_values(_values(mask, stats, selection))


def _controls(
    mask: NeuronMask, stats: ActivationStats | None, count: int, matched: Matched
) -> tuple[dict[str, Any], dict[str, str]]:
    """Neurons of every control, and for languages that cannot have any the reason."""
    if matched == "rate" and stats is None:
        raise IdentificationError(
            "controls matched on firing rate need activation statistics, and none were given; "
            "give them, or match controls on the layer alone"
        )
    firing = {}
    if matched == "rate" and stats is not None and count:
        firing = {at: probabilities(stats, at) for at in mask.hookpoints}
    drawn: dict[str, Any] = {}
    without: dict[str, str] = {}
    for language in mask.languages:
        if not mask.count(language):
            continue
        try:
            if stats is not None and firing:
                places = mask.places(language)
                rates = {at: firing[at[0]][_at(stats, language, at)] for at in places}
                controls = draw_rate_controls(mask, language, count, rates)
            else:
                controls = [mask.draw_control(language, number + 1) for number in range(count)]
        except MaskError as error:
            without[language] = str(error)
            continue
        for number, neurons in enumerate(controls):
            drawn[f"random{number + 1}-{language}"] = nested(neurons)
    return drawn, without


def _values(mask: NeuronMask, stats: ActivationStats, selection: Selection) -> _Tree:
    """Statistics of every neuron in its language, of a control's neurons in the language it
    stands for."""
    values: _Tree = {who: {} for who in mask.who}
    language_of = {who: who if who in mask.languages else who.partition("-")[2] for who in mask.who}
    for hookpoint in mask.hookpoints:
        for statistic in STATISTICS:
            if hookpoint not in stats.hookpoints or statistic not in stats.arrays[hookpoint]:
                continue
            array = stats.get(hookpoint, statistic)
            for who, language in language_of.items():
                for at, layer in mask.places(who):
                    if at == hookpoint:
                        indices = mask.indices(who, at, layer)
                        stored = array[_at(stats, language, (at, layer))][indices]
                        values[who].setdefault(at, {}).setdefault(layer, {})[statistic] = stored
    if selection.median_over_texts:
        _add_medians(values, mask, stats, language_of)
    return values


def _add_medians(
    values: _Tree, mask: NeuronMask, stats: ActivationStats, language_of: Mapping[str, str]
) -> None:
    """The median over a language's texts of each neuron's mean response, a layer at a time."""
    texts = text_languages(stats)
    rows = {language: np.flatnonzero(texts == language) for language in mask.languages}
    for hookpoint in mask.hookpoints:
        for layer in mask.model.layers:
            members = {
                who: indices
                for who in mask.who
                if (indices := mask.indices(who, hookpoint, layer)).size
            }
            if not members:
                continue
            responses = stats.responses(hookpoint, layer)
            for who, indices in members.items():
                mine = responses[np.ix_(rows[language_of[who]], indices)]
                medians = np.median(mine.astype(np.float32), axis=0)
                values[who].setdefault(hookpoint, {}).setdefault(layer, {})["median"] = medians


def _at(stats: ActivationStats, language: str, place: Place) -> tuple[int, int]:
    return stats.languages.index(language), stats.model.layers.index(place[1])


def _provenance(
    selection: Selection, stats: ActivationStats | None, command: str | None
) -> dict[str, Any]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    provenance: dict[str, Any] = {"versions": versions}
    if stats is not None:
        provenance["tokens"] = {name: int(stats.tokens[name]) for name in stats.languages}
        provenance["statistics"] = {"digest": stats.digest, **stats.provenance}
        if "corpora" in stats.provenance:
            provenance["corpora"] = stats.provenance["corpora"]
    if command:
        provenance["command"] = command
    return provenance
