"""Mask files: written whole, read with suspicion."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders.safetensors_files import ATTACKS, rewrite
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


def test_other_layer_names_are_kept_and_what_json_cannot_hold_of_a_command_is_replaced(tmp_path):
    model = ModelLayout(("encoder.0", "encoder.1", "decoder.0"), {"mlp.act": 5})
    neurons = {"de": {"mlp.act": {"encoder.1": [2], "decoder.0": [4]}}}
    NeuronMask(neurons, model=model, provenance={"command": "a\udcffb"}).save(tmp_path / "m")
    read = NeuronMask.load(tmp_path / "m")
    assert read.neurons("de").tolist() == [[1, 2], [2, 4]]
    assert read.provenance == {"command": "a?b"}


@pytest.mark.parametrize(("change", "message"), ATTACKS)
def test_a_document_that_no_mask_has_is_not_read(tmp_path, change, message):
    path = tmp_path / "m.safetensors"
    make().save(path)
    rewrite(path, change)
    with pytest.raises(MaskError, match=message) as caught:
        NeuronMask.load(path)
    assert str(path) in str(caught.value)


def test_a_header_that_claims_more_than_there_is_is_not_read(tmp_path):
    path = tmp_path / "m.safetensors"
    make().save(path)
    content = path.read_bytes()
    for length in (2**63, 2**26, len(content)):
        path.write_bytes(length.to_bytes(8, "little") + content[8:])
        with pytest.raises(MaskError, match="not a safetensors file"):
            NeuronMask.load(path)
    path.write_bytes(content)
    rewrite(path, lambda header, document: header["de/mlp.act/0"].update(shape=[2**60, 16]))
    with pytest.raises(MaskError, match="not a safetensors file"):
        NeuronMask.load(path)


def respelt(**tensors):
    """A change of tensors by their keys, `/` written as `__`; None takes one away."""

    def change(saved):
        for key, array in tensors.items():
            key = key.replace("__", "/").replace("mlp_act", "mlp.act")
            saved.pop(key, None)
            if array is not None:
                saved[key] = np.asarray(array)

    return change


INT, FLOAT = np.int32, np.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (respelt(de__mlp_act__0=INT([1, 4, 99])), "neuron 99 is outside the width"),
        (respelt(de__mlp_act__0=INT([-1, 4])), "neuron -1 is outside the width"),
        (respelt(de__mlp_act__0=INT([4, 1])), "neuron 1 stands out of order"),
        (respelt(de__mlp_act__0=INT([[1, 4]])), r"is int32 \[1, 2\]; int32 was expected"),
        (respelt(de__mlp_act__0=np.int64([1, 4])), "is int64 .*; int32 was expected"),
        (respelt(de__mlp_act__0=np.uint8([1, 4])), "is U8, and none of"),
        (respelt(fr__mlp_act__2__mean=FLOAT([1])), "values for neurons that are not there"),
        (respelt(fr__mlp_act__1__mean=FLOAT([np.inf])), "not a finite number"),
        (respelt(de=INT([1])), "tensor 'de': WHO/HOOKPOINT/LAYER"),
        (respelt(de__mlp_act__0__=INT([1])), "'de/mlp.act/0/': WHO/HOOKPOINT/LAYER"),
        (respelt(xx__mlp_act__0=INT([1])), "'xx' has neurons and is not among"),
        (respelt(de__mlp_act__3=INT([1])), "no layer '3'"),
        (respelt(it__mlp_act__0=INT([0])), "changed after it was written"),
    ],
)
def test_tensors_that_contradict_the_rest_are_not_read(tmp_path, change, message):
    path = tmp_path / "m.safetensors"
    NeuronMask.of(make().select(["fr"]) | make().select(["de", "it"])).save(path)
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    change(tensors)
    save_file(tensors, path, metadata)
    with pytest.raises(MaskError, match=message) as caught:
        NeuronMask.load(path)
    assert str(path) in str(caught.value)


def test_what_is_no_safetensors_file_is_an_error(tmp_path):
    path = tmp_path / "m.pth"
    path.write_bytes(b"PK\x03\x04 not at all")
    with pytest.raises(MaskError, match="not a safetensors file .*mask import'"):
        NeuronMask.load(path)
    with pytest.raises(MaskError, match="neither a file nor a shipped mask"):
        NeuronMask.load(tmp_path / "absent")


def test_shipped_masks_are_found_by_name_and_only_they():
    assert NeuronMask.load("demo/planted").languages
    with pytest.raises(MaskError, match="demo/planted"):
        NeuronMask.load(f"../{masks_dir().name}/demo/../../pyproject")
