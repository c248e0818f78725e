"""From the neurons a method chose to a mask: statistics to steer with, controls, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Literal, get_args

import numpy as np

from lsn_eval.errors import MaskError
from lsn_eval.identification.rate_controls import draw_rate_controls
from lsn_eval.identification.selection import (
    IdentificationError,
    Neurons,
    Selection,
    check_whole,
    probabilities,
)
from lsn_eval.masks.content import MaskContent
from lsn_eval.masks.controls import draw_control
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.masks.names import STATISTICS, MaskMethod
from lsn_eval.statistics import ActivationStats
from lsn_eval.version import __version__

Matched = Literal["layer", "rate"]
DEFAULT_CONTROLS = 20
_PACKAGES = ("numpy", "torch", "transformers")


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
    if controls_matched not in get_args(Matched):
        known = ", ".join(get_args(Matched))
        raise IdentificationError(
            f"controls_matched must be one of {known}, not {controls_matched!r}"
        )
    content = MaskContent(
        model=selection.model,
        languages=selection.languages,
        method=MaskMethod(method),
        provenance=_provenance(stats, command),
        neurons_of=selection.neurons,
        values_of={},
    )
    drawn, without = _controls(content, stats, wanted, controls_matched)
    if without and controls is not None:
        raise IdentificationError(
            f"{next(iter(without.values()))}, or no controls (controls=0, --controls 0)"
        )
    stored: dict[str, Any] = {
        **parameters,
        **selection.found,
        "controls": wanted,
        "controls_matched": controls_matched,
    }
    if without:
        stored["without_controls"] = without
    content = replace(
        content, method=MaskMethod(method, stored), neurons_of={**selection.neurons, **drawn}
    )
    if stats is not None:
        content = replace(content, values_of=_values(content, stats, selection.median_over_texts))
    return NeuronMask.of(content)


def _controls(
    mask: MaskContent, stats: ActivationStats | None, count: int, matched: Matched
) -> tuple[Neurons, dict[str, str]]:
    """Neurons of every control, and for languages that cannot have any the reason."""
    if matched == "rate" and stats is None:
        raise IdentificationError(
            "controls matched on firing rate need activation statistics, and none were given; "
            "give them, or match controls on the layer alone"
        )
    firing = {}
    if matched == "rate" and stats is not None and count:
        firing = {at: probabilities(stats, at) for at in mask.hookpoints}
    drawn: Neurons = {}
    without: dict[str, str] = {}
    for language in filter(mask.count, mask.languages):
        try:
            if stats is not None and firing:
                row, layers = stats.language_index(language), mask.model.layers
                rates = {
                    (at, layer): firing[at][row, layers.index(layer)]
                    for at, layer in mask.places(language)
                }
                controls = draw_rate_controls(mask, language, count, rates)
            else:
                controls = [draw_control(mask, language, number + 1) for number in range(count)]
        except MaskError as error:
            without[language] = str(error)
        else:
            drawn |= {f"random{n}-{language}": places for n, places in enumerate(controls, 1)}
    return drawn, without


def _values(mask: MaskContent, stats: ActivationStats, median_over_texts: bool) -> dict[str, Any]:
    """Statistics of every neuron in its language, of a control's neurons in the language it
    stands for."""
    values: dict[str, Any] = {who: {} for who in mask.who}
    for at in mask.hookpoints:
        recorded = stats.arrays.get(at, {})
        for number, layer in enumerate(mask.model.layers):
            owners = [who for who in mask.who if (at, layer) in mask.at_places(who)]
            responses = stats.responses(at, layer) if owners and median_over_texts else None
            for who in owners:
                language = who if who in mask.languages else who.partition("-")[2]
                row, indices = stats.language_index(language), mask.indices(who, at, layer)
                values[who][at, layer] = {
                    name: recorded[name][row, number][indices]
                    for name in STATISTICS
                    if name in recorded
                }
                if responses is not None:
                    texts = np.flatnonzero(stats.text_languages == language)
                    mine = responses[np.ix_(texts, indices)].astype(np.float32)
                    values[who][at, layer]["median"] = np.median(mine, axis=0)
    return values


def _provenance(stats: ActivationStats | None, command: str | None) -> dict[str, Any]:
    versions = {"lsn-eval": __version__} | {name: version(name) for name in _PACKAGES}
    provenance: dict[str, Any] = {"versions": versions}
    if stats is not None:
        provenance["tokens"] = {name: int(stats.tokens[name]) for name in stats.languages}
        provenance["statistics"] = {"digest": stats.digest, **stats.provenance}
        if "corpora" in stats.provenance:
            provenance["corpora"] = stats.provenance["corpora"]
    if command:
        provenance["command"] = command
    return provenance
