"""Files of tensors from outside: our own safetensors files, and what others wrote with torch.save.

Nothing in them can run code, and no size that they claim is believed before it is there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsn_eval.errors import LsnError
from lsn_eval.storage.outside_files import Fields, parse_json
from lsn_eval.storage.whole_files import METADATA_KEY

DTYPES: Mapping[str, str] = {
    "I64": "<i8", "F64": "<f8", "F32": "<f4", "F16": "<f2", "U64": "<u8", "I32": "<i4",
}  # fmt: skip
"""The dtypes of the safetensors format that our files use, and their NumPy names."""
MOST_BYTES_OF_HEADER = 1 << 25
"""32 MiB: names, shapes and metadata of a mask with 20 controls of a 70B model take a tenth."""


def document_text(document: Mapping[str, Any]) -> str:
    """The JSON document in a file's metadata, equal for equal documents and valid UTF-8."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True)
    # A command line that is not UTF-8 reaches Python as half characters.
    return text.encode("utf-8", "replace").decode()


def read_tensors(
    path: str | os.PathLike[str], kind: str, version: int, error: type[LsnError], advice: str
) -> tuple[dict[str, NDArray[Any]], Fields]:
    """Every tensor of a safetensors file of ours, memory-mapped, and the document in its metadata.

    Args:
        kind: the document's format, such as `lsn_eval.mask`.
        advice: what to do with a file that is none.

    Raises:
        LsnError: `error`, which names the file.
    """
    from safetensors import SafetensorError, safe_open

    where = os.fspath(path)
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > MOST_BYTES_OF_HEADER:
                raise ValueError(f"a header of {length:,} bytes")
            text = file.read(length)
        # Holds the header against the size of the file, without reading the tensors.
        with safe_open(path, framework="numpy"):
            pass
        header = parse_json(text.decode(), where, error)
        metadata = header.pop("__metadata__", None) or {}
        tensors = _views(np.memmap(path, np.uint8, "r")[8 + length :], header)
    except (SafetensorError, OSError, ValueError, OverflowError) as cause:
        if isinstance(cause, error):
            raise
        raise error(f"{where} is not a safetensors file ({cause}); {advice}") from cause
    if METADATA_KEY not in metadata:
        raise error(f"{where} is no {kind} file: its metadata lacks {METADATA_KEY!r}; {advice}")
    document = Fields(parse_json(metadata[METADATA_KEY], f"{where}: metadata", error), where, error)
    of, number = document.value.get("format"), document.value.get("format_version")
    if of != kind:
        raise error(f"{where}: format {kind!r} was expected, not {of!r}")
    if type(number) is not int or not 1 <= number <= version:
        raise error(
            f"{where}: format version {number!r} was given and {version} is read; update lsn_eval"
        )
    return tensors, document


def _views(content: NDArray[np.uint8], header: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"tensor {name!r} is {entry['dtype']}, and none of {list(DTYPES)}")
        bytes_of_it = content[slice(*entry["data_offsets"])]
        tensors[name] = bytes_of_it.view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def load_plain_tensors(path: Path, error: type[LsnError], *, mmap: bool = False) -> Any:
    """What `torch.save` wrote, if it is made of tensors and plain containers alone; with `mmap`
    tensors are read when they are used."""
    import torch

    if not path.is_file():
        raise error(f"{path} does not exist or is no file")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as cause:  # a damaged archive raises whatever the unpickler meets
        raise error(
            f"{path} cannot be read as a file of plain tensors ({type(cause).__name__}); it is "
            "damaged, or holds objects that could run code, which are never loaded"
        ) from cause


def whole_numbers(
    values: ArrayLike, where: str, axes: int | None, error: type[LsnError]
) -> NDArray[np.int64]:
    """An array or tensor of whole numbers with so many axes (None: any), as int64."""
    try:
        array = np.asarray(values)
    except Exception as cause:  # a tensor on another device, sparse, quantised, ragged lists
        raise error(f"{where}: an array of whole numbers was expected ({cause})") from cause
    if axes not in (None, array.ndim) or (array.dtype.kind not in "iu" and array.size):
        raise error(
            f"{where}: whole numbers{'' if axes is None else f' with {axes} axes'} were expected, "
            f"not {array.dtype} of shape {list(array.shape)}"
        )
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise error(f"{where}: {array.max()} is beyond 64 bits")
    return array.astype(np.int64)
