"""From neurons to a mask: statistics to steer with, controls, provenance."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Literal, get_args

import numpy as np

from lsn_eval.errors import MaskError
from lsn_eval.identification.rate_controls import draw_rate_controls
from lsn_eval.identification.selection import (
    IdentificationError,
    Selection,
    check_whole,
    probabilities,
)
from lsn_eval.masks.content import MaskContent
from lsn_eval.masks.controls import draw_control
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.masks.names import OVER_TEXTS, MaskMethod, is_statistic
from lsn_eval.statistics import ActivationStats
from lsn_eval.version import __version__
from lsn_eval.wording.lists import listed

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
    """The mask of a selection; raises IdentificationError as `_with_controls` does."""
    content = MaskContent(
        model=selection.model,
        languages=selection.languages,
        method=MaskMethod(method, {**parameters, **selection.found}),
        provenance=_provenance(stats, command),
        neurons_of=selection.neurons,
        values_of={},
    )
    content = _with_controls(content, stats, controls, controls_matched)
    if stats is not None:
        content = replace(content, values_of=_values(content, stats, selection.median_over_texts))
    return NeuronMask.of(content)


def add_statistics(
    mask: NeuronMask | str | os.PathLike[str],
    *stats: ActivationStats | str | os.PathLike[str],
    controls: int | None = None,
    controls_matched: Matched = "layer",
    replace_stored: bool = False,
    command: str | None = None,
) -> NeuronMask:
    """`mask` with what was recorded of its neurons, so that a condition such as `de:mean` has
    values to write: for a mask that was imported, drawn or combined.

    Where the mask's median is one over texts (`average_precision`, expertise files), so is the one
    that is added, and without responses of single texts there is none.

    Args:
        stats: of the same model, over texts of every language of the mask; several are added up.
        controls: for each language that stores none; by default 20 where they fit. Those that the
            mask stores stay, and get statistics of their own.
        replace_stored: write over statistics that the mask stores; otherwise these stay.
        command: the command line, for the mask's provenance.

    Raises:
        IdentificationError: statistics of another model, without a language of the mask or with
            nothing to write at one of its hookpoints; or controls that cannot be drawn.
    """
    mask, recorded = NeuronMask.load(mask), ActivationStats.load(*stats)
    _check_covers(recorded, mask)
    model, other, method = mask.model, recorded.model, mask.method
    content = MaskContent(
        model=replace(model, type=model.type or other.type, name=model.name or other.name),
        languages=mask.languages,
        method=method,
        provenance={**mask.provenance, "added_to": mask.digest, **_provenance(recorded, command)},
        neurons_of=mask.neurons_of,
        values_of=mask.values_of,
    )
    content = _with_controls(content, recorded, controls, controls_matched)
    over_texts = (
        method.name.startswith("average_precision") or method.parameters.get("median") == OVER_TEXTS
    )
    values = _values(content, recorded, over_texts)
    for who, places in mask.values_of.items():
        for place, stored in places.items():
            added = values[who][place]
            values[who][place] = {**stored, **added} if replace_stored else {**added, **stored}
    return NeuronMask.of(replace(content, values_of=values))


def _check_covers(stats: ActivationStats, mask: NeuronMask) -> None:
    """Raise unless something to write was recorded of every neuron of the mask in its language."""
    if not mask.model.fits(stats.model):
        sizes = [
            f"{at.type or 'a model'} of {len(at.layers)} layers with {dict(at.widths)} neurons"
            for at in (mask.model, stats.model)
        ]
        raise IdentificationError(
            f"the mask is of {sizes[0]}, and the statistics are of {sizes[1]}; record statistics "
            "of the mask's model"
        )
    if missing := [name for name in mask.languages if name not in stats.languages]:
        raise IdentificationError(
            f"these statistics have no texts of {listed(missing)}, a language of the mask; they "
            f"have {', '.join(stats.languages)}. Record every language of the mask, under the "
            "mask's names"
        )
    for at in mask.hookpoints:
        if not any(map(is_statistic, stats.arrays.get(at, ()))):
            raise IdentificationError(
                f"these statistics hold nothing to write at {at}; they hold "
                + "; ".join(
                    f"{', '.join(stats.names(name))} of {name}" for name in stats.hookpoints
                )
                + f". Record with 'lsn-eval record --hookpoint {at} --statistics all'"
            )


def _with_controls(
    mask: MaskContent, stats: ActivationStats | None, controls: int | None, matched: Matched
) -> MaskContent:
    """The mask with controls for every language that has neurons and stores none.

    Args:
        controls: how many. None means `DEFAULT_CONTROLS`, or none for a language that leaves too
            few neurons in some layer to draw them from; which languages those are stands in the
            method's parameters under "without_controls".

    Raises:
        IdentificationError: a number was asked for that cannot be drawn.
    """
    wanted = DEFAULT_CONTROLS if controls is None else check_whole("controls", controls)
    if matched not in get_args(Matched):
        known = ", ".join(get_args(Matched))
        raise IdentificationError(f"controls_matched must be one of {known}, not {matched!r}")
    if matched == "rate" and stats is None:
        raise IdentificationError(
            "controls matched on firing rate need activation statistics, and none were given; "
            "give them, or match controls on the layer alone"
        )
    firing = {}
    if matched == "rate" and stats is not None and wanted:
        firing = {at: probabilities(stats, at) for at in mask.hookpoints}
    neurons = dict(mask.neurons_of)
    without: dict[str, str] = {}
    for language in filter(mask.count, mask.languages):
        if f"random1-{language}" in neurons:
            continue
        try:
            if stats is not None and firing:
                row, layers = stats.language_index(language), mask.model.layers
                rates = {
                    (at, layer): firing[at][row, layers.index(layer)]
                    for at, layer in mask.places(language)
                }
                drawn = draw_rate_controls(mask, language, wanted, rates)
            else:
                drawn = [draw_control(mask, language, number + 1) for number in range(wanted)]
        except MaskError as error:
            without[language] = str(error)
        else:
            neurons |= {f"random{n}-{language}": places for n, places in enumerate(drawn, 1)}
    if without and controls is not None:
        raise IdentificationError(
            f"{next(iter(without.values()))}, or no controls (controls=0, --controls 0)"
        )
    earlier = {k: v for k, v in mask.method.parameters.items() if k != "without_controls"}
    stored: dict[str, Any] = {"controls": wanted, "controls_matched": matched, **earlier}
    if without:
        stored["without_controls"] = without
    return replace(mask, method=MaskMethod(mask.method.name, stored), neurons_of=neurons)


def _values(mask: MaskContent, stats: ActivationStats, median_over_texts: bool) -> dict[str, Any]:
    """Statistics of every neuron in its language, of a control's neurons in the language it
    stands for."""
    values: dict[str, Any] = {who: {} for who in mask.who}
    for at in mask.hookpoints:
        recorded = stats.arrays.get(at, {})
        for number, layer in enumerate(mask.model.layers):
            owners = [who for who in mask.who if (at, layer) in mask.at_places(who)]
            per_text = bool(owners) and median_over_texts and stats.texts is not None
            responses = stats.responses(at, layer) if per_text else None
            for who in owners:
                language = who if who in mask.languages else who.partition("-")[2]
                row, indices = stats.language_index(language), mask.indices(who, at, layer)
                values[who][at, layer] = {
                    name: recorded[name][row, number][indices]
                    for name in filter(is_statistic, recorded)
                    if name != "median" or not median_over_texts
                }
                if "mean" in recorded and len(stats.languages) > 1:
                    means = recorded["mean"][:, number, indices]
                    others = np.delete(means, row, axis=0).mean(axis=0)
                    values[who][at, layer]["diffmean"] = means[row] - others
                if responses is not None:
                    texts = np.flatnonzero(stats.text_languages == language)
                    mine = responses[np.ix_(texts, indices)].astype(np.float32)
                    values[who][at, layer]["median"] = np.median(mine, axis=0)
                if stats.layer_tokens is not None:  # of an expert no token may have been sampled
                    known = {
                        k: v for k, v in values[who][at, layer].items() if np.isfinite(v).all()
                    }
                    values[who][at, layer] = known
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
