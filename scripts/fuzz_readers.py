"""Every kind of file that is read from outside: a sound one, its reader, and a second reading.

The second reading is plain and strict, loops over the bytes: it says what stands in a file.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import math
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lsn_eval import ActivationStats, NeuronMask
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics.content import TextResponses
from lsn_eval.statistics.quantiles import TokenSample


@dataclass(frozen=True)
class Reader:
    """A kind of file: a sound one, the code that reads it, and the second reading."""

    name: str
    suffix: str
    content: bytes
    read: Callable[[Path], Any]
    agrees: Callable[[Path, Any], bool]
    """Whether what was read is what stands in the file."""


# Sound files -----------------------------------------------------------------------------------


def _safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and our document, by the format's description: length, header, bytes."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    dtypes = {"I32": "<i4", "I64": "<i8", "F32": "<f4", "F64": "<f8", "F16": "<f2", "U64": "<u8"}
    tensors = {
        key: np.frombuffer(
            raw[8 + length + entry["data_offsets"][0] : 8 + length + entry["data_offsets"][1]],
            dtypes[entry["dtype"]],
        ).reshape(entry["shape"])
        for key, entry in header.items()
    }
    return tensors, json.loads(metadata["lsn_eval"])


def _mask_file() -> bytes:
    generator = np.random.RandomState(0)
    neurons = {
        who: {"mlp.act": {str(layer): np.sort(generator.permutation(40)[:5]) for layer in range(3)}}
        for who in ("de", "fr")
    }
    mask = NeuronMask(neurons, model=ModelLayout.numbered(3, {"mlp.act": 48}, type="llama"))
    mask = mask.with_controls(1)
    values = {
        who: {"mlp.act": {str(n): {"mean": generator.normal(size=5)} for n in range(3)}}
        for who in mask.who
    }
    return _saved(mask.with_values(values), ".safetensors")


def _statistics_file() -> bytes:
    """Everything that recording can keep: statistics, samples, single texts, what was read."""
    generator = np.random.RandomState(0)
    values = generator.normal(size=(2, 20, 3, 16)).astype(np.float16)
    samples = {
        language: TokenSample(30, np.arange(20, dtype=np.uint64) + number, {"mlp.act": drawn})
        for number, (language, drawn) in enumerate(zip(("de", "fr"), values, strict=True))
    }
    responses = generator.normal(size=(6, 16)).astype(np.float16)
    corpora = {
        language: [
            {
                "source": f"{language}.txt", "documents": 3, "rows": 2, "tokens": 20,
                "texts_sha256": language * 32, "document_sketch": [1, 5, 9], "batch_size": 2,
                "held_out": False, "shard": [1, 1],
            }
        ]
        for language in samples
    }  # fmt: skip
    stats = ActivationStats(
        ModelLayout.numbered(3, {"mlp.act": 16}, type="llama"),
        ("de", "fr"),
        {"de": 20, "fr": 20},
        {
            "mlp.act": {
                "positive": (values > 0).sum(1),
                "mean": values.astype(float).mean(1),
                "variance": values.astype(float).var(1),
                "max": values.max(1).astype(np.float32),
            }
        },
        {"corpora": corpora, "settings": {"length": 4}},
        samples,
        TextResponses(np.repeat(["de", "fr"], 3), np.arange(6), lambda at, layer: responses),
    )
    return _saved(stats, ".safetensors")


def _saved(artefact: Any, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sound{suffix}"
        artefact.save(path)
        return path.read_bytes()


def _mask_agrees(path: Path, mask: NeuronMask) -> bool:
    tensors, document = _safetensors(path)
    named = {key for key, _ in mask.items()}
    return (
        named == set(tensors)
        and all(np.array_equal(array, tensors[key]) for key, array in mask.items())
        and list(mask.languages) == document["languages"]
        and mask.digest == document["digest"]
        and len(mask.model.layers) == document["model"]["layers"]
        and dict(mask.model.widths) == document["model"]["widths"]
        and all(np.isfinite(array).all() for _, array in mask.items())
        and all(
            (np.diff(a) > 0).all() and a[0] >= 0 for _, a in mask.items() if a.dtype.kind == "i"
        )
    )


def _statistics_agree(path: Path, stats: ActivationStats) -> bool:
    """Every tensor is one that is shown, with the file's numbers, and the digest is theirs."""
    tensors, document = _safetensors(path)
    languages, layers = document["languages"], document["model"]["layers"]
    shown = {
        f"{at}/{name}": stats.get(at, name) for at in stats.hookpoints for name in stats.names(at)
    }
    sha = hashlib.sha256()
    for language in languages:
        sha.update(f"{language} {document['tokens'][language]}\n".encode())
    for key, array in shown.items():
        sha.update(f"{key} {array.dtype.str} {list(array.shape)}\n".encode())
        sha.update(tensors[key].tobytes())
    for language, sample in stats.samples.items():
        shown[f"sample/{language}/keys"] = sample.keys
        shown |= {f"sample/{language}/{at}": values for at, values in sample.values.items()}
        ascending = sorted(set(sample.keys.tolist()))
        if ascending != sample.keys.tolist() or sample.size != document["samples"][language]:
            return False
    if stats.texts is not None:
        numbers = [languages.index(language) for language in stats.texts.languages]
        shown |= {"text/index": stats.texts.index, "text/language": np.array(numbers)}
        for at in stats.hookpoints:
            shown |= {f"text/{at}/{n}": stats.responses(at, n) for n in range(layers)}
    return (
        sha.hexdigest() == document["digest"] == stats.digest
        and list(stats.languages) == languages
        and dict(stats.tokens) == document["tokens"]
        and list(stats.samples) == list(document["samples"])
        and dict(stats.model.widths) == document["model"]["widths"]
        and len(stats.model.layers) == layers
        and dict(stats.provenance) == document["provenance"]
        and set(shown) == set(tensors)
        and all(np.array_equal(a, tensors[key], equal_nan=True) for key, a in shown.items())
        and min(shown[f"{at}/positive"].min() for at in stats.hookpoints) >= 0
    )


def _torch_file(content: Any) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _torch_plain(path: Path) -> Any:
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def _published_mask() -> bytes:
    import torch

    return _torch_file([[torch.tensor([1, 5, 9]), torch.tensor([2])] for _ in range(2)])


def _published_mask_agrees(path: Path, mask: NeuronMask) -> bool:
    plain = _torch_plain(path)
    return all(
        sorted(indices.tolist()) == mask.indices(language, "mlp.act", layer).tolist()
        for language, by_layer in zip(("de", "fr"), plain, strict=True)
        for layer, indices in enumerate(by_layer)
    )


def _counts_file() -> bytes:
    import torch

    return _torch_file({"n": torch.tensor(50), "over_zero": torch.arange(12).reshape(3, 4)})


def _counts_agree(path: Path, stats: ActivationStats) -> bool:
    plain = _torch_plain(path)
    return stats.tokens["de"] == int(plain["n"]) and np.array_equal(
        stats.arrays["mlp.act"]["positive"][0], plain["over_zero"].numpy()
    )


def _token_file() -> bytes:
    import torch

    return _torch_file(torch.arange(64).reshape(4, 16))


# JSON ------------------------------------------------------------------------------------------


def _results_document() -> dict[str, Any]:
    record = {
        "version": "0.1.0",
        "condition": "de:zero",
        "model": {"name": "tiny", "dtype": "float32"},
        "mask": {"digest": "ab" * 32, "method": "lape", "languages": ["de", "fr"]},
        "neurons_per_layer": {"mlp.act": {"0": 3, "1": 2}},
        "seen": {
            "hookpoints": {"mlp.act": {"values_overwritten": 10, "values_changed": 9}},
            "unchanged": [],
        },
    }
    return {
        "results": {"lsn_wikippl_de": {"alias": "x", "ppl,none": 3.5, "ppl_stderr,none": "N/A"}},
        "configs": {"lsn_wikippl_de": {"task": "lsn_wikippl_de", "metadata": {"version": 1.0}}},
        "versions": {"lsn_wikippl_de": 1.0},
        "n-shot": {"lsn_wikippl_de": 0},
        "n-samples": {"lsn_wikippl_de": {"original": 9, "effective": 4}},
        "higher_is_better": {"lsn_wikippl_de": {"ppl": False}},
        "config": {"model": "lsn_hf", "model_args": {"pretrained": "tiny"}, "lsn": record},
        "date": 1.0,
        "lm_eval_version": "0.4.13",
    }


def _results_agree(path: Path, rows: Any) -> bool:
    document = json.loads(path.read_bytes())
    for row in rows:
        value = document["results"][row.task][f"{row.metric},{row.filter}"]
        number = float(value) if isinstance(value, int | float) else math.nan
        if not (row.value == number or (math.isnan(row.value) and math.isnan(number))):
            return False
    return True


def _samples_content() -> bytes:
    lines = [
        {
            "doc_id": number, "doc": {"text": "x", "question": "why?"}, "target": "t",
            "arguments": {"gen_args_0": {"arg_0": "prompt", "arg_1": {}}},
            "resps": [["an answer"]], "filtered_resps": ["an answer"], "filter": "none",
            "metrics": ["acc"], "acc": number % 2 / 1, "doc_hash": "a", "prompt_hash": "b",
            "target_hash": "c",
        }
        for number in range(4)
    ]  # fmt: skip
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def _lines(path: Path) -> list[Any]:
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode()
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _baseline_content() -> bytes:
    from lsn_eval.checking.baseline_files import baseline_text
    from lsn_eval.checking.baselines import make_baseline
    from lsn_eval.results import read_results

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results_1.json"
        path.write_text(json.dumps(_results_document()))
        return baseline_text(make_baseline(read_results([path]))).encode()


def _baseline_agrees(path: Path, baseline: Any) -> bool:
    entries = json.loads(path.read_bytes())["values"]
    return [(*value.key, value.value) for value in baseline.values] == [
        (e["model"], e["condition"], e["task"], e["metric"], float(e["value"])) for e in entries
    ]


# Readers ---------------------------------------------------------------------------------------

TEXTS = "Der erste Satz.\nDie zweite Zeile mit ü.\n\nNoch eine.\n".encode()
JSON_TEXTS = b'{"text": "Der erste Satz.", "id": "1"}\n{"text": "Noch einer.", "id": 2}\n'


ENDINGS = {"gzip": ".gz", "bz2": ".bz2", "lzma": ".xz"}
TASK_ROWS = b'{"question": "a", "answer": 1}\n{"question": "b", "answer": 2}\n'


def _plain_texts(path: Path) -> list[str]:
    raw = path.read_bytes()
    for ending, open_ in (
        (".gz", gzip.decompress),
        (".bz2", bz2.decompress),
        (".xz", lzma.decompress),
    ):
        if path.name.endswith(ending):
            raw = open_(raw)
    text = raw.removeprefix(b"\xef\xbb\xbf").decode()
    if ".jsonl" in path.name:
        texts = [json.loads(line)["text"] for line in text.split("\n") if line.strip()]
        return [one for one in texts if one.strip()]
    return [line.rstrip("\r\n") for line in text.split("\n") if line.strip()]


def readers() -> list[Reader]:
    """Every kind of file that is read from outside."""
    from lsn_eval.checking.baseline_files import read_baseline
    from lsn_eval.judge.answers import load_saved
    from lsn_eval.lm_tasks.local_data import json_rows
    from lsn_eval.masks.imports import import_lists
    from lsn_eval.recording.texts import TextFiles, read_tokens
    from lsn_eval.results import read_results
    from lsn_eval.results.samples import read_samples
    from lsn_eval.statistics.imports import import_counts

    def texts(path: Path) -> list[str]:
        return [document.text for document in TextFiles(str(path))]

    def same_texts(path: Path, read: list[str]) -> bool:
        return read == _plain_texts(path)

    def published_mask(path: Path) -> NeuronMask:
        return import_lists(path, languages=("de", "fr"), layers=2, width=16)

    def samples(path: Path) -> Any:
        results = path.with_name("results_2026.json")
        path.rename(path.with_name("samples_task_2026.jsonl"))
        try:
            return list(read_samples(results, "task"))
        finally:
            path.with_name("samples_task_2026.jsonl").rename(path)

    def same_samples(path: Path, read: Any) -> bool:
        # A sample that names no metrics has no values.
        plain = [
            (line["doc_id"], line.get("acc") if "acc" in (line.get("metrics") or ()) else None)
            for line in sorted(_lines(path), key=lambda line: line["doc_id"])
        ]
        return [(sample.number, sample.values.get("acc")) for sample in read] == plain

    def same_answers(path: Path, read: Any) -> bool:
        return sorted(answer.answer for answer in read[0].answers) == sorted(
            line["filtered_resps"][0] for line in _lines(path)
        )

    sound_mask, results = _mask_file(), json.dumps(_results_document(), indent=1).encode()
    compressed = {
        ".txt": TEXTS, ".jsonl": JSON_TEXTS, ".txt.gz": gzip.compress(TEXTS),
        ".jsonl.xz": lzma.compress(JSON_TEXTS), ".txt.bz2": bz2.compress(TEXTS),
    }  # fmt: skip
    return [
        Reader("mask", ".safetensors", sound_mask, NeuronMask.load, _mask_agrees),
        Reader(
            "statistics", ".safetensors", _statistics_file(), ActivationStats.load,
            _statistics_agree,
        ),
        Reader("published mask", ".pth", _published_mask(), published_mask, _published_mask_agrees),
        Reader(
            "published counts", ".pt", _counts_file(),
            lambda path: import_counts([path], ["de"]), _counts_agree,
        ),
        Reader(
            "tokens", ".pt", _token_file(), lambda path: read_tokens(str(path)),
            lambda path, read: np.array_equal(read, _torch_plain(path).numpy()),
        ),
        Reader("results", ".json", results, lambda p: read_results([p]), _results_agree),
        Reader("samples", ".jsonl", _samples_content(), samples, same_samples),
        Reader("saved answers", ".jsonl", _samples_content(), load_saved, same_answers),
        Reader("baseline", ".json", _baseline_content(), read_baseline, _baseline_agrees),
        Reader(
            "task data", ".jsonl", TASK_ROWS,
            lambda path: [row.value for row in json_rows(path)],
            lambda path, read: read == _lines(path),
        ),
        *(
            Reader(f"texts{suffix}", suffix, content, texts, same_texts)
            for suffix, content in compressed.items()
        ),
    ]  # fmt: skip
