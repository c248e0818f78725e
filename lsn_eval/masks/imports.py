"""Masks that others published, converted: languages are named by the caller, never by position."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsn_eval.errors import MaskError
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.masks.names import MaskMethod
from lsn_eval.models.hookpoints import DEFAULT_HOOKPOINT
from lsn_eval.models.layout import ModelLayout
from lsn_eval.storage.tensor_files import load_plain_tensors, whole_numbers


def import_rucaibox(
    path: str | os.PathLike[str],
    *,
    languages: Sequence[str],
    layers: int,
    width: int,
    name: str | None = None,
    model_type: str | None = None,
    hookpoint: str = DEFAULT_HOOKPOINT,
) -> NeuronMask:
    """Convert a mask in the format of RUCAIBox/Language-Specific-Neurons (Tang et al. 2024).

    The file is a `torch.save` of `list[language][layer]` of int64 neuron indices. It holds no
    names: `languages` names them in file order, and `layers` and `width` are the model's.

    Raises:
        MaskError: the file does not have as many languages or layers, or an index is outside the
            width or doubled.
    """
    source = Path(path)
    content = load_plain_tensors(source, MaskError)
    if not isinstance(content, list) or not all(isinstance(entry, list) for entry in content):
        raise MaskError(
            f"{source} does not hold list[language][layer] of neuron indices; it holds a "
            f"{type(content).__name__}"
        )
    if len(content) != len(languages):
        raise MaskError(
            f"{source} holds {len(content)} languages and {len(languages)} were named "
            f"({', '.join(languages)}); name them all, in file order"
        )
    neurons: dict[str, Any] = {}
    for language, by_layer in zip(languages, content, strict=True):
        if len(by_layer) != layers:
            raise MaskError(
                f"{source}: {language} has {len(by_layer)} layers and --layers says {layers}"
            )
        found = {
            str(layer): whole_numbers(indices, f"{source}: {language}, layer {layer}", 1, MaskError)
            for layer, indices in enumerate(by_layer)
        }
        neurons[language] = {hookpoint: {layer: np.sort(array) for layer, array in found.items()}}
    return NeuronMask(
        neurons,
        model=ModelLayout.numbered(layers, {hookpoint: width}, name=name, type=model_type),
        languages=languages,
        method=MaskMethod("imported", {"format": "rucaibox", "file": source.name}),
    )
