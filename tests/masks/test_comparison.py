"""Overlap within a mask, difference between masks, random masks, and the figure."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from builders.architectures import tiny_model

from lsn_eval import intervene
from lsn_eval.errors import MaskError
from lsn_eval.identification import IdentificationError
from lsn_eval.identification.random import random_like, random_mask
from lsn_eval.masks.comparison import language_overlap, layer_distribution, mask_difference
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.masks.names import MaskMethod
from lsn_eval.models.layout import ModelLayout
from lsn_eval.models.resolving import resolve
from lsn_eval.plotting.mask_figures import mask_figure
from lsn_eval.plotting.saving import save_figure

MODEL = ModelLayout.numbered(3, {"mlp.act": 20, "attn.q": 8})


def made(neurons, languages=None):
    return NeuronMask(neurons, model=MODEL, languages=languages, method=MaskMethod("made"))


FIRST = made(
    {
        "de": {"mlp.act": {"0": [1, 2, 3], "2": [4]}, "attn.q": {"0": [1]}},
        "fr": {"mlp.act": {"0": [2, 3, 9], "1": [4]}},
        "vi": {},
        "zh": {},
    },
    ["de", "fr", "vi", "zh"],
)
SECOND = made({"de": {"mlp.act": {"0": [3, 7], "1": [4]}}, "tr": {"attn.q": {"1": [1, 2]}}})


def test_overlap_of_languages():
    overlap = language_overlap(FIRST)
    assert overlap.counts.tolist() == [[5, 2, 0, 0], [2, 4, 0, 0], [0] * 4, [0] * 4]
    assert (overlap.jaccard[0, :3] == [1, 2 / 7, 0]).all()
    assert math.isnan(overlap.jaccard[2, 3])
    assert language_overlap(FIRST, "attn.q").counts[0].tolist() == [1, 0, 0, 0]
    # Equal numbers in other layers or hookpoints are other neurons.
    apart = {"de": {"mlp.act": {"0": [1]}}, "fr": {"mlp.act": {"1": [1]}, "attn.q": {"0": [1]}}}
    assert language_overlap(made(apart)).counts.tolist() == [[1, 0], [0, 2]]
    assert layer_distribution(FIRST, "mlp.act").tolist() == [[3, 0, 1], [3, 1, 0], [0] * 3, [0] * 3]
    assert layer_distribution(FIRST, "attn.q").sum() == 1


def test_difference_of_masks():
    difference = mask_difference(FIRST, SECOND)
    figures = {
        e.language: (e.first, e.second, e.only_first, e.only_second, e.shared)
        for e in difference.by_language
    }
    assert figures == {
        "de": (5, 3, 4, 2, 1),
        "fr": (4, 0, 4, 0, 0),
        "vi": (0, 0, 0, 0, 0),
        "zh": (0, 0, 0, 0, 0),
        "tr": (0, 2, 0, 2, 0),
    }
    assert difference.by_language[0].jaccard == 1 / 7
    assert math.isnan(difference.by_language[2].jaccard)
    assert difference.only_in_first == ("fr", "vi", "zh")
    assert difference.only_in_second == ("tr",)
    assert not difference.same
    by_place = {(entry.language, entry.hookpoint): entry for entry in difference.by_hookpoint}
    assert by_place["de", "mlp.act"].shared == 1
    assert by_place["de", "attn.q"].first == 1
    document = json.loads(json.dumps(difference.as_json()))
    assert document["languages"][0]["only_first"] == 4
    assert document["languages"][2]["jaccard"] is None
    same = mask_difference(FIRST, FIRST)
    assert same.same
    assert [entry.jaccard for entry in same.by_language[:2]] == [1, 1]
    assert same.only_in_first == same.only_in_second == ()


@pytest.mark.parametrize("language", ["de", "xx"])
def test_masks_of_different_models_are_not_compared(language):
    neurons = {language: {"mlp.act": {"0": [1]}}}
    other = NeuronMask(neurons, model=ModelLayout.numbered(2, {"mlp.act": 20}))
    with pytest.raises(MaskError, match="different models"):
        mask_difference(FIRST, other)


def test_random_mask_like_another():
    like = random_like(FIRST, 3)
    assert like.languages == FIRST.languages
    for language in FIRST.languages:
        assert like.layer_counts(language) == FIRST.layer_counts(language)
        for at, layer in like.places(language):
            owned = np.concatenate([FIRST.indices(name, at, layer) for name in FIRST.languages])
            assert not np.intersect1d(like.indices(language, at, layer), owned).size
    assert like.method.parameters == {"like": FIRST.digest, "seed": 3}
    assert random_like(FIRST, 3) == like
    assert random_like(FIRST, 4) != like
    with pytest.raises(MaskError, match="numbered from 1"):
        random_like(FIRST, 0)


def test_random_mask_takes_over_a_stored_control_with_its_values():
    for stored in (15, 16):  # one of them at least was drawn otherwise
        at = {"de": [1], "random1-de": [stored]}
        mask = made({who: {"mlp.act": {"0": indices}} for who, indices in at.items()})
        values = {"random1-de": {"mlp.act": {"0": {"mean": [stored + 0.5]}}}}
        like = random_like(mask.with_values(values), 1)
        assert like.neurons("de").tolist() == [[0, stored]]
        assert like.values("de", "mlp.act", "0", "mean").tolist() == [stored + 0.5]


def test_random_mask_of_a_shape():
    mask = random_mask(["de", "fr"], layers=4, width=100, top_rate=0.05, seed=2, model_type="llama")
    assert [mask.count(language) for language in mask.languages] == [10, 10]
    assert language_overlap(mask).counts[0, 1] == 0
    assert mask.model.type == "llama"
    with pytest.raises(MaskError, match="hookpoint"):
        random_mask(["de"], layers=1, width=4, hookpoint="nowhere")
    with pytest.raises(IdentificationError, match="top_rate"):
        random_mask(["de"], layers=1, width=4, top_rate=2)


def test_figure_shows_every_count():
    figure = mask_figure(FIRST)
    maps, side = figure.subfigs
    heat_maps = [axes for axes in maps.axes if axes.images and axes.get_title()]
    assert [axes.get_title() for axes in heat_maps] == [
        "neurons per layer at mlp.act, of 20",
        "neurons per layer at attn.q, of 8",
    ]
    counts = layer_distribution(FIRST, "mlp.act").tolist()
    assert heat_maps[0].images[0].get_array().tolist() == counts
    assert heat_maps[0].get_yticklabels()[0].get_text() == "de (4)"
    share = next(axes for axes in maps.axes if "of the layer" in axes.get_ylabel())
    assert share.yaxis.get_major_formatter()(3, 0) == "3 (15%)"
    overlap = next(axes for axes in side.axes if axes.get_title())
    assert [text.get_text() for text in overlap.texts][:4] == ["5", "2", "0", "0"]


def test_figure_of_an_empty_mask(tmp_path):
    save_figure(mask_figure(made({"de": {}})), tmp_path / "empty.png")


@pytest.mark.parametrize(
    ("name", "hookpoint"), [("mt5", "mlp.act"), ("mt5", "cross.q"), ("llama", "attn.k")]
)
def test_random_mask_of_a_model_by_its_configuration(name, hookpoint, tmp_path):
    """An encoder-decoder's layers by their names, and no neuron where a layer has none."""
    model = tiny_model(name)
    model.config.save_pretrained(tmp_path)
    mask = random_mask(["de", "fr"], name=str(tmp_path), hookpoint=hookpoint, top_rate=0.2)
    found = resolve(model)
    assert mask.model.layers == found.layers_with([hookpoint])
    assert mask.count("de") + mask.count("fr") == round(0.2 * sum(mask.model.each_width(hookpoint)))
    with torch.no_grad(), intervene(model, mask, "de:zero") as report:
        model(**dict.fromkeys(["input_ids", "labels"], torch.arange(8).view(1, 8)))
    assert report.neurons == mask.count("de") == sum(site.neurons for site in report.sites)
    assert report.changed
