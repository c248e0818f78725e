"""A type without a row: found by what its tensors do, or refused; and left as it was."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import torch
from builders.any_type import any_model
from builders.architectures import inputs, tiny_model
from builders.held_back import HELD_BACK, LESS
from torch import nn
from torch.nn import functional
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from lsn_eval.errors import HookpointError
from lsn_eval.models import structure
from lsn_eval.models.families import FAMILIES, Family
from lsn_eval.models.hookpoints import ModelHookpoints
from lsn_eval.models.resolving import resolve

QUICK = {"albert", "blenderbot-small", "convbert", "cpmant", "ctrl", "lfm3", "moshi", "t5gemma2"}


def unknown(model: nn.Module) -> nn.Module:
    model.config.model_type = "of-mine"
    return model


def sites(found: ModelHookpoints) -> set[tuple]:
    return {
        (at, site.module_name, site.side, None if site.columns is None else tuple(site.columns))
        for at, by_layer in found.sites.items()
        for site in by_layer.values()
    }


def by_row(model: nn.Module, row: Family, monkeypatch: pytest.MonkeyPatch) -> ModelHookpoints:
    with monkeypatch.context() as patched:
        patched.setitem(FAMILIES, model.config.model_type, row)
        return resolve(model)


@pytest.mark.parametrize(
    "name", [pytest.param(of, marks=() if of in QUICK else pytest.mark.slow) for of in HELD_BACK]
)
def test_types_that_were_held_back_are_as_written_by_hand_or_refused(name, monkeypatch):
    model, row = unknown(any_model(name)), HELD_BACK[name]
    if isinstance(row, str) or "refuses" in LESS.get(name, ""):
        with pytest.raises(HookpointError, match="gives none: "):
            resolve(model)
        return
    written, found = sites(by_row(model, row, monkeypatch)), sites(resolve(model))
    if name in LESS:
        written = {site for site in written if site[0].startswith("mlp.")}
    assert found == written


@pytest.mark.parametrize("name", ["bart", "falcon_h1", "gpt2", "phi3", "qwen3_5_text", "t5:gated"])
def test_types_with_a_row_are_found_as_in_it(name, monkeypatch):
    """Two stacks and cross-attention, scaled gates, fused layers, layers without attention."""
    model = unknown(tiny_model(name))
    row = FAMILIES[name.partition(":")[0]]
    assert sites(resolve(model)) == sites(by_row(model, row, monkeypatch))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_and_attention_functions(dtype):
    model = unknown(tiny_model("llama", dtype, attention="sdpa"))
    assert {"mlp.gate", "attn.q", "attn.o"} < set(resolve(model).sites)


@pytest.mark.slow
def test_an_adapter_is_part_of_the_linear_layer_that_it_adapts(monkeypatch):
    peft = pytest.importorskip("peft", reason="peft is an optional dependency")
    chosen = peft.LoraConfig(target_modules=["down_proj", "gate_proj", "q_proj"])
    model = peft.get_peft_model(unknown(tiny_model("llama")), chosen)
    found = resolve(model)
    assert {"mlp.gate", "attn.q"} < set(found.sites)
    with monkeypatch.context() as patched:
        patched.setitem(FAMILIES, "of-mine", FAMILIES["llama"])
        assert sites(found) == sites(resolve(model))


# What is refused ------------------------------------------------------------------------------


def mlp_forward(forward: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> nn.Module:
    """A LLaMA whose MLPs compute something else."""
    model = tiny_model("llama")
    for layer in model.model.layers:
        layer.mlp.forward = forward.__get__(layer.mlp)
    return model


def with_in_mlps(make: Callable[[], nn.Module | nn.Parameter]) -> nn.Module:
    model = tiny_model("llama")
    for layer in model.model.layers:
        layer.mlp.more = make()
    return model


class Softmax(nn.Module):
    def forward(self, x):
        return x.softmax(-1)


class Counting(nn.SiLU):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


def act_is(make: Callable[[], nn.Module]) -> nn.Module:
    model = tiny_model("llama")
    for layer in model.model.layers:
        layer.mlp.act_fn = make()
    return model


def some_tokens() -> nn.Module:
    """An expert beside the MLP, that sees some tokens alone."""

    def forward(self, x):
        routed = self.more(x[:, :3]).relu() @ self.more.weight
        out = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
        return out + functional.pad(routed, (0, 0, 0, x.shape[1] - 3))

    model = mlp_forward(forward)
    for layer in model.model.layers:
        layer.mlp.more = nn.Linear(32, 20)
    return model


class Feeding(nn.Module):
    """An MLP whose activation is a function, `times` over."""

    def __init__(self, width: int, times: int = 1):
        super().__init__()
        self.up = nn.ModuleList([nn.Linear(32, width) for _ in range(times)])
        self.down = nn.ModuleList([nn.Linear(width, 32) for _ in range(times)])

    def forward(self, x):
        each = zip(self.up, self.down, strict=True)
        return sum(down(functional.gelu(up(x))) for up, down in each)


def beside_mlps(make: Callable[[], nn.Module]) -> nn.Module:
    """A LLaMA whose MLPs have another one beside them."""

    def forward(self, x):
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x)) + self.more(x)

    model = mlp_forward(forward)
    for layer in model.model.layers:
        layer.mlp.more = make()
    return model


def down_in_two() -> nn.Module:
    model = tiny_model("llama")
    for layer in model.model.layers:
        width, hidden = layer.mlp.down_proj.in_features, layer.mlp.down_proj.out_features
        layer.mlp.down_proj = nn.Linear(width, 4)
        layer.mlp.register_forward_hook(lambda of, args, out: of.more(out))
        layer.mlp.more = nn.Linear(4, hidden)
    return model


class FusedGate(nn.Module):
    """A gated MLP, with gate and up in one linear layer and no activation module."""

    def __init__(self):
        super().__init__()
        self.both, self.down = nn.Linear(32, 48), nn.Linear(24, 32)

    def forward(self, x):
        return self.down(functional.glu(self.both(x)))


class SoftMixture(nn.Module):
    """Experts that see every token, with an activation module each."""

    def __init__(self):
        super().__init__()
        each = ((nn.Linear(32, 48), nn.GELU(), nn.Linear(48, 32)) for _ in range(3))
        self.experts = nn.ModuleList(nn.Sequential(*parts) for parts in each)

    def forward(self, x):
        return sum(expert(x) for expert in self.experts)


def experts_where_layers_would_be() -> nn.Module:
    model = tiny_model("llama")
    model.model.layers, model.model.norm = nn.ModuleList(), SoftMixture()
    return model


def one_layer_otherwise() -> nn.Module:
    model = tiny_model("llama")
    mlp = model.model.layers[1].mlp
    mlp.gate_proj, mlp.up_proj = mlp.up_proj, mlp.gate_proj
    mlp.forward = lambda x: mlp.down_proj(mlp.act_fn(mlp.up_proj(x)) * mlp.gate_proj(x))
    return model


def one_layer_without() -> nn.Module:
    model = tiny_model("llama")
    mlp = model.model.layers[1].mlp
    mlp.forward = lambda x: mlp.down_proj(mlp.gate_proj(x) * mlp.up_proj(x))
    return model


REFUSED = {
    "shared experts": (lambda: any_model("qwen2_moe"), r"experts.* is a weight of no linear layer"),
    "experts alone": (lambda: any_model("mixtral"), "in none of its layers"),
    "flat expert tensors": (
        lambda: with_in_mlps(lambda: nn.Parameter(torch.zeros(96, 32))),
        r"mlp\.more \[96, 32\] is a weight of no linear layer",
    ),
    "an expert that did not run": (
        lambda: with_in_mlps(lambda: nn.ModuleList([nn.Linear(32, 48)])),
        r"mlp\.more\.0 did not run: is it one of many experts",
    ),
    "some tokens": (some_tokens, r"mlp\.more was given 6 tokens and mlp\.down_proj 14"),
    "one module for all layers": (lambda: any_model("albert"), "is called 2 times in one pass"),
    "several MLPs": (
        lambda: any_model("mobilebert"),
        r"has 4 MLPs; one was expected: ffn\.0\..*; ffn",
    ),
    "another MLP without an activation module": (
        lambda: beside_mlps(lambda: Feeding(48)),
        r"mlp\.more\.down\.0 is given a function of each .*beside mlp\.act_fn",
    ),
    "an adapter's activation in a layer whose own is no module": (
        lambda: beside_mlps(lambda: Feeding(200)),
        "which is the MLP",
    ),
    "a gated one": (lambda: beside_mlps(FusedGate), r"mlp\.more\.down is given"),
    "dense experts beside a shared one": (lambda: beside_mlps(lambda: Feeding(8, 4)), "which is"),
    "experts where layers would be": (experts_where_layers_would_be, "take the same values"),
    "a down projection in two": (down_in_two, "made of several linear layers"),
    "no MLP": (lambda: any_model("falcon_mamba"), "in none of its layers"),
    "an activation that is called twice": (
        lambda: mlp_forward(
            lambda self, x: (
                self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x)) + self.act_fn(x)
            )
        ),
        "mlp.act_fn is called 2 times in one pass",
    ),
    "something more is multiplied": (
        lambda: mlp_forward(
            lambda self, x: self.down_proj(
                self.act_fn(self.gate_proj(x)) * self.up_proj(x) * self.up_proj(x).sigmoid()
            )
        ),
        "in none of its layers",
    ),
    "the module's output is not what is used": (
        lambda: mlp_forward(
            lambda self, x: (
                self.act_fn(self.gate_proj(x)),
                self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x)),
            )[1]
        ),
        "gate_proj is called 2 times",
    ),
    "a write that does not arrive": (
        lambda: mlp_forward(
            lambda self, x: (
                gate := self.gate_proj(x),
                self.act_fn(gate),
                self.down_proj(functional.silu(gate) * self.up_proj(x)),
            )[2]
        ),
        r"what is written to model\.layers\.0\.mlp\.act_fn does not arrive at mlp\.down_proj",
    ),
    "an activation over neurons": (lambda: act_is(Softmax), "in none of its layers"),
    "a straight line": (lambda: act_is(nn.Identity), "in none of its layers"),
    "layers that differ": (one_layer_otherwise, "layers of model.layers are not alike"),
    "a layer without": (one_layer_without, r"model\.layers\.1 has no MLP; one was expected"),
    "a model that running changes": (
        lambda: act_is(Counting),
        "running it changes its own .*calls",
    ),
    "a model that does not run": (
        lambda: mlp_forward(lambda self, x: x + torch.zeros(3)),
        r"it does not run on tokens alone \(RuntimeError: The size of tensor",
    ),
    "a model without weights": (lambda: tiny_model("llama").to("meta"), "weights are not loaded"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_be_something_else_is_refused(case):
    make, said = REFUSED[case]
    with pytest.raises(HookpointError, match=said):
        resolve(unknown(make()))


def test_a_gate_of_something_else_is_no_other_mlp():
    """Gemma 4 multiplies a gate with an embedding of its own."""
    assert "mlp.act" in resolve(unknown(any_model("gemma4_text"))).sites


def test_a_constant_probe_proves_nothing(monkeypatch):
    same = {"input_ids": torch.full((2, 7), 9)}
    monkeypatch.setattr(structure, "random_tokens", lambda model: same)
    with pytest.raises(HookpointError, match="in none of its layers"):
        resolve(unknown(tiny_model("llama")))


class Kept(nn.Module):
    """A linear layer whose output can be had again."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        self.put_out = self.linear(x)
        return self.put_out


class Twice(Kept):
    def forward(self, x):
        return super().forward(super().forward(x) * 0 + x)


class Again(nn.Module):
    def __init__(self, kept: Kept):
        super().__init__()
        self.put_out = lambda: kept.put_out

    def forward(self, x):
        return self.put_out()


def test_attention_that_is_in_doubt_is_left_out():
    """Keys and values are one output of one linear layer; one runs twice; no function is called."""
    once, twice = unknown(tiny_model("llama")), unknown(tiny_model("llama"))
    for layer in once.model.layers:
        layer.self_attn.k_proj = Kept(layer.self_attn.k_proj)
        layer.self_attn.v_proj = Again(layer.self_attn.k_proj)
    for layer in twice.model.layers:
        layer.self_attn.q_proj = Twice(layer.self_attn.q_proj)
    for model in (once, twice, unknown(tiny_model("gptj"))):
        assert {"mlp.act"} == set(resolve(model).sites) & {"mlp.act", "attn.q", "attn.k"}


# The model afterwards -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bart", "esm"])
def test_the_model_is_as_it_was_also_after_a_refusal(name):
    model = unknown(tiny_model("bart") if name == "bart" else any_model(name))
    modules = list(model.modules())
    for number, module in enumerate(modules):
        module.training = number % 2 == 0
    before = {key: of.clone() for key, of in model.state_dict().items()}
    modes, state = [module.training for module in modules], torch.random.get_rng_state()
    try:
        resolve(model)
    except HookpointError:
        assert name == "esm"
    assert [module.training for module in modules] == modes
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(of, before[key]) for key, of in model.state_dict().items())
    assert all(of.grad is None and of.requires_grad for of in model.parameters())
    hooks = ("_forward_hooks", "_forward_pre_hooks")
    assert not any(getattr(module, of) for module in modules for of in hooks)
    assert "get_interface" not in vars(ALL_ATTENTION_FUNCTIONS)


def test_a_model_is_looked_at_once_and_that_is_said_once(monkeypatch):
    said: list[logging.LogRecord] = []
    monkeypatch.setattr(logging.getLogger("lsn_eval.models.resolving"), "handle", said.append)
    model = unknown(tiny_model("gptj"))
    first = resolve(model)
    monkeypatch.setattr(structure, "family_of", None)
    assert sites(resolve(model)) == sites(first)
    (record,) = said
    assert "'of-mine' has no row" in record.getMessage()
    assert "attention of the decoder is left out" in record.getMessage()
    assert "resolved:structure" in record.getMessage()
    with torch.no_grad():
        model(**inputs("gptj"))
