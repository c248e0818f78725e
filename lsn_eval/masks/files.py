"""Mask files: safetensors with one JSON document in the metadata.

Tensor keys are `WHO/HOOKPOINT/LAYER` (int32, sorted, unique), and `WHO/HOOKPOINT/LAYER/STAT`
(float32, same order) for values to steer with. `NeuronMask.load` holds them against each other.

Of a mixture of experts the places are thousands, and their names would be most of the file: all
layers of a hookpoint are joined there, in `WHO/HOOKPOINT/layers` (int32, number of each neuron's
layer, ascending), `WHO/HOOKPOINT/indices` (int32) and `WHO/HOOKPOINT/values/STAT` (float32; NaN in
layers that store none).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import MaskError
from lsn_eval.masks.content import MaskContent
from lsn_eval.masks.names import MaskMethod
from lsn_eval.models.layout import ModelLayout, is_routed
from lsn_eval.storage import hub
from lsn_eval.storage.shipped import masks_dir
from lsn_eval.storage.tensor_files import document_text, read_tensors
from lsn_eval.storage.whole_files import METADATA_KEY, whole_file

FORMAT = "lsn_eval.mask"
FORMAT_VERSION = 2
"""Of files whose layers are not equally wide, or are experts, which version 1 could not say."""
MASK_FILE = "mask.safetensors"
"""What a mask is called in a repository of its own."""


def write_mask(mask: MaskContent, path: str | os.PathLike[str]) -> None:
    """Write `mask`; the file appears whole or not at all, and equal masks give equal bytes."""
    from safetensors.numpy import save

    of_experts = any(map(is_routed, mask.model.layers))
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION if of_experts or mask.model.narrower else 1,
        "model": mask.model.to_json(),
        "languages": list(mask.languages),
        "method": {"name": mask.method.name, "parameters": dict(mask.method.parameters)},
        "digest": mask.digest,
        "provenance": dict(mask.provenance),
    }
    tensors = _joined(mask) if of_experts else dict(mask.items())
    content = save(tensors, metadata={METADATA_KEY: document_text(document)})
    with whole_file(path, MaskError) as file:
        file.write(content)


def _joined(mask: MaskContent) -> dict[str, NDArray[Any]]:
    """Every array of a mask, all layers of a hookpoint in one."""
    tensors: dict[str, NDArray[Any]] = {}
    for who in mask.who:
        for hookpoint in mask.hookpoints:
            layers = [layer for at, layer in mask.places(who) if at == hookpoint]
            if not layers:
                continue
            base = f"{who}/{hookpoint}"
            parts = [mask.indices(who, hookpoint, layer) for layer in layers]
            stored = [mask.stored(who, hookpoint, layer) for layer in layers]
            numbers = np.array([mask.model.numbers[layer] for layer in layers], np.int32)
            tensors[f"{base}/layers"] = numbers.repeat([part.size for part in parts])
            tensors[f"{base}/indices"] = np.concatenate(parts)
            for name in sorted({name for of in stored for name in of}):
                tensors[f"{base}/values/{name}"] = np.concatenate([
                    of.get(name, np.full(part.size, np.nan, np.float32))
                    for of, part in zip(stored, parts, strict=True)
                ])  # fmt: skip
    return dict(sorted(tensors.items()))


def _parted(
    path: Path, tensors: Mapping[str, NDArray[Any]], model: ModelLayout
) -> dict[str, NDArray[Any]]:
    """Every array with the key of its place; what `_joined` did is undone."""
    parted = dict(tensors)
    for key in [key for key in tensors if key.endswith("/layers")]:
        base = key.removesuffix("/layers")
        own = [of for of in tensors if of.startswith(f"{base}/values/")]
        numbers, indices = parted.pop(key), parted.pop(f"{base}/indices", np.zeros(0))
        values = {of.rpartition("/")[2]: parted.pop(of) for of in own}
        alike = {array.shape for array in (numbers, indices, *values.values())} == {numbers.shape}
        if not alike or numbers.ndim != 1 or numbers.dtype != np.int32 or not numbers.size:
            raise MaskError(f"{path}: {base}: a layer, an index and values of each were expected")
        if (np.diff(numbers) < 0).any() or numbers[0] < 0 or numbers[-1] >= len(model.layers):
            raise MaskError(
                f"{path}: {key}: ascending numbers of the {len(model.layers)} layers were expected"
            )
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        for start, end in pairwise([*starts, numbers.size]):
            place = f"{base}/{model.layers[numbers[start]]}"
            parted[place] = indices[start:end]
            for name, array in values.items():
                if not np.isnan(array[start:end]).all():
                    parted[f"{place}/{name}"] = array[start:end]
    return parted


def find_mask(name: str | os.PathLike[str]) -> Path:
    """The file of a mask: a path, a shipped one (`demo/planted`), or one of the Hub (`hf:...`)."""
    if not isinstance(name, str | os.PathLike):
        raise MaskError(f"a mask or its path was expected, not a {type(name).__name__}")
    if hub.is_on_hub(name):
        return hub.fetched(str(name), MASK_FILE, MaskError)
    path = Path(name).expanduser()
    if path.is_file():
        return path
    shipped = masks_dir()
    candidate = shipped / f"{name}.safetensors"
    if shipped in candidate.resolve().parents and candidate.is_file():
        return candidate
    names = sorted(
        file.relative_to(shipped).with_suffix("").as_posix()
        for file in shipped.rglob("*.safetensors")
    )
    raise MaskError(
        f"mask {str(name)!r} is neither a file nor a shipped mask; shipped are "
        f"{', '.join(names) or 'none'}. Give a path or one of these names"
    )


def read_mask(path: Path) -> tuple[MaskContent, str]:
    """What a mask file says, and the digest that it says it has.

    Raises:
        MaskError: not a mask file, or one of a newer format.
    """
    tensors, document = read_tensors(
        path, FORMAT, FORMAT_VERSION, MaskError,
        "write masks with 'lsn-eval identify', and convert published .pth masks with 'lsn-eval "
        "mask import'",
    )  # fmt: skip
    model = ModelLayout.read(document.fields("model"))
    tensors = _parted(path, tensors, model)
    neurons: dict[str, dict[tuple[str, str], Any]] = {}
    values: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for key, tensor in tensors.items():
        parts = key.split("/")
        if len(parts) not in (3, 4) or not all(parts):
            raise MaskError(f"{path}: tensor {key!r}: WHO/HOOKPOINT/LAYER[/STAT] was expected")
        who, hookpoint, layer, *statistic = parts
        expected = np.float32 if statistic else np.int32
        if tensor.dtype != expected or tensor.ndim != 1:
            raise MaskError(
                f"{path}: tensor {key!r} is {tensor.dtype} {list(tensor.shape)}; "
                f"{np.dtype(expected)} was expected, [neuron]"
            )
        if statistic:
            at_place = values.setdefault(who, {}).setdefault((hookpoint, layer), {})
            at_place[statistic[0]] = tensor
            if f"{who}/{hookpoint}/{layer}" not in tensors:
                raise MaskError(f"{path}: tensor {key!r} has values for neurons that are not there")
        else:
            neurons.setdefault(who, {})[hookpoint, layer] = tensor
    method = document.fields("method")
    content = MaskContent(
        model=model,
        languages=tuple(document.texts("languages")),
        method=MaskMethod(method.text("name"), method.mapping("parameters")),
        provenance=document.mapping("provenance"),
        neurons_of=neurons,
        values_of=values,
    )
    return content, document.text("digest")
