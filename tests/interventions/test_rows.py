"""Interventions in every supported type, against modules whose `forward` is written by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import transformers
from builders.architectures import ARCHITECTURES, EVERY, LAYOUTS, QUICK, inputs, tiny_model
from builders.masks import hooks_of, mask_at
from builders.reference import REFERENCE, needs_reference
from torch import nn

from lsn_eval import NeuronMask, intervene
from lsn_eval.errors import InterventionError
from lsn_eval.masks.imports import import_lists
from lsn_eval.models.hookpoints import Site
from lsn_eval.models.resolving import resolve

Edit = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
EDITS: dict[str, Edit] = {
    "de:zero": lambda old, stored: torch.zeros_like(old),
    "de:-0.75": lambda old, stored: torch.full_like(old, -0.75),
    "de:mean": lambda old, stored: stored.to(old.dtype).expand_as(old),
    "de:x0.5": lambda old, stored: old * 0.5,
    "de:+1.5": lambda old, stored: old + 1.5,
    "de:+mean": lambda old, stored: (old.float() + stored).to(old.dtype),
}
"""What each condition does to neurons [..., written], given their stored means."""


@contextmanager
def by_hand(model: nn.Module, mask: NeuronMask, edit: Edit) -> Iterator[None]:
    """The model with the `forward` of every module replaced that the mask has neurons at."""
    found, replaced = resolve(model), []

    def edited(values: torch.Tensor, site: Site) -> torch.Tensor:
        indices = mask.indices("de", site.hookpoint, site.layer)
        stored = torch.as_tensor(mask.values("de", site.hookpoint, site.layer, "mean"))
        columns = torch.as_tensor(indices if site.columns is None else site.columns[indices])
        values = values.clone()
        values[..., columns] = edit(values[..., columns], stored)
        return values

    for place in mask.places("de"):
        site = found.site(*place)
        usual = site.module.forward
        if site.side == "output":
            forward = lambda x, usual=usual, site=site: edited(usual(x), site)  # noqa: E731
        else:
            forward = lambda x, usual=usual, site=site: usual(edited(x, site))  # noqa: E731
        site.module.forward = forward
        replaced.append(site.module)
    try:
        yield
    finally:
        for module in replaced:
            module.__dict__.pop("forward", None)


def outputs(model: nn.Module, name: str) -> list[torch.Tensor]:
    """Hidden states after every layer of every stack, and the scores."""
    with torch.no_grad():
        result = model(**inputs(name), output_hidden_states=True)
    states = [state for key, states in result.items() if "hidden_states" in key for state in states]
    return [*states, result.logits]


def same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return len(left) == len(right) and all(map(torch.equal, left, right))


@pytest.mark.parametrize(
    ("dtype", "attention", "name"),
    [(torch.float32, "eager", name) for name in sorted(LAYOUTS)]
    + [(torch.bfloat16, "sdpa", *each.values) for each in EVERY],
)
@pytest.mark.slow
def test_every_write_equals_a_forward_written_by_hand(name, dtype, attention):
    """In every way on every layout; everywhere at once, and in one way, on every type."""
    try:
        model = tiny_model(name, dtype, attention)
    except ValueError as error:
        assert "does not support" in str(error)  # noqa: PT017
        model = tiny_model(name, dtype, "eager")
    plain = outputs(model, name)
    hooks = hooks_of(model)  # transformers leaves hooks of its own the first time
    everywhere = list(resolve(model).sites)
    cases = [(everywhere, "de:mean")]
    if dtype == torch.float32 or name in QUICK:
        cases = [(everywhere, condition) for condition in EDITS]
        cases += [([alone], "de:mean") for alone in everywhere]
    for hookpoints, condition in cases:
        mask = mask_at(model, hookpoints)
        with intervene(model, mask, condition) as report:
            got = outputs(model, name)
        assert report.calls == len(mask.places("de"))
        with by_hand(model, mask, EDITS[condition]):
            assert same(got, outputs(model, name)), (hookpoints, condition)
        assert not same(got, plain), (hookpoints, condition)
    with intervene(model, mask, "none"):
        assert same(outputs(model, name), plain)
    assert same(outputs(model, name), plain)
    assert hooks_of(model) == hooks


@pytest.mark.parametrize("name", sorted(LAYOUTS))
@pytest.mark.slow
def test_zero_equals_edited_weights(name):
    """A neuron without its column of the down projection, an output without its row."""
    model = tiny_model(name)
    found = resolve(model)
    for hookpoint in ("mlp.act", "mlp.down_in", "mlp.up", "attn.v", "attn.o", "cross.v"):
        if hookpoint not in found.sites:
            continue
        mask = mask_at(model, [hookpoint])
        with intervene(model, mask, "de:zero"):
            got = outputs(model, name)[-1]
        edited = tiny_model(name)
        for place in mask.places("de"):
            site, indices = found.site(*place), torch.as_tensor(mask.indices("de", *place)).long()
            if hookpoint in ("mlp.act", "mlp.down_in"):
                site = found.site("mlp.down_in", place[1])
            elif site.columns is not None:
                indices = torch.as_tensor(site.columns)[indices]
            module = edited.get_submodule(site.module_name)
            with torch.no_grad():
                by_output = module.weight.T if type(module).__name__ == "Conv1D" else module.weight
                if site.side == "input":
                    by_output[:, indices] = 0
                else:
                    by_output[indices] = 0
                    if getattr(module, "bias", None) is not None:
                        module.bias[indices] = 0
        torch.testing.assert_close(got, outputs(edited, name)[-1], rtol=1e-4, atol=1e-5)


DECODERS = [name for name in sorted(LAYOUTS) if ARCHITECTURES[name].kind != "encoder"]


def generated(model: nn.Module, name: str, prompts: list[list[int]], **options: Any) -> list:
    """Greedy answers [prompt][token]; shorter prompts are padded on the left, of an encoder on the
    right."""
    side = "right" if ARCHITECTURES[name].kind == "encoder-decoder" else "left"
    rows, pad = (
        [torch.tensor(prompt) for prompt in prompts],
        model.config.get_text_config().pad_token_id,
    )
    ids = nn.utils.rnn.pad_sequence(rows, True, pad, side)
    mask = nn.utils.rnn.pad_sequence(list(map(torch.ones_like, rows)), True, 0, side)
    model.generation_config.eos_token_id = None
    options |= {"max_new_tokens": 5, "do_sample": False, "pad_token_id": pad}
    return model.generate(ids, attention_mask=mask, **options)[:, -5:].tolist()


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.slow
def test_generation_is_the_same_by_hand_without_cache_padded_and_in_batches(name):
    model = tiny_model(name)
    prompts = [
        row[: 3 + number % 5].tolist() for number, row in enumerate(inputs(name, 8)["input_ids"])
    ]
    encoder = "encoder" if ARCHITECTURES[name].kind == "encoder-decoder" else ""
    plain = generated(model, name, prompts)
    seen = [plain]
    for stack in ["", "encoder", "decoder"] if encoder else [""]:
        mask = mask_at(model, ["mlp.act", "attn.q", "cross.v"], stack)
        with intervene(model, mask, "de:+2"):
            together = generated(model, name, prompts)
            assert generated(model, name, prompts, use_cache=False) == together
            for number in (0, 4):  # the shortest and the longest
                assert generated(model, name, [prompts[number]])[0] == together[number]
        with by_hand(model, mask, lambda old, stored: old + 2):
            assert generated(model, name, prompts) == together
        assert together not in seen
        seen.append(together)
    assert generated(model, name, prompts) == plain


@pytest.mark.parametrize("name", sorted(LAYOUTS - {*DECODERS}))
def test_encoders_are_the_same_padded_and_in_batches(name):
    model, ids = tiny_model(name), inputs(name, 8)["input_ids"]
    lengths = [3 + number % 5 for number in range(8)]
    attention = torch.tensor([[1] * length + [0] * (7 - length) for length in lengths])
    ids = ids.where(attention == 1, model.config.pad_token_id)
    with torch.no_grad(), intervene(model, mask_at(model, ["mlp.act", "attn.q"]), "de:+2"):
        together = model(input_ids=ids, attention_mask=attention).logits
        for row, length, scores in zip(ids, lengths, together, strict=True):
            alone = model(input_ids=row[None, :length]).logits[0]
            torch.testing.assert_close(scores[:length], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["bart", "t5:gated"])
def test_scores_of_an_encoder_decoder_move_with_each_stack(name):
    model = tiny_model(name)
    scores = {"": outputs(model, name)[-1]}
    for stack in ("encoder", "decoder", "encoder and decoder"):
        mask = mask_at(model, ["mlp.act"], "" if "and" in stack else stack)
        with intervene(model, mask, "de:zero") as report:
            scores[stack] = outputs(model, name)[-1]
        assert {site.layer.partition(".")[0] for site in report.sites} == set(stack.split(" and "))
    values = list(scores.values())
    assert not any(torch.equal(a, b) for n, a in enumerate(values) for b in values[:n])


@needs_reference
@pytest.mark.parametrize(
    ("name", "language", "config", "narrow", "width"),
    [
        (
            "OPT-6.7B",
            "a",
            transformers.OPTConfig,
            {"ffn_dim": 16384, "word_embed_proj_dim": 8},
            16384,
        ),
        ("Phi-2-2.7B", "f", transformers.PhiConfig, {"intermediate_size": 10240}, 10240),
    ],
)
def test_released_masks_are_written_to_models_of_their_shape(name, language, config, narrow, width):
    """As many layers and neurons as the model that the mask is of, and next to no hidden size."""
    mask = import_lists(
        REFERENCE / "masks" / f"{name}.neuron.pth", languages=list("abcdef"), layers=32, width=width
    )
    torch.manual_seed(0)
    small = {
        "hidden_size": 8,
        "num_attention_heads": 2,
        "vocab_size": 50,
        "max_position_embeddings": 9,
    }
    model = transformers.AutoModelForCausalLM.from_config(
        config(
            **small, **narrow, num_hidden_layers=32, pad_token_id=0, bos_token_id=0, eos_token_id=0
        )
    ).eval()
    with torch.no_grad(), intervene(model, mask, f"{language}:0.5") as report:
        model(torch.tensor([[3, 4, 5]]))
    assert report.neurons == mask.count(language)
    assert report.changed == report.overwritten == 3 * report.neurons


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
@pytest.mark.parametrize("name", ["bart", "bert", "opt", "phi3", "t5:gated"])
def test_a_layer_that_goes_round_its_activation_module_is_refused(name, stack):
    """In either stack, with rows or without: past the module, or without what was written."""
    model = tiny_model(name)
    place = stack if ARCHITECTURES[name].kind == "encoder-decoder" else ""
    mask = mask_at(model, ["mlp.act"], place)
    site = resolve(model).site(*mask.places("de")[-1])
    path, _, attribute = site.module_name.rpartition(".")
    parent, act = model.get_submodule(path), site.module
    plain = act.forward  # as it is without an intervention
    with (
        pytest.raises(InterventionError, match="does not arrive at"),
        intervene(model, mask, "de:+1"),
    ):
        handle = act.register_forward_hook(lambda module, args, output: plain(*args))
        try:
            outputs(model, name)
        finally:
            handle.remove()
    with (
        pytest.raises(InterventionError, match=f"ran and {re.escape(site.module_name)} did not"),
        intervene(model, mask, "de:+1"),
    ):
        delattr(parent, attribute)
        setattr(parent, attribute, plain)
        outputs(model, name)
