"""Mask files: safetensors with one JSON document in the metadata.

Tensor keys are `WHO/HOOKPOINT/LAYER` (int32, sorted, unique), and `WHO/HOOKPOINT/LAYER/STAT`
(float32, same order) for values to steer with. `NeuronMask.load` holds them against each other.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from lsn_eval.errors import MaskError
from lsn_eval.masks.content import MaskContent
from lsn_eval.masks.names import MaskMethod
from lsn_eval.models.layout import ModelLayout
from lsn_eval.storage import hub
from lsn_eval.storage.shipped import masks_dir
from lsn_eval.storage.tensor_files import document_text, read_tensors
from lsn_eval.storage.whole_files import METADATA_KEY, whole_file

FORMAT = "lsn_eval.mask"
FORMAT_VERSION = 2
"""Of files whose layers are not equally wide, which version 1 could not say."""
MASK_FILE = "mask.safetensors"
"""What a mask is called in a repository of its own."""


def write_mask(mask: MaskContent, path: str | os.PathLike[str]) -> None:
    """Write `mask`; the file appears whole or not at all, and equal masks give equal bytes."""
    from safetensors.numpy import save

    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION if mask.model.narrower else 1,
        "model": mask.model.to_json(),
        "languages": list(mask.languages),
        "method": {"name": mask.method.name, "parameters": dict(mask.method.parameters)},
        "digest": mask.digest,
        "provenance": dict(mask.provenance),
    }
    content = save(dict(mask.items()), metadata={METADATA_KEY: document_text(document)})
    with whole_file(path, MaskError) as file:
        file.write(content)


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
        model=ModelLayout.read(document.fields("model")),
        languages=tuple(document.texts("languages")),
        method=MaskMethod(method.text("name"), method.mapping("parameters")),
        provenance=document.mapping("provenance"),
        neurons_of=neurons,
        values_of=values,
    )
    return content, document.text("digest")
