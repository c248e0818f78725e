"""Statistics files: round trips, other readers, files that contradict themselves."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from builders.statistics import LAYERS, MODEL, WIDTH, assert_equal, statistics

from lsn_eval.errors import StatisticsError
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics import ActivationStats
from lsn_eval.statistics.content import TextResponses
from lsn_eval.statistics.quantiles import TokenSample


def test_files_round_trip(tmp_path: Path) -> None:
    stats = statistics(corpus={"source": "Wörter.txt"}, texts=True)
    stats.save(tmp_path / "a")
    loaded = ActivationStats.load(tmp_path / "a")
    assert_equal(stats, loaded)
    assert loaded.provenance == stats.provenance
    assert loaded.text_languages is not None
    assert loaded.text_languages.tolist() == ["de"] * 3 + ["fr"] * 3
    for hookpoint in stats.hookpoints:
        for layer in (0, 1):
            found = loaded.responses(hookpoint, layer)
            assert isinstance(found, np.memmap)
            np.testing.assert_array_equal(found, stats.responses(hookpoint, layer))
    loaded.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]


def test_any_safetensors_reader_reads_them(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    stats = statistics()
    stats.save(tmp_path / "a")
    tensors = load_file(tmp_path / "a")
    np.testing.assert_array_equal(tensors["mlp.act/mean"], stats.get("mlp.act", "mean"))
    np.testing.assert_array_equal(tensors["sample/fr/keys"], stats.samples["fr"].keys)


def test_slices_are_written_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stats = statistics(texts=True)
    stats.save(tmp_path / "a")
    monkeypatch.setattr("lsn_eval.statistics.files._CHUNK", 48)
    stats.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_tokens_no_texts_and_other_layer_names(tmp_path: Path) -> None:
    model = ModelLayout(("encoder.0", "encoder.1"), MODEL.widths)
    empty = TokenSample(
        10, np.zeros(0, np.uint64), {"mlp.act": np.zeros((0, LAYERS, WIDTH), np.float16)}
    )
    stats = ActivationStats(
        model,
        ("de",),
        {"de": 0},
        {"mlp.act": {"positive": np.zeros((1, LAYERS, WIDTH), np.int64)}},
        samples={"de": empty},
    )
    stats.save(tmp_path / "a")
    loaded = ActivationStats.load(tmp_path / "a")
    assert loaded.model.layers == model.layers
    assert loaded.samples["de"].keys.size == 0


def rewrite(path: Path, change) -> None:
    """Change the JSON document of a statistics file, or its header."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    document = json.loads(header["__metadata__"]["lsn_eval"])
    change(header, document)
    if "__metadata__" in header:
        header["__metadata__"]["lsn_eval"] = json.dumps(document)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda header, document: document.update(format="lsn_eval.mask"),
            "format 'lsn_eval.stats'",
        ),
        (lambda header, document: document.update(format_version=2), "update lsn_eval"),
        (lambda header, document: header.pop("__metadata__"), "no lsn_eval statistics"),
        (lambda header, document: document["model"].update(layers=3), "was expected"),
        (lambda header, document: document.update(languages=["de"]), "beyond the 1 there are"),
        (lambda header, document: document["tokens"].update(de=-1), "tokens"),
        (lambda header, document: document["samples"].update(de=3), "at most 3 tokens"),
        (lambda header, document: document["samples"].update(vi=3), "lacks 'sample/vi"),
        (lambda header, document: document["model"].update(widths={"mlp.act": 5}), "attn.q"),
        (lambda header, document: header.update({"x/y": header.pop("mlp.act/max")}), "x"),
        (lambda header, document: document["tokens"].update(de=7), "changed after it was written"),
    ],
)
def test_files_that_contradict_themselves(tmp_path: Path, change, message: str) -> None:
    path = tmp_path / "a"
    statistics(texts=True).save(path)
    rewrite(path, change)
    with pytest.raises(StatisticsError, match=message):
        ActivationStats.load(path)


def test_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "a"
    statistics().save(path)
    path.write_bytes(path.read_bytes()[:-9])
    for file in (path, tmp_path / "missing"):
        with pytest.raises(StatisticsError, match="not a safetensors file"):
            ActivationStats.load(file)
    with pytest.raises(StatisticsError, match="does not exist"):
        statistics().save(tmp_path / "nowhere" / "a")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    statistics().save(path)
    before = path.read_bytes()

    def fail(hookpoint: str, layer: str) -> np.ndarray:
        raise OSError("disk full")

    broken = statistics(texts=True)
    object.__setattr__(broken, "texts", TextResponses(np.array(["de"]), np.arange(1), fail))
    with pytest.raises(OSError, match="disk full"):
        broken.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
