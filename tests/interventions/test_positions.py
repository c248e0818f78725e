"""Writes at some positions alone, against a loop that computes every token again by hand."""

from __future__ import annotations

import pytest
import torch
from builders.architectures import tiny_model
from builders.masks import hooks_of, mask_at

from lsn_eval import intervene
from lsn_eval.conditions import POSITIONS
from lsn_eval.errors import InterventionError
from lsn_eval.models.resolving import resolve

PROMPTS = [[5, 17, 40, 9, 77, 30], [8, 21, 3], [60]]
NEW = 6
FAMILIES = ["llama", "gpt2", "opt", "bloom", "gemma3", "phi3"]


def by_hand(model, mask, positions, prompt):
    """Greedy tokens of one prompt: no cache, no batch, hooks that write absolute positions."""
    found, ids, handles = resolve(model), torch.tensor([prompt]), []
    start, stop = {
        "all": (0, 999), "prompt": (0, len(prompt)), "generated": (len(prompt), 999),
        "last": (len(prompt) - 1, 999),
    }[positions]  # fmt: skip
    for at, layer in mask.places("de"):
        site = found.site(at, layer)
        columns = torch.tensor(mask.indices("de", at, layer).tolist())
        if site.columns is not None:
            columns = torch.as_tensor(site.columns)[columns]
        means = torch.tensor(mask.values("de", at, layer, "mean"))

        def write(value, columns=columns, means=means):
            value = value.clone()
            rows = value.view(-1, value.shape[-1])  # one prompt: rows are positions
            rows[start : min(stop, len(rows)), columns] = means
            return value

        if site.side == "input":
            hook = lambda module, args, write=write: (write(args[0]), *args[1:])  # noqa: E731
            handles.append(site.module.register_forward_pre_hook(hook))
        else:
            hook = lambda module, args, output, write=write: write(output)  # noqa: E731
            handles.append(site.module.register_forward_hook(hook))
    with torch.no_grad():
        for _ in range(NEW):
            scores = model(ids, use_cache=False).logits[0, -1]
            ids = torch.cat([ids, scores.argmax()[None, None]], dim=1)
    for handle in handles:
        handle.remove()
    return ids[0, len(prompt) :].tolist()


def generated(model, prompts, **options):
    pad = 0
    rows = [torch.tensor(prompt) for prompt in prompts]
    ids = torch.nn.utils.rnn.pad_sequence(rows, True, pad, "left")
    seen = torch.nn.utils.rnn.pad_sequence(list(map(torch.ones_like, rows)), True, 0, "left")
    model.generation_config.eos_token_id = None
    options = {"max_new_tokens": NEW, "do_sample": False, "pad_token_id": pad, **options}
    return model.generate(ids, attention_mask=seen, **options)[:, ids.shape[1] :].tolist()


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_generation_equals_a_loop_by_hand_cached_padded_and_in_batches(family, positions):
    model = tiny_model(family)
    hookpoints = [at for at in ("mlp.act", "attn.q", "mlp.down_in") if at in resolve(model).sites]
    mask = mask_at(model, hookpoints)
    expected = [by_hand(model, mask, positions, prompt) for prompt in PROMPTS]
    plain, hooks = generated(model, PROMPTS), hooks_of(model)
    condition = f"de:mean@{positions}"
    with intervene(model, mask, condition):
        assert generated(model, PROMPTS) == expected
        assert generated(model, PROMPTS, use_cache=False) == expected
        assert [generated(model, [prompt])[0] for prompt in PROMPTS] == expected
    assert generated(model, PROMPTS) == plain
    assert hooks_of(model) == hooks
    assert "generate" not in vars(model)


def test_the_four_kinds_write_different_things_and_count_what_they_write():
    model = tiny_model("llama")
    mask = mask_at(model, ["mlp.act"])
    answers, counts = {}, {}
    for positions in POSITIONS:
        with intervene(model, mask, f"de:x-3@{positions}") as report:
            answers[positions] = generated(model, PROMPTS[:1])
        counts[positions] = report.overwritten / report.neurons
    # The last token is never run over. Six of the prompt, five that were generated.
    assert counts == {"all": 11, "prompt": 6, "generated": 5, "last": 6}
    assert len(set(map(str, answers.values()))) == 4


def test_what_has_no_positions_is_refused_with_the_reason(caplog):
    model = tiny_model("llama")
    mask = mask_at(model, ["mlp.act"])
    where = pytest.raises(InterventionError, match="does not say where its prompt ends")
    with where, intervene(model, mask, "de:zero@prompt"), torch.no_grad():
        model(torch.tensor([PROMPTS[0]]))
    assert "generate" not in vars(model)
    with intervene(model, mask, "de:zero@generated"):
        generated(model, PROMPTS, max_new_tokens=1)
    assert "wrote nothing" in caplog.text
    for name, reason in (("t5", "are in two stacks"), ("bert", "which generates none")):
        other = tiny_model(name)
        refused = pytest.raises(InterventionError, match=f"given for a {name} model, .*{reason}")
        with refused, intervene(other, mask_at(other, ["mlp.act"]), "de:zero@last"):
            pass
    back = pytest.raises(InterventionError, match="goes back over tokens")
    with back, intervene(model, mask, "de:zero@generated"):
        generated(model, PROMPTS[:1], prompt_lookup_num_tokens=2, max_new_tokens=20)
