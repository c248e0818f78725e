"""Statistics files: round trips, other readers, files that contradict themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders.safetensors_files import ATTACKS, put, rewrite
from builders.statistics import LAYERS, MODEL, WIDTH, assert_equal, statistics
from safetensors.numpy import load_file

from lsn_eval.errors import StatisticsError
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics import ActivationStats
from lsn_eval.statistics.quantiles import TokenSample


def test_files_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    # Other readers of the format, and a file that is written in small slices.
    tensors = load_file(tmp_path / "a")
    np.testing.assert_array_equal(tensors["mlp.act/mean"], stats.get("mlp.act", "mean"))
    np.testing.assert_array_equal(tensors["sample/fr/keys"], stats.samples["fr"].keys)
    monkeypatch.setattr("lsn_eval.statistics.files._CHUNK", 48)
    loaded.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]


def test_no_tokens_no_texts_and_other_layer_names(tmp_path: Path) -> None:
    model = ModelLayout(("encoder.0", "encoder.1"), MODEL.widths)
    values = {"mlp.act": np.zeros((0, LAYERS, WIDTH), np.float16)}
    empty = TokenSample(10, np.zeros(0, np.uint64), values)
    arrays = {"mlp.act": {"positive": np.zeros((1, LAYERS, WIDTH), np.int64)}}
    stats = ActivationStats(model, ("de",), {"de": 0}, arrays, samples={"de": empty})
    stats.save(tmp_path / "a")
    loaded = ActivationStats.load(tmp_path / "a")
    assert loaded.model.layers == model.layers
    assert loaded.samples["de"].keys.size == 0


CORPUS = ("provenance", "corpora", "de", 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *ATTACKS,
        (put("languages", value=["de"]), "a sample of fr, no language of it"),
        (put("tokens", "de", value=-1), "de is -1; a whole number from 0"),
        (put("tokens", "de", value=True), "de is true; a whole number"),
        (put("tokens", "de", value=7), "changed after it was written"),
        (put("tokens", "vi", value=7), "tokens"),
        (put("samples", "de", value=3), "at most 3, ascending"),
        (put("samples", "vi", value=3), "sample/vi/keys is missing"),
        (put("samples", value={"de": 1000}), "sample/fr/attn.q belongs to nothing"),
        (put("model", "layers", value=3), r"\[100, 3, 3\] was expected"),
        (put("model", "widths", value={"mlp.act": 5}), "attn.q"),
        (lambda header, document: header.update({"x/y": header.pop("mlp.act/max")}), "x"),
        (put("provenance", "corpora", value=[]), "corpora is"),
        (put("provenance", "corpora", value={"de": 3}), "de is 3; a list was expected"),
        (put(*CORPUS, value="x"), 'corpora: de: 0 is "x"; an object was expected'),
        (put(*CORPUS, "source", value=3), "source is 3; a text was expected"),
        (put(*CORPUS, "tokens", value="many"), 'tokens is "many"; a whole number'),
        (put(*CORPUS, "shard", value=[3, 2]), r"shard is \[3, 2\]; \[number, of\] was expected"),
        (put(*CORPUS, "document_sketch", value=["a"]), "document_sketch: at most 128 whole"),
        (put("provenance", "settings", value=1), "settings is 1; an object was expected"),
    ],
)
def test_files_that_contradict_themselves(tmp_path: Path, change, message: str) -> None:
    path = tmp_path / "a"
    statistics(corpus={"source": "x"}, texts=True).save(path)
    rewrite(path, change)
    with pytest.raises(StatisticsError, match=message) as caught:
        ActivationStats.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "number", "message"),
    [
        ("positive", -1, "of fr holds numbers that cannot be; counts"),
        ("positive", 1 << 60, "counts were expected"),
        ("mean", np.nan, "finite numbers were expected"),
        ("variance", -1.0, "mlp.act/variance of fr"),
        ("p90", np.inf, "finite numbers were expected"),
    ],
)
def test_numbers_that_cannot_be(tmp_path: Path, name: str, number: float, message: str) -> None:
    sound = statistics()
    array = sound.get("mlp.act", name).copy()
    array[1, 0, 2] = number
    arrays = {**sound.arrays, "mlp.act": {**sound.arrays["mlp.act"], name: array}}
    replace(sound, arrays=arrays).save(tmp_path / "a")
    with pytest.raises(StatisticsError, match=message):
        ActivationStats.load(tmp_path / "a")


def test_texts_and_samples_that_cannot_be(tmp_path: Path) -> None:
    replace(statistics(texts=True), samples={}).save(tmp_path / "a")
    rewrite(tmp_path / "a", put("languages", value=["de"]))
    with pytest.raises(StatisticsError, match="beyond the 1 there are"):
        ActivationStats.load(tmp_path / "a")
    sound = statistics()
    turned = replace(sound.samples["de"], keys=sound.samples["de"].keys[::-1])
    replace(sound, samples={**sound.samples, "de": turned}).save(tmp_path / "a")
    with pytest.raises(StatisticsError, match="at most 1000, ascending, were expected"):
        ActivationStats.load(tmp_path / "a")


def test_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "a"
    statistics().save(path)
    path.write_bytes(path.read_bytes()[:-9])
    for file in (path, tmp_path / "missing"):
        with pytest.raises(StatisticsError, match="not a safetensors file"):
            ActivationStats.load(file)
