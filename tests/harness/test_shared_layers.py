"""The layers below the first that is written run once, and every number is as without that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partialmethod
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from builders.architectures import ARCHITECTURES, EVERY, tiny_model
from builders.masks import hooks_of, tiny_mask
from builders.sweeps import sweep_settings, written
from transformers.models.llama.modeling_llama import LlamaMLP

from lsn_eval.conditions import Condition
from lsn_eval.harness import shared_layers
from lsn_eval.harness.shared_layers import SharedLayers
from lsn_eval.interventions.intervention import Intervention
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.resolving import resolve
from lsn_eval.sweeping.running import run_sweep

LATE = ("none", "vi:zero", "vi:mean", "de:zero", "vi:x2")
"""Of `tiny_mask`: Vietnamese neurons are in the last of two layers alone, German ones in both."""


class Runs:
    """A model under one condition after another, with layers that are shared or none."""

    def __init__(self, model: torch.nn.Module, kind: str = "decoder") -> None:
        self.model, self.kind, self.mask = model, kind, tiny_mask(model)
        self.lowest = next(iter(resolve(model).layers.values()))
        generator = torch.Generator().manual_seed(2)
        self.batches = [torch.randint(3, 250, (2, n), generator=generator) for n in (7, 5, 7)]

    @torch.no_grad()
    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        more = {"decoder_input_ids": tokens} if self.kind == "encoder-decoder" else {}
        return self.model(input_ids=tokens, **more).logits

    def under(self, share: bool) -> tuple[list[torch.Tensor], list[tuple[int, int]], int]:
        """Scores and counts of all conditions, and how often the lowest layer was computed."""
        shared = SharedLayers(self.model, self.mask, self.forward)
        chosen = [Condition.parse(condition) for condition in LATE]
        scores, counts, computed = [], [], []
        inner = next(self.lowest.children())
        for number, condition in enumerate(chosen, 1):
            intervention = Intervention(self.model, self.mask, condition)
            shared.turn_to(condition)
            if share:
                shared.follow(chosen[number:])
            noted = inner.register_forward_hook(lambda *of: computed.append(of[0]))
            active = intervention.active if intervention.plan.writes else nullcontext
            scores += [shared(active, batch) for batch in self.batches]
            noted.remove()
            counts += [(of.calls, of.overwritten) for of in intervention.counts()]
        return scores, counts, len(computed)

    def computed_when_shared(self) -> tuple[int, int]:
        """How often the lowest layer is computed without sharing and with; all else is equal."""
        alone, counts, often = self.under(share=False)
        scores, own_counts, seldom = self.under(share=True)
        assert all(map(torch.equal, scores, alone))
        assert own_counts == counts
        assert len({score.sum().item() for score in alone}) == len(alone), "conditions differ"
        return often, seldom


@pytest.mark.parametrize("name", EVERY)
def test_numbers_of_every_type_are_equal_bit_for_bit(name):
    kind = ARCHITECTURES[name].kind
    model = tiny_model(name)
    before = hooks_of(model)
    often, seldom = Runs(model, kind).computed_when_shared()
    assert hooks_of(model) == before
    # Once a batch, twice for the proof, and in every batch under de:zero, which writes there.
    assert seldom * 15 == often * (15 if kind == "encoder-decoder" else 3 + 2 + 3)


# Layers that are more than one after the other --------------------------------------------------


def become(layer: torch.nn.Module, forward: Callable[..., Any]) -> None:
    """Give a layer a class of its own, with another `forward`, which is given the class's first."""
    usual = type(layer)
    layer.__class__ = type("Own", (usual,), {"forward": partialmethod(forward, usual.forward)})


def leaves_something_elsewhere(lower, upper):
    def leave(self, usual, states, **kwargs):
        upper.left = states.mean()
        return usual(self, states, **kwargs)

    def read(self, usual, states, **kwargs):
        return usual(self, states + self.left, **kwargs)

    become(lower, leave)
    become(upper, read)


def runs_twice(lower, upper):
    def again(self, usual, states, **kwargs):
        return usual(self, lower(states, **kwargs), **kwargs)

    become(upper, again)


def puts_out_an_object(lower, upper):
    def wraps(self, usual, states, **kwargs):
        return SimpleNamespace(states=usual(self, states, **kwargs))

    def unwraps(self, usual, given, **kwargs):
        return usual(self, given.states, **kwargs)

    become(lower, wraps)
    become(upper, unwraps)


def writes_into_what_it_reads(lower, upper):
    def changes(self, usual, states, **kwargs):
        return usual(self, states.mul_(1.5), **kwargs)

    become(upper, changes)


def is_listened_to(lower, upper):
    lower.register_forward_hook(lambda *of: None)


class Backwards(torch.nn.ModuleList):
    """Layers that run the last one first."""

    def __getitem__(self, at):
        return list(self)[at][::-1] if isinstance(at, slice) else super().__getitem__(at)


@pytest.mark.parametrize("batches", [1, 3])
@pytest.mark.parametrize(
    ("how", "shared"),
    [
        (leaves_something_elsewhere, False),
        (runs_twice, False),
        (puts_out_an_object, False),
        (is_listened_to, False),
        (Backwards, False),
        (writes_into_what_it_reads, True),
    ],
)
def test_what_is_more_than_a_row_of_layers_is_not_shared_and_numbers_stay(how, shared, batches):
    model = tiny_model("llama")
    layers = model.model.layers
    if how is Backwards:
        layers.__class__ = Backwards
    else:
        how(*layers)
    runs = Runs(model)
    del runs.batches[batches:]
    _, seldom = runs.computed_when_shared()
    assert (seldom <= 2 * batches + 2) == shared


def test_no_more_is_kept_than_there_is_room_for(monkeypatch):
    runs = Runs(tiny_model("llama"))
    monkeypatch.setattr(shared_layers, "MOST_BYTES", 2 * 7 * 32 * 4)  # the first batch
    assert runs.computed_when_shared() == (15, 3 + 2 + 2 + 2 + 3 + 2)


def test_a_condition_that_cannot_be_run_does_not_fail_another():
    runs = Runs(tiny_model("llama"))
    shared = SharedLayers(runs.model, runs.mask, runs.forward)
    shared.follow([Condition.parse(text) for text in ("xx:zero", "de:p10", "vi:zero")])
    whole = runs.forward(runs.batches[0])
    assert torch.equal(shared(nullcontext, runs.batches[0]), whole)


@pytest.mark.parametrize("of_the_proof", [1, 2, 3])
def test_a_proof_that_memory_does_not_suffice_for_ends_no_condition(of_the_proof):
    runs = Runs(tiny_model("llama"))
    calls = iter(range(1, 100))

    def forward(tokens: torch.Tensor) -> torch.Tensor:
        if next(calls) == 1 + of_the_proof:
            raise torch.OutOfMemoryError("out of memory")
        return runs.forward(tokens)

    shared = SharedLayers(runs.model, runs.mask, forward)
    shared.follow([Condition.parse("vi:zero")])
    first, second = (shared(nullcontext, runs.batches[0]) for _ in range(2))
    assert torch.equal(first, second)


def test_a_model_that_is_trained_meanwhile_is_run_whole():
    runs = Runs(tiny_model("llama"))
    runs.model.train()
    assert runs.computed_when_shared() == (15, 15)


# A whole sweep ----------------------------------------------------------------------------------


@pytest.fixture
def late(tmp_path) -> str:
    """The shipped mask without the first two layers of four."""
    shipped = NeuronMask.load("demo/planted")
    neurons = {
        who: {"mlp.act": {at: shipped.indices(who, "mlp.act", at) for at in "23"}}
        for who in ("de", "ru")
    }
    mask = NeuronMask(neurons, model=shipped.model).with_controls(1)
    mask.save(tmp_path / "late.safetensors")
    return str(tmp_path / "late.safetensors")


@pytest.mark.parametrize("batch_size", ["3", "auto"])
@pytest.mark.slow
def test_a_sweep_of_late_neurons_gives_the_same_files(late, batch_size, tmp_path, monkeypatch):
    rows: list[int] = []
    forward = LlamaMLP.forward
    monkeypatch.setattr(LlamaMLP, "forward", lambda *of: rows.append(len(of[1])) or forward(*of))
    given = {"mask": late, "each": "zero", "controls": 1, "batch_size": batch_size, "limit": 8,
             "tasks": ("lsn_demo_ppl_de", "lsn_demo_ppl_ru"),
             "model_args": {"max_batch_size": 4}}  # fmt: skip
    files, computed = [], []
    for follow in (SharedLayers.follow, lambda *of: None):
        monkeypatch.setattr(SharedLayers, "follow", follow)
        rows.clear()
        out = tmp_path / f"out{len(files)}"
        assert not run_sweep(sweep_settings(**given), out, progress=False).failed
        files.append(written(out))
        computed.append(sum(rows))
    assert files[0] == files[1]
    assert len(files[0]) == 5
    assert len({str(samples) for _, samples in files[0].values()}) == 5
    if batch_size == "3":
        assert computed[0] < 0.75 * computed[1]
