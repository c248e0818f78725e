"""What `intervene` does to a model, against forward passes written by hand."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from copy import deepcopy

import numpy as np
import pytest
import torch
from builders.architectures import VOCABULARY, WIDTH, tiny_model
from builders.masks import hooks_of, tiny_mask
from torch import nn
from torch.nn import functional

from lsn_eval import NeuronMask, intervene
from lsn_eval.errors import HookpointError, InterventionError, LsnError, MaskError
from lsn_eval.interventions.hooks import SAMPLE
from lsn_eval.models.layout import ModelLayout

TOKENS = torch.randint(0, 256, (3, 9), generator=torch.Generator().manual_seed(3))


def hidden_states(model: nn.Module, tokens: torch.Tensor = TOKENS) -> list[torch.Tensor]:
    with torch.no_grad():
        output = model(input_ids=tokens, output_hidden_states=True)
    return [*output.hidden_states, output.logits]


def assert_same(got: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    assert len(got) == len(expected)
    for left, right in zip(got, expected, strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("fails", [False, True])
def test_afterwards_the_model_is_bit_for_bit_as_before(family, fails):
    model = tiny_model(family)
    before, hooks = hidden_states(model), hooks_of(model)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    with (
        pytest.raises(ZeroDivisionError) if fails else nullcontext(),
        intervene(model, tiny_mask(model), "de:zero/random1-fr:+mean"),
    ):
        assert not torch.equal(hidden_states(model)[-1], before[-1])
        if fails:
            raise ZeroDivisionError
    assert hooks_of(model) == hooks
    assert_same(hidden_states(model), before)
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name])


def test_none_and_an_empty_mask_change_nothing(family, caplog):
    model = tiny_model(family)
    before = hidden_states(model)
    empty = NeuronMask({"de": {}}, model=tiny_mask(model).model)
    for mask, condition in ((tiny_mask(model), "none"), (tiny_mask(model), None), (empty, "de:1")):
        with intervene(model, mask, condition) as report:
            assert_same(hidden_states(model), before)
        assert report.overwritten == 0
    assert "de has no neurons in this mask" in caplog.text
    assert report.to_json()["empty"] == ["de"]


class Keeps(nn.Module):
    """SiLU, whose output is held by `keep(output)`, whatever that returns of it."""

    def __init__(self, keep) -> None:
        super().__init__()
        self.keep, self.kept, self.made, self.copies = keep, [], [], []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output = functional.silu(x)
        self.kept.append(self.keep(output))
        self.made.append(output.data_ptr())
        self.copies.append(output.clone())
        return output


@pytest.mark.parametrize(
    "keep", [lambda x: x, lambda x: x[:1], lambda x: x.numpy(), lambda x: x.untyped_storage()]
)
@pytest.mark.parametrize("condition", ["de:9", "de:x0.5", "de:+1"])
def test_a_tensor_that_somebody_holds_is_never_written_in_place(condition, keep):
    model = tiny_model("llama")
    act = model.model.layers[0].mlp.act_fn = Keeps(keep)
    with intervene(model, tiny_mask(model), condition):
        hidden_states(model)
        hidden_states(model)
    for kept, copy in zip(act.kept, act.copies, strict=True):
        if isinstance(kept, torch.UntypedStorage):
            assert list(kept) == list(copy.untyped_storage())
        else:
            assert torch.equal(torch.as_tensor(kept), copy[: len(kept)])


def test_a_tensor_that_a_hook_saw_is_never_written_in_place():
    model = tiny_model("llama")
    seen = []
    act = model.model.layers[0].mlp.act_fn
    act.register_forward_hook(lambda module, args, output: seen.append((output, output.clone())))
    with intervene(model, tiny_mask(model), "de:9"):
        hidden_states(model)
    for kept, copy in seen:
        assert torch.equal(kept, copy)


@pytest.mark.parametrize("module", [nn.Identity(), nn.ReLU(inplace=True), nn.Flatten(0, 0)])
def test_what_a_module_does_not_make_is_never_written_in_place(module):
    """Its input, which the layer before may hold."""
    model = tiny_model("llama")
    mlp = model.model.layers[0].mlp
    mlp.act_fn = module
    seen = []
    mlp.gate_proj.register_forward_hook(lambda module, args, output: seen.append(output))
    with intervene(model, tiny_mask(model), "de:9"):
        hidden_states(model)
    assert not (seen[0] == 9).any()


class OutsideMemory(nn.Module):
    """An activation whose output is an array of NumPy's."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.array = values.detach().sigmoid().numpy().copy()
        return torch.from_numpy(self.array)


def test_memory_that_pytorch_did_not_make_is_never_written_in_place():
    model = tiny_model("llama")
    act = model.model.layers[0].mlp.act_fn = OutsideMemory()
    with intervene(model, tiny_mask(model), "de:9") as report:
        hidden_states(model)
    assert report.changed
    assert not (act.array == 9).any()


def test_a_fresh_tensor_is_written_in_place():
    model = tiny_model("llama")
    act = model.model.layers[0].mlp.act_fn = Keeps(lambda output: None)
    given = []
    with intervene(model, tiny_mask(model), "de:9"):
        act.register_forward_hook(lambda module, args, output: given.append(output.data_ptr()))
        hidden_states(model)
        model(input_ids=TOKENS)  # with gradients
    assert given[0] == act.made[0]
    assert given[1] != act.made[1]


def test_interventions_at_one_module_end_in_any_order():
    model = tiny_model("llama")
    before, hooks = hidden_states(model), hooks_of(model)
    layout = ModelLayout.numbered(2, {"mlp.act": WIDTH}, type="llama")
    neurons = {"de": {"mlp.act": {"0": [3]}}, "fr": {"mlp.act": {"0": [4]}}}
    mask = NeuronMask(neurons, model=layout)
    with intervene(model, mask, "de:1/fr:2"):
        both = hidden_states(model)
    with intervene(model, mask, "fr:2"):
        second = hidden_states(model)
    first = intervene(model, mask, "de:1")
    first.__enter__()
    with intervene(model, mask, "fr:2"):
        assert_same(hidden_states(model), both)
        first.__exit__(None, None, None)
        assert_same(hidden_states(model), second)
    assert hooks_of(model) == hooks
    assert_same(hidden_states(model), before)


def test_gradients_flow_through_an_intervention():
    model = tiny_model("llama")
    with intervene(model, tiny_mask(model), "de:x0.5"):
        model(input_ids=TOKENS).logits.sum().backward()
    assert model.model.layers[0].mlp.gate_proj.weight.grad.abs().sum() > 0


def test_report_counts_calls_overwritten_and_changed_values():
    model = tiny_model("llama")
    mask = tiny_mask(model)
    with intervene(model, mask, "vi:zero/de:zero") as report:
        hidden_states(model)
        hidden_states(model, TOKENS[:1, :4])
    positions = TOKENS.numel() + 4
    shared = np.intersect1d(mask.indices("vi", "mlp.act", 1), mask.indices("de", "mlp.act", 1)).size
    assert report.calls == 4
    assert report.neurons == 12 - shared
    assert report.overwritten == (12 - shared) * positions
    assert report.changed == report.overwritten
    assert report.to_json()["hookpoints"]["mlp.act"] == {
        "neurons": 12 - shared,
        "calls": 4,
        "values_overwritten": (12 - shared) * positions,
        "values_compared": (12 - shared) * positions,
        "values_changed": (12 - shared) * positions,
    }


def test_a_sample_of_like_passes_is_compared_and_every_value_counted():
    model = tiny_model("llama")
    with intervene(model, tiny_mask(model), "de:zero") as report:
        for _ in range(2 * SAMPLE):
            hidden_states(model, TOKENS[:1, :2])
    for site in report.sites:
        assert site.calls == 2 * SAMPLE
        assert site.overwritten == 2 * SAMPLE * 2 * site.neurons
        assert site.compared == site.changed == 3 * 2 * site.neurons  # the first and two


def test_where_terms_overlap_the_later_one_wins_and_the_overlap_is_counted():
    model = tiny_model("llama")
    mask = tiny_mask(model)
    seen = []
    with intervene(model, mask, "de:1/fr:2") as report:
        act = model.model.layers[0].mlp.act_fn
        handle = act.register_forward_hook(lambda module, args, output: seen.append(output))
        hidden_states(model)
        handle.remove()
    de, fr = mask.indices("de", "mlp.act", 0), mask.indices("fr", "mlp.act", 0)
    assert (seen[0][..., fr] == 2).all()
    assert (seen[0][..., np.setdiff1d(de, fr)] == 1).all()
    shared = sum(
        np.intersect1d(mask.indices("de", "mlp.act", n), mask.indices("fr", "mlp.act", n)).size
        for n in range(2)
    )
    assert shared >= 4
    assert report.overlaps == {"de/fr": shared}


def test_a_model_that_does_not_run_is_an_error_that_names_the_hookpoint():
    model = tiny_model("llama")
    with (
        pytest.raises(InterventionError, match=r"mlp\.act of layer 0 .* never fired"),
        intervene(model, tiny_mask(model), "de:zero"),
    ):
        pass


@pytest.mark.parametrize("where", ["self_attn.q_proj", "mlp.up_proj", "mlp.down_proj"])
def test_a_pass_that_raised_may_be_tried_again(where):
    """As a smaller batch is, where memory ran out."""
    model = tiny_model("llama")
    failing = iter([True, False, True])

    def fail(module: nn.Module, args: tuple) -> None:
        if next(failing, False):
            raise MemoryError

    mask = tiny_mask(model)
    with intervene(model, mask, "de:zero"):
        expected = hidden_states(model)
    handle = model.model.layers[1].get_submodule(where).register_forward_pre_hook(fail)
    with intervene(model, mask, "de:zero") as report:
        for tokens in (TOKENS, TOKENS, TOKENS[:, :5]):
            try:
                got = hidden_states(model, tokens)
            except MemoryError:
                continue
            assert_same(got, expected)
        assert_same(hidden_states(model), expected)
    handle.remove()
    assert report.changed


def test_a_model_is_not_copied_while_hooks_are_on_it():
    model = tiny_model("llama")
    before = hidden_states(model)
    with (
        pytest.raises(InterventionError, match="Copy it before"),
        intervene(model, tiny_mask(model), "de:zero"),
    ):
        model(TOKENS)
        deepcopy(model)
    assert_same(hidden_states(deepcopy(model)), before)


def test_layers_that_run_twice_for_gradients_are_refused_by_name():
    model = tiny_model("llama").train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    with (
        pytest.raises(InterventionError, match="gradient_checkpointing_disable"),
        intervene(model, tiny_mask(model), "de:zero"),
    ):
        pass
    with intervene(model.eval(), tiny_mask(model), "de:zero") as report:
        model(TOKENS)
    assert report.changed


def test_running_over_no_token_at_all_is_an_error():
    model = tiny_model("llama")
    with (
        pytest.raises(InterventionError, match="wrote nothing"),
        intervene(model, tiny_mask(model), "de:zero"),
    ):
        for layer in model.model.layers:
            layer.mlp(torch.zeros(1, 0, 32))


def functional_silu(mlp, x):
    return mlp.down_proj(functional.silu(mlp.gate_proj(x)) * mlp.up_proj(x))


def ignored_module(mlp, x):
    mlp.act_fn(mlp.gate_proj(x))
    return functional_silu(mlp, x)


def fully_fused(mlp, x):
    hidden = functional.silu(functional.linear(x, mlp.gate_proj.weight))
    hidden = hidden * functional.linear(x, mlp.up_proj.weight)
    return functional.linear(hidden, mlp.down_proj.weight)


def ignored_and_fused(mlp, x):
    mlp.act_fn(mlp.gate_proj(x))
    return fully_fused(mlp, x)


ROUND_THE_HOOKS = [
    (functional_silu, r"down_proj ran and .*act_fn did not"),
    (ignored_module, r"does not arrive at model\.layers\.0\.mlp\.down_proj"),
    (fully_fused, r"never fired|fired in \d of \d+ calls of its layer"),
    (ignored_and_fused, r"act_fn ran and .*down_proj did not"),
]
FOR = {
    "every shape": lambda x: True,
    "one token": lambda x: x.shape[1] == 1,
    "several rows": lambda x: x.shape[0] > 1,
    "many rows": lambda x: x.shape[0] >= 8,
}


def go_round(model: nn.Module, forward, when) -> None:
    """Let the MLPs of a Llama take another path where `when` holds for their input."""
    for layer in model.model.layers:
        usual, other = layer.mlp.forward, forward.__get__(layer.mlp)
        layer.mlp.forward = lambda x, usual=usual, other=other: (other if when(x) else usual)(x)


@pytest.mark.parametrize("when", FOR)
@pytest.mark.parametrize(("forward", "message"), ROUND_THE_HOOKS)
@pytest.mark.parametrize("condition", ["de:zero", "de:mean", "de:+0.5"])
def test_an_mlp_that_goes_round_its_activation_module_is_refused(forward, message, condition, when):
    model = tiny_model("llama")
    go_round(model, forward, FOR[when])
    hidden_states(model)  # transformers leaves hooks of its own the first time
    hooks = hooks_of(model)
    with (
        pytest.raises(InterventionError, match=message),
        intervene(model, tiny_mask(model), condition),
    ):
        if when == "every shape":
            hidden_states(model)
        for rows in (1, 2, 8):
            options = {"max_new_tokens": 3, "do_sample": False, "pad_token_id": VOCABULARY - 1}
            model.generate(TOKENS[:1].repeat(rows, 1), **options)
    assert hooks_of(model) == hooks


@pytest.mark.parametrize("forward", [functional_silu, ignored_module, fully_fused])
def test_a_layer_that_goes_round_the_hooks_after_many_passes_is_refused(forward):
    model = tiny_model("llama")
    with (
        pytest.raises(InterventionError, match=r"does not arrive|fired in \d+ of \d+|ran and"),
        intervene(model, tiny_mask(model), "de:zero"),
    ):
        for number in range(SAMPLE + 1):
            if number == SAMPLE // 2:
                go_round(model, forward, FOR["every shape"])
            hidden_states(model, TOKENS[:1, :2])


def test_a_layer_that_runs_past_another_hookpoint_now_and_then_is_refused():
    model = tiny_model("llama")
    attention = model.model.layers[1].self_attn
    projected = attention.q_proj
    fused = nn.Module()
    fused.forward = lambda x: functional.linear(x, projected.weight)
    with (
        pytest.raises(InterventionError, match=r"attn\.q of layer 1 .* fired in 1 of 2 calls"),
        intervene(model, tiny_mask(model, "attn.q"), "de:zero"),
    ):
        hidden_states(model)
        attention.q_proj = fused
        hidden_states(model)


def test_a_module_that_runs_more_than_once_in_a_layer_is_refused():
    """DeBERTa projects its relative positions with the query's and the key's own weights."""
    model = tiny_model("deberta-v2:relative")
    mask = tiny_mask(model, "attn.q")
    with (
        pytest.raises(InterventionError, match=r"attn\.q of layer 0 .* fired 2 times in 1 calls"),
        intervene(model, mask, "de:zero"),
    ):
        hidden_states(model)


def test_writes_at_the_activation_and_beside_it_are_both_proved():
    """The witness multiplies by what `mlp.up` is after it was written."""
    model = tiny_model("llama")
    neurons = {at: {"0": [3, 4]} for at in ("mlp.act", "mlp.up", "mlp.gate")}
    layout = ModelLayout.numbered(2, dict.fromkeys(neurons, WIDTH), type="llama")
    with intervene(model, NeuronMask({"de": neurons}, model=layout), "de:3") as report:
        hidden_states(model)
    assert report.calls == 3


def test_a_mask_of_another_model_is_said_and_recorded(caplog):
    model = tiny_model("llama")
    model.config._name_or_path = "somebody/other"
    made_for = ModelLayout.numbered(2, {"mlp.act": WIDTH}, name="somebody/tiny")
    mask = NeuronMask({"de": {"mlp.act": {"0": [3]}}}, model=made_for)
    with intervene(model, mask, "de:zero") as report:
        hidden_states(model)
    (doubt,) = report.to_json()["doubts"]
    assert "made with somebody/tiny, and the loaded model is somebody/other" in doubt
    assert doubt in caplog.text


HALF = torch.float16


@pytest.mark.parametrize(
    ("condition", "dtype", "message"),
    [
        ("de:70000", HALF, "70000 was to be written to mlp.act of layer 0 .* float16 is 65504"),
        ("fr:1/de:-66000", HALF, "-66000 was to be written"),
        ("de:p90", HALF, "100000 was to be written"),
        ("de:3.4e38", torch.bfloat16, "of bfloat16 is 3.38953e"),
        ("de:1e39", torch.float32, "'1e39' in 'de:1e39' is beyond 3.40282e"),
        ("de:x-1e39", torch.float64, "beyond 3.40282e"),
    ],
)
def test_a_value_beyond_the_precision_is_refused_before_anything_runs(condition, dtype, message):
    model = tiny_model("llama", dtype)
    mask = tiny_mask(model)
    at = {"mlp.act": {place[1]: {"p90": np.full(5, 1e5)} for place in mask.places("de")}}
    mask = mask.with_values({"de": at})
    with pytest.raises(LsnError, match=message), intervene(model, mask, condition):
        pytest.fail("the block must not be entered")


@pytest.mark.parametrize("condition", ["de:x1e38", "de:+65000/fr:x0.5"])
def test_what_scaling_and_adding_turn_into_infinity_is_an_error(condition):
    model = tiny_model("llama", HALF)
    model.model.layers[0].mlp.act_fn.register_forward_hook(lambda m, a, output: output + 1000)
    with (
        pytest.raises(InterventionError, match=r"made \d+ finite values of mlp.act of layer 0 "),
        intervene(model, tiny_mask(model), condition) as report,
    ):
        hidden_states(model)
    assert report.changed
    with intervene(model, tiny_mask(model), "de:x2/fr:+1"):
        hidden_states(model)


def test_a_value_beyond_the_precision_of_another_tensor_than_the_weights_is_refused():
    """Under autocast, say."""
    model = tiny_model("llama")
    model.model.layers[0].mlp.gate_proj.register_forward_hook(lambda m, a, output: output.half())
    with (
        pytest.raises(InterventionError, match="70000 .* float16"),
        intervene(model, tiny_mask(model), "de:70000"),
    ):
        hidden_states(model)


def test_dead_neurons_are_warned_about_and_recorded(caplog):
    model = tiny_model("gpt2")
    for layer in model.transformer.h:
        layer.mlp.act = nn.ReLU()
        with torch.no_grad():
            layer.mlp.c_fc.bias[:4] = -100.0
    mask = NeuronMask(
        {"de": {"mlp.act": {"0": [1, 2], "1": [0, 9]}}},
        model=ModelLayout.numbered(2, {"mlp.act": WIDTH}, type="gpt2"),
    )
    with caplog.at_level(logging.WARNING), intervene(model, mask) as report:
        for _ in range(5):
            hidden_states(model)
    assert [site.layer for site in report.unchanged_sites] == ["0"]
    assert [site.compared == site.overwritten for site in report.sites] == [True, False]
    assert report.to_json()["unchanged"] == ["mlp.act/0"]
    assert "with the values that were there" in caplog.text
    assert 0 < report.changed < report.compared


@pytest.mark.parametrize(
    ("mask_model", "message"),
    [
        (ModelLayout.numbered(2, {"mlp.act": WIDTH}, type="bloom"), "bloom model .* is a llama"),
        (ModelLayout.numbered(3, {"mlp.act": WIDTH}), "3 layers, and the loaded model has 2"),
        (ModelLayout.numbered(2, {"mlp.act": 64}), "64 neurons .* the loaded model has 48"),
    ],
)
def test_a_mask_of_another_model_is_refused_before_anything_runs(mask_model, message):
    mask = NeuronMask({"de": {"mlp.act": {"1": [3]}}}, model=mask_model)
    model = tiny_model("llama")
    with pytest.raises(MaskError, match=message), intervene(model, mask, "de:zero"):
        pytest.fail("the block must not be entered")


def test_a_hookpoint_that_the_model_does_not_have_and_other_models_are_refused():
    mask = NeuronMask(
        {"de": {"mlp.gate": {"1": [3]}}}, model=ModelLayout.numbered(2, {"mlp.gate": WIDTH})
    )
    with pytest.raises(LsnError, match=r"mlp\.gate, which this gpt2 model"):
        intervene(tiny_model("gpt2"), mask, "de:zero").__enter__()
    with pytest.raises(HookpointError):
        intervene(nn.Linear(2, 2), mask, "de:zero").__enter__()


def test_without_a_condition_a_mask_of_one_language_means_zero():
    model = tiny_model("llama")
    one = tiny_mask(model).select(["de"])
    with intervene(model, one) as report:
        hidden_states(model)
    assert report.condition == "de:zero"
    with pytest.raises(LsnError, match="several languages"):
        intervene(model, tiny_mask(model)).__enter__()


def test_generation_runs_under_the_condition():
    model = tiny_model("llama")
    mask = tiny_mask(model)
    kwargs = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": VOCABULARY - 1}
    plain = model.generate(TOKENS, **kwargs)
    with intervene(model, mask, "de:4/fr:-4") as report:
        steered = model.generate(TOKENS, **kwargs)
    assert not torch.equal(plain, steered)
    assert torch.equal(model.generate(TOKENS, **kwargs), plain)
    assert report.calls == 2 * 12


def test_a_report_shows_every_site():
    model = tiny_model("llama")
    with intervene(model, tiny_mask(model), "de:4") as report:
        hidden_states(model)
    title, *lines = repr(report).splitlines()
    assert (
        title == f"<InterventionReport de:4: {report.overwritten} values, {report.changed} changed>"
    )
    assert [line.split()[:3] for line in lines[1:]] == [
        ["mlp.act", "0", "5"],
        ["mlp.act", "1", "5"],
    ]
    assert "<table>" in report._repr_html_()
