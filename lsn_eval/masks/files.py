"""Mask files: safetensors with one JSON document in the metadata.

Tensor keys are `WHO/HOOKPOINT/LAYER` (int32, sorted, unique), and `WHO/HOOKPOINT/LAYER/STAT`
(float32, same order) for values to steer with. `lsn_eval/masks/checks.py` checks what the tensors
say; this module checks that they and the metadata say the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import MaskError
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.masks.names import MaskMethod
from lsn_eval.models.layout import ModelLayout
from lsn_eval.storage.shipped import masks_dir
from lsn_eval.storage.whole_files import METADATA_KEY, check_format, whole_file

FORMAT = "lsn_eval.mask"
FORMAT_VERSION = 1


def metadata_document(mask: NeuronMask) -> dict[str, Any]:
    """The JSON document of a mask file."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": mask.model.to_json(),
        "languages": list(mask.languages),
        "method": {"name": mask.method.name, "parameters": dict(mask.method.parameters)},
        "digest": mask.digest,
        "provenance": mask.provenance,
    }


def save_mask(mask: NeuronMask, path: str | os.PathLike[str]) -> None:
    """Write `mask`; the file appears whole or not at all, and equal masks give equal bytes."""
    from safetensors.numpy import save

    document = json.dumps(metadata_document(mask), ensure_ascii=False, sort_keys=True)
    content = save(dict(mask.items()), metadata={METADATA_KEY: document})
    with whole_file(path, MaskError) as file:
        file.write(content)


def find_mask(name: str | os.PathLike[str]) -> Path:
    """The file of a mask: a path, or the name of a shipped one (`demo/planted`)."""
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


def load_mask(name: str | os.PathLike[str]) -> NeuronMask:
    """Read a mask file and check all of it against itself.

    Raises:
        MaskError: not a mask file, a newer format, or a file that contradicts itself.
    """
    from safetensors import SafetensorError, safe_open

    path = find_mask(name)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise MaskError(
            f"{path} is not a safetensors file ({error}); if it is one of the published .pth "
            "masks, convert it with 'lsn-eval mask import'"
        ) from error
    try:
        document = json.loads(metadata[METADATA_KEY])
        return _read(document, tensors)
    except KeyError as error:
        raise MaskError(
            f"{path} is no lsn_eval mask: its metadata lacks {error}; write masks with "
            "'lsn-eval identify' or 'lsn-eval mask import'"
        ) from error
    except MaskError as error:
        raise MaskError(f"{path}: {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise MaskError(f"{path}: the mask's metadata cannot be read ({error})") from error


def _read(document: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> NeuronMask:
    check_format(document, FORMAT, FORMAT_VERSION, MaskError)
    neurons: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for key, tensor in tensors.items():
        who, _, rest = key.partition("/")
        hookpoint, _, place = rest.partition("/")
        layer, _, statistic = place.partition("/")
        if not (who and hookpoint and layer):
            raise MaskError(f"tensor {key!r}: WHO/HOOKPOINT/LAYER[/STAT] was expected")
        expected = np.float32 if statistic else np.int32
        if tensor.dtype != expected:
            raise MaskError(f"tensor {key!r} is {tensor.dtype}; {np.dtype(expected)} was expected")
        if statistic:
            if f"{who}/{hookpoint}/{layer}" not in tensors:
                raise MaskError(f"tensor {key!r} has values for neurons that are not there")
            tree = values.setdefault(who, {}).setdefault(hookpoint, {}).setdefault(layer, {})
            tree[statistic] = tensor
        else:
            neurons.setdefault(who, {}).setdefault(hookpoint, {})[layer] = tensor
    mask = NeuronMask(
        neurons,
        model=ModelLayout.from_json(document["model"]),
        languages=document["languages"],
        method=MaskMethod(document["method"]["name"], document["method"]["parameters"]),
        values=values,
        provenance=document["provenance"],
    )
    if mask.digest != document["digest"]:
        raise MaskError(
            f"the neurons have digest {mask.digest[:12]} and the metadata says "
            f"{document['digest'][:12]}: the file was changed after it was written; make it again"
        )
    return mask
