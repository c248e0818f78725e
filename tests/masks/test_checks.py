"""A mask held against the model that is loaded."""

from __future__ import annotations

import pytest

from lsn_eval import NeuronMask
from lsn_eval.models.hookpoints import ModelHookpoints, Site
from lsn_eval.models.layout import ModelLayout
from lsn_eval.storage.shipped import demo_model_dir

CACHED = "/home/me/.cache/huggingface/hub/models--meta-llama--Llama-2-7b-hf/snapshots/"
A, B = "aaaa" * 10, "bbbb" * 10


def doubts(made_with, loaded):
    """What `check_model` says of a mask and a model of one shape; both as (name, revision)."""
    sites = {"mlp.act": {"0": Site("mlp.act", "0", None, "act", "output", 4, 4)}}  # type: ignore[arg-type]
    model = ModelHookpoints("llama", sites, {"0": None}, *loaded)  # type: ignore[dict-item]
    made_for = ModelLayout.numbered(1, {"mlp.act": 4}, name=made_with[0], revision=made_with[1])
    return NeuronMask({"de": {"mlp.act": {"0": [1]}}}, model=made_for).check_model(model)


@pytest.mark.parametrize(
    ("made_with", "loaded"),
    [
        (("meta-llama/Llama-2-7b-hf", A), ("meta-llama/Llama-2-7b-hf", A)),
        (("meta-llama/Llama-2-7b-hf", None), ("meta-llama/Llama-2-7b-hf", A)),
        (("meta-llama/Llama-2-7b-hf", A), ("models/llama-2-7b-hf/", None)),
        (("meta-llama/Llama-2-7b-hf", A), (f"{CACHED}{A}", None)),
        ((None, None), ("meta-llama/Llama-2-7b-hf", A)),
        (("made by hand", None), (None, None)),
        (("lsn_demo", None), (str(demo_model_dir()), None)),
    ],
)
def test_one_model_raises_no_doubt(made_with, loaded):
    assert doubts(made_with, loaded) == ()


@pytest.mark.parametrize(
    ("made_with", "loaded", "message"),
    [
        (("meta-llama/Llama-2-7b-hf", A), ("meta-llama/Llama-2-7b-chat-hf", A), "was made with meta-llama/Llama-2-7b-hf, and the loaded model is meta-llama/Llama-2-7b-chat-hf"),
        (("meta-llama/Llama-2-7b-hf", A), ("meta-llama/Llama-2-7b-hf", B), "with revision aaaaaaaaaaaa of meta-llama/Llama-2-7b-hf, and revision bbbbbbbbbbbb is loaded"),
        (("meta-llama/Llama-2-7b-hf", B), (f"{CACHED}{A}", None), "revision bbbbbbbbbbbb"),
        (("lsn_demo", None), ("/elsewhere/demo_model", None), "the loaded model is /elsewhere/demo_model"),
    ],
)  # fmt: skip
def test_another_model_of_the_same_shape_is_said(made_with, loaded, message):
    (doubt,) = doubts(made_with, loaded)
    assert message in doubt
