"""Recorded statistics attached to masks that have none, released ones included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from builders.commands import printed, refused
from builders.planted import planted_statistics
from builders.reference import REFERENCE, needs_reference

from lsn_eval import NeuronMask, add_statistics, identify, intervene, record
from lsn_eval.errors import ConditionError
from lsn_eval.identification import IdentificationError
from lsn_eval.masks.imports import import_lists

STATS, _ = planted_statistics()
FULL = identify(STATS, top_rate=0.03)


def bare(mask=FULL, **model):
    """The neurons of a mask's languages at `mlp.act`, and nothing else of it."""
    neurons = {
        name: {"mlp.act": {layer: mask.indices(name, at, layer) for at, layer in mask.places(name)}}
        for name in mask.languages
    }
    return NeuronMask(neurons, model=replace(mask.model, **model), languages=mask.languages)


@pytest.mark.parametrize("matched", ["layer", "rate"])
def test_a_bare_mask_becomes_the_one_that_identify_makes(matched):
    whole = identify(STATS, top_rate=0.03, controls_matched=matched)
    made = add_statistics(bare(type=None, name=None), STATS, controls_matched=matched)
    assert made == whole  # neurons, controls and all their values
    assert (made.model.type, made.model.name) == ("llama", "planted")
    assert made.provenance["added_to"] == bare().digest
    assert made.provenance["statistics"]["digest"] == STATS.digest
    assert made.method.parameters == {"controls": 20, "controls_matched": matched}


def test_stored_controls_and_statistics_stay():
    of = {"de": {"mlp.act": {layer: {"mean": np.full(FULL.indices("de", at, layer).size, 77)}
                             for at, layer in FULL.places("de")}}}  # fmt: skip
    mask = bare().with_controls(2).with_values(of)
    made = add_statistics(mask, STATS, controls=5)
    assert [made.controls(name) for name in made.languages] == [(1, 2)] * 3
    assert made.statistics("random2-de") == made.statistics("de") == FULL.statistics("de")
    for at, layer in made.places("de"):
        assert (made.values("de", at, layer, "mean") == 77).all()
        assert (made.values("de", at, layer, "p90") == FULL.values("de", at, layer, "p90")).all()
    again = add_statistics(mask, STATS, replace_stored=True)
    assert all(
        (again.values("de", *place, "mean") == FULL.values("de", *place, "mean")).all()
        for place in again.places("de")
    )


def counts_alone(stats):
    return stats.keep(statistics=["positive"])


@pytest.mark.parametrize(
    ("mask", "stats", "message"),
    [
        (bare(), STATS.keep(languages=["de", "en"]), "no texts of zh, a language of the mask"),
        (bare(type="bloom"), STATS, "the mask is of bloom of 4 layers .* are of llama of 4 layers"),
        (bare(), counts_alone(STATS), "nothing to write at mlp.act; they hold positive of mlp.act"),
        (
            NeuronMask(
                {"de": {"mlp.down_in": {"0": [1]}}}, model=replace(FULL.model, widths={"mlp.down_in": 9})
            ),
            STATS,
            "nothing to write at mlp.down_in.*--hookpoint mlp.down_in --statistics all",
        ),
    ],
)  # fmt: skip
def test_statistics_that_do_not_cover_the_mask_are_refused(mask, stats, message):
    with pytest.raises(IdentificationError, match=message):
        add_statistics(mask, stats)


@pytest.mark.parametrize("condition", ["de:mean", "random3-de:mean"])
def test_the_command_is_named_where_a_statistic_is_missing_and_mends_it(condition, tmp_path):
    from lsn_eval.conditions import Condition, plan

    mask = bare()
    with pytest.raises(ConditionError, match="lsn-eval mask add-statistics MASK STATS"):
        plan(mask, Condition.parse(condition))
    mask.save(tmp_path / "m.safetensors")
    STATS.save(tmp_path / "s.safetensors")
    said = printed("mask", "add-statistics", tmp_path / "m.safetensors", tmp_path / "s.safetensors")
    out = tmp_path / "m.steerable.safetensors"
    assert str(out) in said
    assert plan(NeuronMask.load(out), Condition.parse(condition)).neurons == mask.count("de")
    again = "mask", "add-statistics", tmp_path / "m.safetensors", tmp_path / "s.safetensors"
    assert "--force" in refused(*again)


def llama_2(layers, width):
    """A Llama of the layout of LLaMA-2-7B's feed-forward layers, and else as small as can be."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=8, intermediate_size=width, num_hidden_layers=layers,
        num_attention_heads=2, max_position_embeddings=64, pad_token_id=0,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


@needs_reference
@pytest.mark.slow
def test_the_released_llama_2_mask_steers_once_statistics_are_added():
    languages = ["en", "zh", "fr", "es", "vi", "id", "ja"]
    mask = import_lists(
        REFERENCE / "masks" / "LLaMA-2-7B.neuron.pth", languages=languages, layers=32, width=11008
    )
    model = llama_2(32, 11008)
    with (
        pytest.raises(ConditionError, match="mask add-statistics"),
        intervene(model, mask, "zh:mean"),
    ):
        raise AssertionError("unreachable")
    generator = np.random.RandomState(0)
    texts = {name: generator.randint(1, 64, size=64) for name in languages}
    stats = record(model, None, texts, length=16, batch_size=4)
    steerable = add_statistics(mask, stats, controls=2)
    assert {name: steerable.count(name) for name in languages} == {
        "en": 95, "zh": 583, "fr": 1022, "es": 838, "vi": 836, "id": 1068, "ja": 582
    }  # fmt: skip
    ids, seen = torch.as_tensor(texts["fr"][None, :16]), {}
    act = {layer: model.model.layers[layer].mlp.down_proj for layer in (0, 15, 31)}

    def keep(layer):
        return lambda module, args: seen.update({layer: args[0].detach().clone()})

    handles = [module.register_forward_pre_hook(keep(layer)) for layer, module in act.items()]
    up = {}
    handles += [
        model.model.layers[layer].mlp.up_proj.register_forward_hook(
            lambda module, args, output, layer=layer: up.update({layer: output.detach()})
        )
        for layer in act
    ]
    with torch.no_grad(), intervene(model, steerable, "fr:zero/zh:mean") as report:
        model(ids)
    for handle in handles:
        handle.remove()
    assert report.neurons == len(
        np.unique(np.concatenate([mask.neurons("fr"), mask.neurons("zh")]), axis=0)
    )
    for layer in act:  # what reaches the down projection: 0 for French, Chinese means times up
        zh, fr = (mask.indices(name, "mlp.act", layer) for name in ("zh", "fr"))
        assert not seen[layer][..., np.setdiff1d(fr, zh)].any()
        means = torch.tensor(stats.get("mlp.act", "mean")[1, layer, zh]).float()
        torch.testing.assert_close(
            seen[layer][..., zh.tolist()], means * up[layer][..., zh.tolist()]
        )
    with torch.no_grad(), intervene(model, steerable, "random1-fr:zero/random1-zh:mean") as control:
        model(ids)
    assert control.neurons
