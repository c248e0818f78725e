"""Statistics files: safetensors with one JSON document in the metadata.

Tensor keys are `HOOKPOINT/STATISTIC` [language, layer, neuron]; `tokens/layers` [language, layer]
where some layers are experts, which see some tokens alone; `sample/LANGUAGE/keys` [token] and
`sample/LANGUAGE/HOOKPOINT` [token, layer, neuron] where a sample is kept for merging; and
`text/language` and `text/index` [text] and `text/HOOKPOINT/LAYER` [text, neuron] where single
texts are. Files can be larger than memory: they are written array by array and read by mapping.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import StatisticsError
from lsn_eval.models.hookpoints import HOOKPOINTS
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics.content import StatisticsContent, TextResponses
from lsn_eval.statistics.corpora import check_corpora
from lsn_eval.statistics.quantiles import TokenSample
from lsn_eval.storage.tensor_files import DTYPES, document_text, read_tensors
from lsn_eval.storage.whole_files import METADATA_KEY, whole_file

FORMAT = "lsn_eval.stats"
LAYER_TOKENS = "tokens/layers"
FORMAT_VERSION = 2
"""Of files that say more of layers than version 1 could: tokens of each, or widths that differ."""

_NAMES = {np.dtype(numpy): name for name, numpy in DTYPES.items()}
_CHUNK = 64 << 20


def write_statistics(stats: StatisticsContent, path: str | os.PathLike[str]) -> None:
    """Write `stats`; the file appears whole or not at all, and equal ones give equal bytes."""
    plain = stats.layer_tokens is None and not stats.model.narrower
    document = {
        "format": FORMAT,
        "format_version": 1 if plain else FORMAT_VERSION,
        "model": stats.model.to_json(),
        "languages": list(stats.languages),
        "tokens": {language: stats.tokens[language] for language in stats.languages},
        "samples": {language: sample.size for language, sample in stats.samples.items()},
        "digest": stats.digest,
        "provenance": dict(stats.provenance),
    }
    with whole_file(path, StatisticsError) as file:
        _write(file, _tensors(stats), {METADATA_KEY: document_text(document)})


def _tensors(stats: StatisticsContent) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {}
    if stats.layer_tokens is not None:
        tensors[LAYER_TOKENS] = stats.layer_tokens
    for hookpoint in stats.hookpoints:
        for name in stats.names(hookpoint):
            tensors[f"{hookpoint}/{name}"] = stats.arrays[hookpoint][name]
    for language, sample in stats.samples.items():
        tensors[f"sample/{language}/keys"] = sample.keys
        for hookpoint, values in sample.values.items():
            tensors[f"sample/{language}/{hookpoint}"] = values
    if stats.texts is not None:
        numbers = [stats.languages.index(language) for language in stats.texts.languages]
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
        rows = max(1, _CHUNK * len(array) // max(1, array.nbytes))
        for start in range(0, len(array), rows):
            part = array[start : start + rows]
            file.write(part.astype(DTYPES[_NAMES[array.dtype]], order="C").tobytes())


def read_statistics(path: str | os.PathLike[str]) -> tuple[StatisticsContent, str]:
    """What a statistics file says, arrays memory-mapped, and the digest that it says it has.

    Raises:
        StatisticsError: not a statistics file, one of a newer format, or one whose samples or
            texts do not fit the rest.
    """
    where = os.fspath(path)
    tensors, document = read_tensors(
        path, FORMAT, FORMAT_VERSION, StatisticsError,
        "write one with 'lsn-eval record', and convert published .pt files of counts with "
        "'lsn-eval stats import'",
    )  # fmt: skip
    model = ModelLayout.read(document.fields("model"))
    languages = document.texts("languages")
    tokens, sizes = document.fields("tokens"), document.fields("samples")
    layer_tokens = tensors.pop(LAYER_TOKENS, None)
    kinds: dict[str, dict[str, NDArray[Any]]] = {"sample": {}, "text": {}}
    for key, tensor in tensors.items():
        kind, _, rest = key.partition("/")
        kinds.setdefault(kind, {})[rest] = tensor
    samples, texts = kinds.pop("sample"), kinds.pop("text")
    if odd := set(kinds) - set(HOOKPOINTS):
        raise StatisticsError(f"{where}: {min(odd)!r} is none of {', '.join(HOOKPOINTS)}")
    widths, layers = {at: model.widths.get(at) for at in kinds}, len(model.layers)
    expected: dict[str, tuple[Any, tuple[Any, ...]]] = {}
    for name in sizes:
        kept = samples[f"{name}/keys"].size if f"{name}/keys" in samples else 0
        expected[f"sample/{name}/keys"] = np.uint64, (kept,)
        for at, width in widths.items():
            expected[f"sample/{name}/{at}"] = np.float16, (kept, layers, width)
    if texts:
        count = texts["index"].size if "index" in texts else 0
        expected |= {"text/index": (np.int64, (count,)), "text/language": (np.int32, (count,))}
        for at, layer in product(kinds, model.layers):
            width = model.width(at, layer) if at in model.widths else None
            expected[f"text/{at}/{layer}"] = np.float16, (count, width)
    # Samples and single texts are held against what the document and the other tensors say.
    for key, (dtype, shape) in expected.items():
        if key not in tensors:
            raise StatisticsError(f"{where}: {key} is missing")
        if tensors[key].dtype != dtype or tensors[key].shape != shape:
            raise StatisticsError(
                f"{where}: {key} is {tensors[key].dtype} {list(tensors[key].shape)}; "
                f"{np.dtype(dtype)} {list(shape)} was expected"
            )
    for key in tensors:
        if key.startswith(("sample/", "text/")) and key not in expected:
            raise StatisticsError(f"{where}: {key} belongs to nothing in the file")
    for name in sizes:
        keys = samples[f"{name}/keys"]
        if keys.size > sizes.whole(name) or (keys[1:] <= keys[:-1]).any():
            raise StatisticsError(
                f"{where}: sample/{name}/keys holds {keys.size} keys; at most "
                f"{sizes.whole(name)}, ascending, were expected"
            )
    if unknown := set(sizes) - set(languages):
        raise StatisticsError(f"{where} has a sample of {min(unknown)}, no language of it")
    check_corpora(document)
    content = StatisticsContent(
        model=model,
        languages=tuple(languages),
        tokens={language: tokens.whole(language) for language in tokens},
        arrays=kinds,
        layer_tokens=layer_tokens,
        provenance=document.mapping("provenance"),
        samples={
            name: TokenSample(
                sizes.whole(name),
                samples[f"{name}/keys"],
                {at: samples[f"{name}/{at}"] for at in kinds},
            )
            for name in sizes
        },
        texts=_responses(where, languages, texts) if texts else None,
    )
    return content, document.text("digest")


def _responses(
    path: str, languages: Sequence[str], texts: Mapping[str, NDArray[Any]]
) -> TextResponses:
    numbers = texts["language"]
    if numbers.size and (numbers.min() < 0 or numbers.max() >= len(languages)):
        raise StatisticsError(
            f"{path}: text/language names a language beyond the {len(languages)} there are"
        )
    return TextResponses(
        np.asarray(languages, np.str_)[numbers],
        texts["index"],
        lambda hookpoint, layer: texts[f"{hookpoint}/{layer}"],
    )
