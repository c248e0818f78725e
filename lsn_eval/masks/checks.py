"""A mask held against itself when it is made, and against a model before it is used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import MaskError
from lsn_eval.masks.content import MaskContent
from lsn_eval.masks.names import CONTROL_NAME, STATISTICS, check_language_names, is_statistic
from lsn_eval.models.hookpoints import HOOKPOINTS, ModelHookpoints
from lsn_eval.models.layout import ModelLayout, Place
from lsn_eval.storage.shipped import DEMO_MODEL, demo_model_dir

# Against itself -------------------------------------------------------------------------------


def check_mask(mask: MaskContent) -> None:
    """Hold everything a mask says against everything else it says; raises MaskError."""
    if not mask.languages:
        raise MaskError("a mask without languages was given; it needs at least one")
    check_language_names(mask.languages, MaskError)
    if len(set(mask.languages)) != len(mask.languages):
        raise MaskError(f"a language is named twice: {', '.join(mask.languages)}")
    if len(set(mask.model.layers)) != len(mask.model.layers) or not mask.model.layers:
        raise MaskError(f"layer names must be unique and at least one: {mask.model.layers}")
    layers = set(mask.model.layers)
    for who, places in mask.neurons_of.items():
        for place, indices in places.items():
            _check_place(mask, layers, who, place, indices)
    owned: dict[Place, NDArray[np.int32]] = {}
    for who in mask.who:
        control = CONTROL_NAME.fullmatch(who)
        if control:
            _check_control(mask, who, control[2], owned)
        elif who not in mask.languages:
            raise MaskError(
                f"{who!r} has neurons and is not among the languages {', '.join(mask.languages)}"
            )
    for who, value_places in mask.values_of.items():
        _check_values(mask.neurons_of.get(who, {}), who, value_places)


def _check_place(
    mask: MaskContent, layers: set[str], who: str, place: Place, indices: NDArray[np.int32]
) -> None:
    hookpoint, layer = place
    where = f"{who}/{hookpoint}/{layer}"
    if hookpoint not in HOOKPOINTS:
        raise MaskError(f"{where}: hookpoint must be one of {', '.join(HOOKPOINTS)}")
    if hookpoint not in mask.model.widths:
        raise MaskError(
            f"{where}: the mask does not say how wide {hookpoint} is; it says so for "
            f"{', '.join(mask.model.widths)}"
        )
    if layer not in layers:
        raise MaskError(
            f"{where}: the mask's model has no layer {layer!r}; it has "
            f"{mask.model.layers[0]} to {mask.model.layers[-1]}"
        )
    width = mask.model.width(hookpoint, layer)
    if indices[0] < 0 or indices[-1] >= width:
        wrong = int(indices[0] if indices[0] < 0 else indices[-1])
        raise MaskError(
            f"{where}: neuron {wrong} is outside the width; 0 to {width - 1} were expected"
        )


def _check_control(
    mask: MaskContent, who: str, language: str, owned: dict[Place, NDArray[np.int32]]
) -> None:
    """`owned` keeps, from one control to the next, the neurons of any language at a place."""
    if language not in mask.languages:
        raise MaskError(f"{who}: {mask.unknown(language)}")
    drawn, matched = mask.neurons_of[who], mask.neurons_of[language]
    if {place: i.size for place, i in drawn.items()} != {p: i.size for p, i in matched.items()}:
        raise MaskError(
            f"{who} does not have as many neurons as {language} in every layer; a control must"
        )
    for place, indices in drawn.items():
        if place not in owned:
            owned[place] = np.concatenate([mask.indices(name, *place) for name in mask.languages])
        shared = np.intersect1d(indices, owned[place])
        if shared.size:
            owner = next(n for n in mask.languages if shared[0] in mask.indices(n, *place))
            raise MaskError(
                f"{who}/{'/'.join(place)}: neuron {int(shared[0])} belongs to {owner}; "
                "a control holds no neuron of any language"
            )


def _check_values(
    neurons: Mapping[Place, NDArray[np.int32]],
    who: str,
    places: Mapping[Place, Mapping[str, NDArray[np.float32]]],
) -> None:
    for (hookpoint, layer), stored in places.items():
        expected = neurons.get((hookpoint, layer), np.zeros(0)).size
        for statistic, array in stored.items():
            where = f"{who}/{hookpoint}/{layer}/{statistic}"
            if not is_statistic(statistic):
                raise MaskError(f"{where}: the statistic must be one of {', '.join(STATISTICS)}")
            if array.shape != (expected,):
                raise MaskError(
                    f"{where}: {list(array.shape)} values for {expected} neurons; one value a "
                    "neuron was expected"
                )
            if not np.isfinite(array).all():
                raise MaskError(f"{where}: a value is not a finite number")


# Against a model ------------------------------------------------------------------------------


def check_model(mask: MaskContent, hookpoints: ModelHookpoints) -> tuple[str, ...]:
    """Hold the mask against a loaded model, before the first forward pass.

    Returns:
        Doubts, to be shown: the model fits, and goes by another name or revision than the mask's.

    Raises:
        MaskError: another architecture, other layers or other widths.
    """
    made_with, model = mask.model, hookpoints
    advice = "use a mask that was made with this model"
    if made_with.type is not None and made_with.type != model.model_type:
        raise MaskError(
            f"this mask is of a {made_with.type} model ({made_with.name or 'unnamed'}), and the "
            f"loaded model is a {model.model_type}; {advice}"
        )
    for hookpoint in mask.hookpoints:
        if hookpoint not in model.sites:
            raise MaskError(
                f"this mask has neurons at {hookpoint}, which this {model.model_type} model "
                f"does not have; it has {', '.join(model.sites)}"
            )
    if made_with.layers not in (model.layer_names, model.layers_with(mask.hookpoints)):
        raise MaskError(
            f"this mask is of a model with {len(made_with.layers)} layers, and the loaded model "
            f"has {len(model.layer_names)} ({model.layer_names[0]} to {model.layer_names[-1]}); "
            f"{advice}"
        )
    for hookpoint, layer in product(mask.hookpoints, made_with.layers):
        width, own = model.width(hookpoint, layer), made_with.width(hookpoint, layer)
        # A mask of equally wide layers names no layer that lacks the hookpoint.
        if own != width and (width or made_with.narrower):
            raise MaskError(
                f"this mask is of a model with {own} neurons at {hookpoint} of layer {layer}, and "
                f"the loaded model has {width}; {advice}"
            )
    return _doubts(made_with, model)


_IN_HUB_CACHE = re.compile(r"models--(?P<name>[^/\\]+)[/\\]snapshots[/\\](?P<revision>[0-9a-f]+)")


def _doubts(made_with: ModelLayout, model: ModelHookpoints) -> tuple[str, ...]:
    """What speaks against the mask's model and the loaded one being the same, where it is known.

    Of a name the last part counts, so that `meta-llama/Llama-2-7b-hf` and a folder
    `models/Llama-2-7b-hf` agree.
    """
    if not (made_with.name and model.name):
        return ()
    known_as, at = _known_as(made_with.name, made_with.revision)
    loaded_as, loaded_at = _known_as(model.name, model.revision)
    if known_as != loaded_as:
        return (
            f"the mask was made with {made_with.name}, and the loaded model is {model.name}: of "
            "the same shape, and its neurons mean something else unless it is the same model in "
            "another place",
        )
    if at and loaded_at and at != loaded_at:
        return (
            f"the mask was made with revision {at[:12]} of {made_with.name}, and revision "
            f"{loaded_at[:12]} is loaded",
        )
    return ()


def _known_as(name: str, revision: str | None) -> tuple[str, str | None]:
    if cached := _IN_HUB_CACHE.search(name):
        name, revision = cached["name"].replace("--", "/"), cached["revision"]
    if name == str(demo_model_dir()):
        name = DEMO_MODEL
    return PurePath(name.replace("\\", "/")).name.casefold(), revision
