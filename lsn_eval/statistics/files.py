"""Statistics files: safetensors with one JSON document in the metadata.

Tensor keys are `HOOKPOINT/STATISTIC` [language, layer, neuron]; `sample/LANGUAGE/keys` [token] and
`sample/LANGUAGE/HOOKPOINT` [token, layer, neuron] where a sample is kept for merging; and
`text/language` and `text/index` [text] and `text/HOOKPOINT/LAYER` [text, neuron] where single
texts are. Files can be larger than memory: they are written array by array and read by mapping.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import StatisticsError
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics.activation_stats import ActivationStats
from lsn_eval.statistics.parts import TextResponses
from lsn_eval.statistics.quantiles import TokenSample
from lsn_eval.storage.whole_files import METADATA_KEY, check_format, whole_file

FORMAT = "lsn_eval.stats"
FORMAT_VERSION = 1

# The dtypes of the safetensors format that these files use, and their NumPy names.
_DTYPES = {"I64": "<i8", "F64": "<f8", "F32": "<f4", "F16": "<f2", "U64": "<u8", "I32": "<i4"}
_NAMES = {np.dtype(numpy): name for name, numpy in _DTYPES.items()}
_CHUNK = 64 << 20


def metadata_document(stats: ActivationStats) -> dict[str, Any]:
    """The JSON document of a statistics file."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": stats.model.to_json(),
        "languages": list(stats.languages),
        "tokens": {language: stats.tokens[language] for language in stats.languages},
        "samples": {language: sample.size for language, sample in stats.samples.items()},
        "digest": stats.digest,
        "provenance": dict(stats.provenance),
    }


def save_statistics(stats: ActivationStats, path: str | os.PathLike[str]) -> None:
    """Write `stats`; the file appears whole or not at all, and equal ones give equal bytes."""
    document = json.dumps(metadata_document(stats), ensure_ascii=False, sort_keys=True)
    with whole_file(path, StatisticsError) as file:
        _write(file, _tensors(stats), {METADATA_KEY: document})


def _tensors(stats: ActivationStats) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {}
    for hookpoint in stats.hookpoints:
        for name in stats.names(hookpoint):
            tensors[f"{hookpoint}/{name}"] = stats.arrays[hookpoint][name]
    for language, sample in stats.samples.items():
        tensors[f"sample/{language}/keys"] = sample.keys
        for hookpoint, values in sample.values.items():
            tensors[f"sample/{language}/{hookpoint}"] = values
    if stats.texts is not None:
        numbers = [stats.language_index(language) for language in stats.texts.languages]
        tensors["text/language"] = np.array(numbers, np.int32)
        tensors["text/index"] = stats.texts.index
        for hookpoint in stats.hookpoints:
            for layer in stats.model.layers:
                tensors[f"text/{hookpoint}/{layer}"] = stats.texts.read(hookpoint, layer)
    return dict(sorted(tensors.items()))


def _write(
    file: BinaryIO, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """The safetensors format, a slice at a time: its own writer wants everything in memory."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for key, array in tensors.items():
        header[key] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for array in tensors.values():
        for part in _slices(array):
            file.write(np.ascontiguousarray(part).astype(_DTYPES[_NAMES[array.dtype]]).tobytes())


def _slices(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    rows = max(1, _CHUNK // max(1, array.nbytes // max(1, len(array))))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


def load_statistics(path: str | os.PathLike[str]) -> ActivationStats:
    """Read a statistics file and check it against itself; arrays stay memory-mapped.

    Raises:
        StatisticsError: not a statistics file, a newer format, or a file that contradicts itself.
    """
    source = Path(path)
    tensors, metadata = _map(source)
    try:
        return _read(json.loads(metadata[METADATA_KEY]), tensors)
    except KeyError as error:
        raise StatisticsError(
            f"{source} is no lsn_eval statistics file: it lacks {error}; write one with "
            "'lsn-eval record' or 'lsn-eval stats import'"
        ) from error
    except StatisticsError as error:
        raise StatisticsError(f"{source}: {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise StatisticsError(f"{source}: the metadata cannot be read ({error})") from error


def _map(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Every tensor of a safetensors file, memory-mapped, and the file's metadata."""
    from safetensors import SafetensorError, safe_open

    try:
        # Checks the header against the size of the file, without reading the tensors.
        with safe_open(path, framework="numpy"):
            pass
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except (SafetensorError, OSError) as error:
        raise StatisticsError(
            f"{path} is not a safetensors file ({error}); if it is one of the published .pt files "
            "of counts, convert it with 'lsn-eval stats import'"
        ) from error
    metadata = header.pop("__metadata__", {})
    tensors: dict[str, NDArray[Any]] = {}
    for key, entry in header.items():
        if entry["dtype"] not in _DTYPES:
            raise StatisticsError(
                f"{path}: tensor {key!r} is {entry['dtype']}, which no statistics are"
            )
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
        start = 8 + length + entry["data_offsets"][0]
        empty = 0 in shape  # cannot be mapped
        tensors[key] = (
            np.zeros(shape, dtype) if empty else np.memmap(path, dtype, "r", start, shape)
        )
    return tensors, metadata


def _read(document: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> ActivationStats:
    check_format(document, FORMAT, FORMAT_VERSION, StatisticsError)
    model = ModelLayout.from_json(document["model"])
    arrays: dict[str, dict[str, NDArray[Any]]] = {}
    for key, tensor in tensors.items():
        hookpoint, _, name = key.partition("/")
        if hookpoint not in ("sample", "text"):
            arrays.setdefault(hookpoint, {})[name] = tensor
    stats = ActivationStats(
        model=model,
        languages=tuple(document["languages"]),
        tokens=document["tokens"],
        arrays=arrays,
        provenance=document["provenance"],
        samples={
            language: _sample(language, size, model, tuple(arrays), tensors)
            for language, size in document["samples"].items()
        },
        texts=_texts(document["languages"], model, tuple(arrays), tensors),
    )
    if stats.digest != document["digest"]:
        raise StatisticsError(
            f"the statistics have digest {stats.digest[:12]} and the metadata says "
            f"{document['digest'][:12]}: the file was changed after it was written; make it again"
        )
    return stats


def _sample(
    language: str,
    size: int,
    model: ModelLayout,
    hookpoints: Sequence[str],
    tensors: Mapping[str, NDArray[Any]],
) -> TokenSample:
    keys = tensors[f"sample/{language}/keys"]
    values = {hookpoint: tensors[f"sample/{language}/{hookpoint}"] for hookpoint in hookpoints}
    for hookpoint, array in values.items():
        expected = (keys.size, len(model.layers), model.widths[hookpoint])
        if array.shape != expected or keys.size > size:
            raise StatisticsError(
                f"sample/{language}/{hookpoint} is {list(array.shape)}; {list(expected)} [token, "
                f"layer, neuron] of at most {size} tokens was expected"
            )
    return TokenSample(size, keys, values)


def _texts(
    languages: Sequence[str],
    model: ModelLayout,
    hookpoints: Sequence[str],
    tensors: Mapping[str, NDArray[Any]],
) -> TextResponses | None:
    if "text/language" not in tensors:
        return None
    numbers, index = tensors["text/language"], tensors["text/index"]
    if numbers.size and (numbers.min() < 0 or numbers.max() >= len(languages)):
        raise StatisticsError(
            f"text/language names a language beyond the {len(languages)} there are"
        )
    for hookpoint in hookpoints:
        for layer in model.layers:
            shape = tensors[f"text/{hookpoint}/{layer}"].shape
            expected = (numbers.size, model.widths[hookpoint])
            if shape != expected or index.size != numbers.size:
                raise StatisticsError(
                    f"text/{hookpoint}/{layer} is {list(shape)}; {list(expected)} [text, neuron] "
                    "was expected"
                )
    return TextResponses(
        np.asarray(languages)[numbers],
        index,
        lambda hookpoint, layer: tensors[f"text/{hookpoint}/{layer}"],
    )
