"""Mask files: written whole, read with suspicion."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, safe_open, save_file

from lsn_eval import NeuronMask
from lsn_eval.errors import MaskError
from lsn_eval.masks.names import MaskMethod
from lsn_eval.models.layout import ModelLayout
from lsn_eval.storage.shipped import masks_dir
from lsn_eval.storage.whole_files import METADATA_KEY


def make() -> NeuronMask:
    model = ModelLayout.numbered(3, {"mlp.act": 40}, type="llama", name="a/b", revision="abc")
    return NeuronMask(
        {"de": {"mlp.act": {"0": [1, 4], "2": [9]}}, "it": {}, "fr": {"mlp.act": {"1": [3]}}},
        model=model,
        method=MaskMethod("lape", {"top_rate": 0.01}),
        values={"fr": {"mlp.act": {"1": {"mean": [0.25]}}}},
        provenance={"tokens": {"de": 10, "it": 0, "fr": 3}, "command": "lsn-eval identify"},
    ).with_controls(2)


def test_round_trip(tmp_path):
    made = make()
    made.save(tmp_path / "m.safetensors")
    read = NeuronMask.load(tmp_path / "m.safetensors")
    assert read == made
    assert read.languages == ("de", "it", "fr")
    assert read.model == made.model
    assert read.method == made.method
    assert read.provenance == made.provenance
    assert read.values("fr", "mlp.act", 1, "mean").tolist() == [0.25]
    assert read.controls("de") == (1, 2)


def test_the_file_is_as_documented_and_the_same_every_time(tmp_path):
    for name in ("a", "b"):
        make().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    tensors = load_file(tmp_path / "a")
    assert tensors["de/mlp.act/0"].dtype == np.int32
    assert tensors["fr/mlp.act/1/mean"].dtype == np.float32
    assert set(tensors) >= {"de/mlp.act/0", "de/mlp.act/2", "fr/mlp.act/1", "random2-fr/mlp.act/1"}
    with safe_open(tmp_path / "a", "numpy") as file:
        metadata = file.metadata()
    assert len(metadata) == 1
    document = json.loads(metadata[METADATA_KEY])
    assert document["model"]["widths"] == {"mlp.act": 40}
    assert document["languages"] == ["de", "it", "fr"]
    assert document["digest"] == make().digest


def test_layer_names_that_are_no_numbers_are_kept(tmp_path):
    model = ModelLayout(("encoder.0", "encoder.1", "decoder.0"), {"mlp.act": 5})
    made = NeuronMask({"de": {"mlp.act": {"encoder.1": [2], "decoder.0": [4]}}}, model=model)
    made.save(tmp_path / "m")
    assert NeuronMask.load(tmp_path / "m").neurons("de").tolist() == [[1, 2], [2, 4]]


def spoil(path, change):
    """Write the mask file again after `change(tensors, document)`."""
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        document = json.loads(file.metadata()[METADATA_KEY])
    metadata = change(tensors, document)
    save_file(tensors, path, metadata or {METADATA_KEY: json.dumps(document)})


def grow(tensors, document):
    tensors["de/mlp.act/0"] = np.array([1, 4, 99], np.int32)


def swap(tensors, document):
    taken = np.concatenate([tensors[f"{who}/mlp.act/0"] for who in ("random1-de", "random2-de")])
    free = np.setdiff1d(np.arange(2, 40), taken)
    tensors["de/mlp.act/0"] = np.array([1, free[0]], np.int32)


def int64(tensors, document):
    tensors["de/mlp.act/0"] = tensors["de/mlp.act/0"].astype(np.int64)


def orphan(tensors, document):
    tensors["fr/mlp.act/2/mean"] = np.array([1.0], np.float32)


def odd_key(tensors, document):
    tensors["de"] = np.array([1], np.int32)


def rename(tensors, document):
    document["languages"] = ["de", "fr"]
    tensors["it/mlp.act/0"] = np.array([1], np.int32)


def fewer_layers(tensors, document):
    document["model"]["layers"] = 2


def contradicting_layers(tensors, document):
    document["model"]["layer_names"] = ["0", "1"]


def newer(tensors, document):
    document["format_version"] = 2


def other_format(tensors, document):
    document["format"] = "something"


def no_languages(tensors, document):
    del document["languages"]


def no_document(tensors, document):
    return {"other": "x"}


def broken_json(tensors, document):
    return {METADATA_KEY: "{"}


def list_document(tensors, document):
    return {METADATA_KEY: "[]"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (grow, "neuron 99 is outside the width"),
        (swap, "the file was changed after it was written"),
        (int64, "is int64; int32 was expected"),
        (orphan, "values for neurons that are not there"),
        (odd_key, "tensor 'de': WHO/HOOKPOINT/LAYER"),
        (rename, "'it' has neurons and is not among"),
        (fewer_layers, "no layer '2'"),
        (contradicting_layers, "says 3 layers and names 2"),
        (newer, "format version 2 was given and 1 is read"),
        (other_format, "format 'lsn_eval.mask' was expected, not 'something'"),
        (no_languages, "lacks 'languages'"),
        (no_document, "no lsn_eval mask"),
        (broken_json, "cannot be read"),
        (list_document, "cannot be read"),
    ],
)
def test_a_file_that_contradicts_itself_is_not_loaded(tmp_path, change, message):
    path = tmp_path / "m.safetensors"
    make().save(path)
    spoil(path, change)
    with pytest.raises(MaskError) as caught:
        NeuronMask.load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_is_no_safetensors_file_is_an_error(tmp_path):
    path = tmp_path / "m.pth"
    path.write_bytes(b"PK\x03\x04 not at all")
    with pytest.raises(MaskError, match="not a safetensors file .* 'lsn-eval mask import'"):
        NeuronMask.load(path)
    with pytest.raises(MaskError, match="neither a file nor a shipped mask"):
        NeuronMask.load(tmp_path / "absent")


def test_nothing_is_left_behind_where_writing_fails(tmp_path, monkeypatch):
    with pytest.raises(MaskError, match="does not exist; create it first"):
        make().save(tmp_path / "absent" / "m")
    path = tmp_path / "m"
    path.write_text("before")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        make().save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["m"]
    assert path.read_text() == "before"


def test_shipped_masks_are_found_by_name_and_only_they():
    assert NeuronMask.load("demo/planted").languages
    outside = f"../{masks_dir().name}/demo/../../pyproject"
    with pytest.raises(MaskError, match="demo/planted"):
        NeuronMask.load(outside)
