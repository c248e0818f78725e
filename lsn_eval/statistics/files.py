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
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import StatisticsError
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics.content import StatisticsContent, TextResponses
from lsn_eval.statistics.corpora import check_corpora
from lsn_eval.statistics.quantiles import TokenSample
from lsn_eval.storage.tensor_files import DTYPES, document_text, read_tensors
from lsn_eval.storage.whole_files import METADATA_KEY, whole_file

FORMAT = "lsn_eval.stats"
FORMAT_VERSION = 1

_NAMES = {np.dtype(numpy): name for name, numpy in DTYPES.items()}
_CHUNK = 64 << 20


def write_statistics(stats: StatisticsContent, path: str | os.PathLike[str]) -> None:
    """Write `stats`; the file appears whole or not at all, and equal ones give equal bytes."""
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
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
        for part in _slices(array):
            file.write(np.ascontiguousarray(part).astype(DTYPES[_NAMES[array.dtype]]).tobytes())


def _slices(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    rows = max(1, _CHUNK // max(1, array.nbytes // max(1, len(array))))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


def read_statistics(path: str | os.PathLike[str]) -> tuple[StatisticsContent, str]:
    """What a statistics file says, arrays memory-mapped, and the digest that it says it has.

    Raises:
        StatisticsError: not a statistics file, one of a newer format, or one whose samples or
            texts do not fit the rest.
    """
    tensors, document = read_tensors(
        path, FORMAT, FORMAT_VERSION, StatisticsError,
        "write one with 'lsn-eval record', and convert published .pt files of counts with "
        "'lsn-eval stats import'",
    )  # fmt: skip
    model = ModelLayout.read(document.fields("model"))
    languages = document.texts("languages")
    tokens, sizes = document.fields("tokens"), document.fields("samples")
    of_what: dict[str, dict[str, NDArray[Any]]] = {}
    for key, tensor in tensors.items():
        head, _, rest = key.partition("/")
        of_what.setdefault(head, {})[rest] = tensor
    sampled = _Tensors(os.fspath(path), "sample", of_what.pop("sample", {}), model)
    single = _Tensors(os.fspath(path), "text", of_what.pop("text", {}), model)
    content = StatisticsContent(
        model=model,
        languages=tuple(languages),
        tokens={language: tokens.whole(language) for language in tokens},
        arrays=of_what,
        provenance=document.mapping("provenance"),
        samples={
            language: sampled.sample(language, sizes.whole(language), tuple(of_what))
            for language in sizes
        },
        texts=single.responses(languages, tuple(of_what)),
    )
    for kind in (sampled, single):
        kind.check_all_taken()
    if unknown := set(content.samples) - set(languages):
        raise StatisticsError(
            f"{os.fspath(path)} has a sample of {min(unknown)}, no language of it"
        )
    check_corpora(document)
    return content, document.text("digest")


class _Tensors:
    """The tensors of one kind, each of which has to be what the others say it is."""

    def __init__(
        self, path: str, kind: str, tensors: dict[str, NDArray[Any]], model: ModelLayout
    ) -> None:
        self.path, self.kind, self.tensors, self.model = path, kind, tensors, model
        self.taken: set[str] = set()

    def take(self, name: str, dtype: type, *shape: int | None) -> NDArray[Any]:
        """The tensor; None is an axis of any length."""
        where = f"{self.path}: {self.kind}/{name}"
        if name not in self.tensors:
            raise StatisticsError(f"{where} is missing")
        array = self.tensors[name]
        fits = len(shape) == array.ndim and all(
            wanted in (None, there) for wanted, there in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype != dtype:
            raise StatisticsError(
                f"{where} is {array.dtype} {list(array.shape)}; {np.dtype(dtype)} "
                f"{['any' if axis is None else axis for axis in shape]} was expected"
            )
        self.taken.add(name)
        return array

    def sample(self, language: str, size: int, hookpoints: Sequence[str]) -> TokenSample:
        keys = self.take(f"{language}/keys", np.uint64, None)
        if keys.size > size or (keys[1:] <= keys[:-1]).any():
            raise StatisticsError(
                f"{self.path}: sample/{language}/keys holds {keys.size} keys; at most {size}, "
                "ascending, were expected"
            )
        shape = (keys.size, len(self.model.layers))
        values = {
            hookpoint: self.take(
                f"{language}/{hookpoint}", np.float16, *shape, self.model.widths.get(hookpoint, -1)
            )
            for hookpoint in hookpoints
        }
        return TokenSample(size, keys, values)

    def responses(
        self, languages: Sequence[str], hookpoints: Sequence[str]
    ) -> TextResponses | None:
        if not self.tensors:
            return None
        numbers = self.take("language", np.int32, None)
        if numbers.size and (numbers.min() < 0 or numbers.max() >= len(languages)):
            raise StatisticsError(
                f"{self.path}: text/language names a language beyond the {len(languages)} there are"
            )
        index = self.take("index", np.int64, numbers.size)
        places = {
            (hookpoint, layer): self.take(
                f"{hookpoint}/{layer}",
                np.float16,
                numbers.size,
                self.model.widths.get(hookpoint, -1),
            )
            for hookpoint in hookpoints
            for layer in self.model.layers
        }
        return TextResponses(
            np.asarray(languages, np.str_)[numbers],
            index,
            lambda hookpoint, layer: places[hookpoint, layer],
        )

    def check_all_taken(self) -> None:
        if unknown := set(self.tensors) - self.taken:
            raise StatisticsError(
                f"{self.path}: tensor {self.kind}/{min(unknown)} belongs to nothing in the file"
            )
