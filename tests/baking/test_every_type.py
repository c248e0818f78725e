"""Baked models of every supported type against the original under hooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders.architectures import EVERY, LAYOUTS, saved_model
from builders.baked import held_against_hooks
from builders.masks import mask_at
from builders.mixtures import MIXTURES, tiny_mixture

from lsn_eval import bake
from lsn_eval.baking import baking
from lsn_eval.baking.proof import Agreement
from lsn_eval.errors import BakingError
from lsn_eval.models.hookpoints import HOOKPOINTS
from lsn_eval.models.loading import auto_class

LINEAR = [at for at in HOOKPOINTS if at not in ("mlp.act", "mlp.down_in")]


REASONS = ("no setting that gives it one", "cannot be written into weights")


def refusal(*given: Any, **named: Any) -> str:
    """Why it cannot be baked; empty where it could, and is what hooks do."""
    try:
        held_against_hooks(*given, **named, force=True)
    except BakingError as error:
        return str(error)
    return ""


CASES = [
    ("de:zero", HOOKPOINTS),
    ("de:x0.5", HOOKPOINTS),
    ("de:0.75", LINEAR),
    ("de:0.75", ["mlp.act"]),
    ("de:+mean", ["mlp.act"]),
    ("de:+mean", LINEAR),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_a_baked_model_is_the_original_under_hooks(name: str, tmp_path: Path, monkeypatch):
    """Zero and scaling always, numbers and additions or with a reason why not; on every layout all
    of them, on every type the half."""
    if name != "falcon_h1":  # its refusal is baking's own look at what it made
        agreed = Agreement(0, 0, 1)
        monkeypatch.setattr(baking, "hold_against_hooks", lambda *given: agreed)
    model = saved_model(tmp_path / "model", name)
    if name == "marian":  # its position embeddings are computed, not read
        model = auto_class(model.config).from_pretrained(tmp_path / "model").eval()
    for condition, hookpoints in CASES if name in LAYOUTS else CASES[::2]:
        mask = mask_at(model, hookpoints)
        exact = condition in ("de:zero", "de:x0.5")
        given = tmp_path / "model", model, name, mask, condition
        if reason := refusal(*given, tolerance=1e-5 if exact else 1e-4):
            assert not exact, reason
            known = [text for text in REASONS if text in reason]
            assert known or (name, condition) == ("falcon_h1", "de:0.75"), reason


@pytest.mark.parametrize(
    ("name", "hookpoint", "condition"),
    [
        (name, hookpoint, condition)
        for name in ("llama", "gpt2")
        for hookpoint in HOOKPOINTS[:9]
        for condition in ("de:0.75", "de:+1.5", "de:x-0.3")
        if not (name == "gpt2" and hookpoint == "mlp.gate")
    ],
)
@pytest.mark.slow
def test_each_hookpoint_by_itself(name: str, hookpoint: str, condition: str, tmp_path: Path):
    """Where every bias can be had, everything but adding at a gated activation."""
    model = saved_model(tmp_path / "model", name)
    mask = mask_at(model, [hookpoint])
    if (name, hookpoint, condition) == ("llama", "mlp.act", "de:+1.5"):
        with pytest.raises(BakingError, match=r"Use a mask at mlp\.down_in"):
            bake(tmp_path / "model", mask, condition, tmp_path / "baked")
        assert not (tmp_path / "baked").exists()
        return
    # What is added to keys the softmax takes away.
    moves = (name, hookpoint, condition) != ("gpt2", "attn.k", "de:+1.5")
    given = tmp_path / "model", model, name, mask, condition
    held_against_hooks(*given, tolerance=1e-4, moves=moves)


def test_every_hookpoint_of_a_layer_is_done_in_the_models_order(tmp_path: Path):
    """What a later hookpoint does to an earlier one's value is in the weights, too."""
    model = saved_model(tmp_path / "model", "llama")
    mask = mask_at(model, HOOKPOINTS)
    for condition in ("de:0.75", "de:mean", "de:x-0.3"):
        given = tmp_path / "model", model, "llama", mask, condition
        held_against_hooks(*given, tolerance=1e-4, force=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", MIXTURES)
def test_experts_are_written_wherever_a_checkpoint_keeps_them(name: str, tmp_path: Path):
    """One by one, or all of a layer in one tensor; numbers where they have biases."""
    model = tiny_mixture(name)
    model.save_pretrained(tmp_path / "model")
    mask = mask_at(model, HOOKPOINTS[:5])
    assert any(".2" in layer for layer in mask.model.layers)
    for condition in ("de:zero", "de:x0.5", "de:0.75", "de:+mean"):
        if reason := refusal(tmp_path / "model", model, name, mask, condition):
            assert condition in ("de:0.75", "de:+mean")
            assert name != "gpt_oss"
            assert any(text in reason for text in REASONS)
