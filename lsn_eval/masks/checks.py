"""A mask held against itself when it is made, and against a model before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import MaskError
from lsn_eval.masks.names import CONTROL_NAME, LANGUAGE_NAME, STATISTICS
from lsn_eval.models.hookpoints import HOOKPOINTS, ModelHookpoints
from lsn_eval.models.layout import Place

if TYPE_CHECKING:
    from lsn_eval.masks.mask import NeuronMask

Neurons = Mapping[str, Mapping[Place, NDArray[np.int32]]]
Values = Mapping[str, Mapping[Place, Mapping[str, NDArray[np.float32]]]]


def check_mask(mask: NeuronMask, neurons: Neurons, values: Values) -> None:
    """Hold everything a mask says against everything else it says; raises MaskError."""
    if not mask.languages:
        raise MaskError("a mask without languages was given; it needs at least one")
    for language in mask.languages:
        if not LANGUAGE_NAME.fullmatch(language) or language == "none":
            raise MaskError(
                f"{language!r} is no language name; letters, digits, '_', '-' and '.' are "
                "expected, beginning with a letter (and not 'none')"
            )
        if CONTROL_NAME.fullmatch(language):
            raise MaskError(f"{language!r} is the name of a control, not of a language")
    if len(set(mask.languages)) != len(mask.languages):
        raise MaskError(f"a language is named twice: {', '.join(mask.languages)}")
    if len(set(mask.model.layers)) != len(mask.model.layers) or not mask.model.layers:
        raise MaskError(f"layer names must be unique and at least one: {mask.model.layers}")
    for who, places in neurons.items():
        _check_places(mask, who, places)
    taken = _taken_by_languages(mask, neurons)
    for who, places in neurons.items():
        control = CONTROL_NAME.fullmatch(who)
        if control:
            _check_control(mask, neurons, who, control[2], places)
            _check_free(mask, taken, who, places)
        elif who not in mask.languages:
            raise MaskError(
                f"{who!r} has neurons and is not among the languages {', '.join(mask.languages)}"
            )
    for who, value_places in values.items():
        _check_values(neurons, who, value_places)


def _check_places(mask: NeuronMask, who: str, places: Mapping[Place, NDArray[np.int32]]) -> None:
    for (hookpoint, layer), indices in places.items():
        where = f"{who}/{hookpoint}/{layer}"
        if hookpoint not in HOOKPOINTS:
            raise MaskError(f"{where}: hookpoint must be one of {', '.join(HOOKPOINTS)}")
        if hookpoint not in mask.model.widths:
            raise MaskError(
                f"{where}: the mask does not say how wide {hookpoint} is; it says so for "
                f"{', '.join(mask.model.widths)}"
            )
        if layer not in mask.model.layers:
            raise MaskError(
                f"{where}: the mask's model has no layer {layer!r}; it has "
                f"{mask.model.layers[0]} to {mask.model.layers[-1]}"
            )
        width = mask.model.widths[hookpoint]
        if indices[0] < 0 or indices[-1] >= width:
            wrong = int(indices[0] if indices[0] < 0 else indices[-1])
            raise MaskError(
                f"{where}: neuron {wrong} is outside the width; 0 to {width - 1} were expected"
            )


def _check_control(
    mask: NeuronMask,
    neurons: Neurons,
    who: str,
    language: str,
    places: Mapping[Place, NDArray[np.int32]],
) -> None:
    if language not in mask.languages:
        raise MaskError(f"{who}: {mask.unknown(language)}")
    counts = {place: indices.size for place, indices in places.items()}
    expected = {place: indices.size for place, indices in neurons[language].items()}
    if counts != expected:
        raise MaskError(
            f"{who} does not have as many neurons as {language} in every layer; a control must"
        )


def _taken_by_languages(mask: NeuronMask, neurons: Neurons) -> dict[Place, NDArray[np.bool_]]:
    """For each place, which neurons [neuron] belong to some language."""
    taken: dict[Place, NDArray[np.bool_]] = {}
    for language in mask.languages:
        for place, indices in neurons[language].items():
            width = mask.model.widths[place[0]]
            taken.setdefault(place, np.zeros(width, dtype=bool))[indices] = True
    return taken


def _check_free(
    mask: NeuronMask,
    taken: Mapping[Place, NDArray[np.bool_]],
    who: str,
    places: Mapping[Place, NDArray[np.int32]],
) -> None:
    for (hookpoint, layer), indices in places.items():
        owned = indices[taken[hookpoint, layer][indices]]
        for other in mask.languages if owned.size else ():
            if owned[0] in mask.indices(other, hookpoint, layer):
                raise MaskError(
                    f"{who}/{hookpoint}/{layer}: neuron {int(owned[0])} belongs to {other}; "
                    "a control holds no neuron of any language"
                )


def _check_values(
    neurons: Neurons, who: str, places: Mapping[Place, Mapping[str, NDArray[np.float32]]]
) -> None:
    for (hookpoint, layer), stored in places.items():
        expected = neurons.get(who, {}).get((hookpoint, layer), np.zeros(0)).size
        for statistic, array in stored.items():
            where = f"{who}/{hookpoint}/{layer}/{statistic}"
            if statistic not in STATISTICS:
                raise MaskError(f"{where}: the statistic must be one of {', '.join(STATISTICS)}")
            if array.shape != (expected,):
                raise MaskError(
                    f"{where}: {list(array.shape)} values for {expected} neurons; one value a "
                    "neuron was expected"
                )
            if not np.isfinite(array).all():
                raise MaskError(f"{where}: a value is not a finite number")


def check_model(mask: NeuronMask, hookpoints: ModelHookpoints) -> None:
    """Hold the mask against a loaded model, before the first forward pass.

    Raises:
        MaskError: another architecture, other layers or other widths.
    """
    made_with, model = mask.model, hookpoints
    if made_with.type is not None and made_with.type != model.model_type:
        raise MaskError(
            f"this mask is of a {made_with.type} model ({made_with.name or 'unnamed'}), and the "
            f"loaded model is a {model.model_type}; use a mask that was made with this model"
        )
    if made_with.layers != model.layer_names:
        raise MaskError(
            f"this mask is of a model with {len(made_with.layers)} layers, and the loaded model "
            f"has {len(model.layer_names)}; use a mask that was made with this model"
        )
    widths = model.widths()
    for hookpoint in mask.hookpoints:
        if hookpoint not in widths:
            raise MaskError(
                f"this mask has neurons at {hookpoint}, which this {model.model_type} model "
                f"does not have; it has {', '.join(widths)}"
            )
        if made_with.widths[hookpoint] != widths[hookpoint]:
            raise MaskError(
                f"this mask is of a model with {made_with.widths[hookpoint]} neurons per layer at "
                f"{hookpoint}, and the loaded model has {widths[hookpoint]}; use a mask that "
                "was made with this model"
            )
