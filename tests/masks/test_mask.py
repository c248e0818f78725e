"""Masks: what they hold, what they refuse, their algebra, controls and digest."""

from __future__ import annotations

import numpy as np
import pytest

from lsn_eval import NeuronMask
from lsn_eval.errors import MaskError
from lsn_eval.masks.names import MaskMethod
from lsn_eval.models.layout import ModelLayout

MODEL = ModelLayout.numbered(3, {"mlp.act": 10, "mlp.down_in": 10}, type="llama", name="tiny")
GOOD = {"de": {"mlp.act": {"0": [1, 4], "2": [9]}}, "fr": {"mlp.act": {"0": [4, 5]}}, "it": {}}


def mask(neurons=None, **kwargs) -> NeuronMask:
    return NeuronMask(GOOD if neurons is None else neurons, **{"model": MODEL} | kwargs)


def test_neurons_come_by_language_name_sorted_with_layer_and_index():
    made = mask()
    assert made.languages == ("de", "fr", "it")
    assert made.neurons("de").tolist() == [[0, 1], [0, 4], [2, 9]]
    assert made.neurons("it").shape == (0, 2)
    assert made.count("de") == 3
    assert made.layer_counts("fr") == {"mlp.act": [2, 0, 0]}
    assert made.indices("de", "mlp.act", 1).size == 0
    assert made.places("de") == (("mlp.act", "0"), ("mlp.act", "2"))
    with pytest.raises(ValueError, match="read-only"):
        made.indices("de", "mlp.act", 0)[0] = 2
    with pytest.raises(
        MaskError, match=r"hookpoint 'attn\.z' is not in this mask; it has mlp\.act"
    ):
        made.indices("de", "attn.z", 0)
    with pytest.raises(MaskError, match="layer '17' is not in this mask; it has 0, 1, 2"):
        made.indices("de", "mlp.act", 17)


def test_several_hookpoints_must_be_named():
    made = mask({"de": {"mlp.act": {"0": [1]}, "mlp.down_in": {"1": [2]}}})
    assert made.neurons("de", "mlp.down_in").tolist() == [[1, 2]]
    with pytest.raises(MaskError, match=r"several hookpoints \(mlp\.act, mlp\.down_in\)"):
        made.neurons("de")


def test_layers_come_in_the_order_of_the_model_and_not_of_their_names():
    model = ModelLayout.numbered(12, {"mlp.act": 5})
    made = NeuronMask({"de": {"mlp.act": {"10": [0], "9": [1], "2": [2]}}}, model=model)
    assert [layer for _, layer in made.places("de")] == ["2", "9", "10"]
    assert made.neurons("de").tolist() == [[2, 2], [9, 1], [10, 0]]


@pytest.mark.parametrize(
    ("neurons", "kwargs", "message"),
    [
        ({"de": {"mlp.act": {"0": [10]}}}, {}, "neuron 10 is outside the width; 0 to 9"),
        ({"de": {"mlp.act": {"0": [-1, 2]}}}, {}, "neuron -1 is outside the width"),
        ({"de": {"mlp.act": {"0": [2**32 + 5]}}}, {}, "neuron 4294967301 is outside any width"),
        ({"de": {"mlp.act": {"0": np.uint64([2**63 + 5])}}}, {}, "beyond 64 bits"),
        ({"de": {"mlp.act": {"0": [3, 3]}}}, {}, "de/mlp.act/0: neuron 3 stands twice"),
        ({"de": {"mlp.act": {"0": [3, 2]}}}, {}, "neuron 2 stands out of order"),
        ({"de": {"mlp.act": {"0": [0.5]}}}, {}, "whole numbers"),
        ({"de": {"mlp.act": {"0": [[1]]}}}, {}, "whole numbers"),
        ({"de": {"mlp.act": {"3": [1]}}}, {}, "no layer '3'; it has 0 to 2"),
        ({"de": {"mlp.tct": {"0": [1]}}}, {}, "hookpoint must be one of mlp.act, mlp.down_in"),
        ({"de": {"attn.q": {"0": [1]}}}, {}, "does not say how wide attn.q is"),
        ({"none": {}}, {}, "no language name"),
        ({"d/e": {}}, {}, "no language name"),
        ({"": {}}, {}, "no language name"),
        ({"de": {}}, {"languages": ["random1-de"]}, "name of a control"),
        ({"de": {}}, {"languages": ["de", "de"]}, "named twice"),
        ({}, {}, "without languages"),
        ({"de": {"mlp.act": {"0": [1]}}}, {"languages": ["fr"]}, "'de' has neurons and is not"),
        ({"de": {}, "random1-fr": {}}, {}, "random1-fr: 'fr' is not in this mask"),
        (GOOD | {"random1-de": {"mlp.act": {"0": [0, 2]}}}, {}, "as many neurons as de in every"),
        (GOOD | {"random1-de": {"mlp.act": {"0": [0, 5], "2": [1]}}}, {}, "neuron 5 belongs to fr"),
    ],
)  # fmt: skip
def test_a_mask_that_contradicts_itself_cannot_be_made(neurons, kwargs, message):
    with pytest.raises(MaskError) as caught:
        mask(neurons, **kwargs)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"0": {"mean": [1.0]}}, "[1] values for 2 neurons"),
        ({"0": {"mode": [1.0, 2.0]}}, "statistic must be one of mean, median"),
        ({"0": {"mean": [1.0, np.nan]}}, "not a finite number"),
        ({"1": {"mean": [1.0]}}, "values for 0 neurons"),
    ],
)
def test_values_must_fit_the_neurons(values, message):
    with pytest.raises(MaskError) as caught:
        mask(values={"de": {"mlp.act": values}})
    assert message in str(caught.value)


def test_an_unknown_language_is_an_error_that_lists_them():
    for ask in (mask().neurons, mask().count, mask().controls):
        with pytest.raises(MaskError, match="'es' is not in this mask; its languages are de, fr"):
            ask("es")


def test_the_digest_covers_neurons_and_values_and_nothing_else():
    first = mask()
    assert first == mask(method=MaskMethod("lape", {"top_rate": 0.01}), provenance={"a": 1})
    assert first == mask(GOOD | {"de": {"mlp.act": {"0": [1, 4], "1": [], "2": [9]}}})
    assert first != mask(GOOD | {"de": {"mlp.act": {"0": [1, 3], "2": [9]}}})
    assert first != mask({"fr": GOOD["de"], "de": GOOD["fr"], "it": {}})
    values = {"fr": {"mlp.act": {"0": {"mean": [1.0, 2.0]}}}}
    assert first != mask(values=values)
    assert mask(values=values).statistics("fr") == ("mean",)
    assert mask(values=values).statistics("de") == ()


def test_union_difference_and_overlap_go_language_by_language():
    a = mask(values={"de": {"mlp.act": {"0": {"mean": [1.0, 4.0]}, "2": {"mean": [9.0]}}}})
    b = mask(
        {"de": {"mlp.act": {"0": [0, 4], "1": [7]}}, "es": {"mlp.act": {"0": [4]}}},
        values={"de": {"mlp.act": {"0": {"mean": [0.0, 4.0]}, "1": {"mean": [7.0]}}}},
    )
    union, difference, overlap = a | b, a - b, a & b
    assert union.languages == ("de", "fr", "it", "es")
    assert union.neurons("de").tolist() == [[0, 0], [0, 1], [0, 4], [1, 7], [2, 9]]
    assert union.values("de", "mlp.act", 0, "mean").tolist() == [0.0, 1.0, 4.0]
    assert union.neurons("es").tolist() == [[0, 4]]
    assert difference.neurons("de").tolist() == [[0, 1], [2, 9]]
    assert difference.values("de", "mlp.act", 0, "mean").tolist() == [1.0]
    assert difference.neurons("fr").tolist() == [[0, 4], [0, 5]]
    assert overlap.languages == ("de",)
    assert overlap.neurons("de").tolist() == [[0, 4]]
    assert union.method.name == "union"
    assert union.method.parameters["of"] == [a.digest, b.digest]
    # What two masks contradict each other on is dropped.
    a = mask(values={"fr": {"mlp.act": {"0": {"mean": [1.0, 2.0], "max": [3.0, 4.0]}}}})
    b = mask(values={"fr": {"mlp.act": {"0": {"mean": [1.0, 5.0], "max": [3.0, 4.0]}}}})
    assert (a | b).statistics("fr") == ("max",)
    for model, message in (
        (ModelLayout.numbered(4, {"mlp.act": 10}), "the union of masks of different models"),
        (ModelLayout.numbered(3, {"mlp.act": 11}), "both must be of one model"),
    ):
        with pytest.raises(MaskError, match=message):
            mask() | mask(model=model)


def test_neurons_of_one_language_and_of_several_are_classes_of_their_own():
    neurons = {
        "de": {"mlp.act": {"0": [1, 4, 6], "1": [2]}},
        "fr": {"mlp.act": {"0": [4, 5, 6]}},
        "it": {"mlp.act": {"0": [6], "2": [2]}},
    }
    values = {"de": {"mlp.act": {"0": {"mean": [10, 40, 60]}, "1": {"mean": [20]}}}}
    made = mask(neurons, values=values).with_controls(1)
    for least, most, expected in [
        (1, None, {"de": [[0, 1], [1, 2]], "fr": [[0, 5]], "it": [[2, 2]]}),
        (2, None, {"de": [[0, 4]], "fr": [[0, 4]], "it": []}),
        (2, 3, {"de": [[0, 4], [0, 6]], "fr": [[0, 4], [0, 6]], "it": [[0, 6]]}),
    ]:
        part = made.shared_by(least, most)
        assert {name: part.neurons(name).tolist() for name in part.languages} == expected
        assert part.who == part.languages
    assert made.shared_by(2, 3).values("de", "mlp.act", 0, "mean").tolist() == [40, 60]
    for wrong in ((0, 1), (2, 1), (1, 4)):
        with pytest.raises(MaskError, match="the mask has 3"):
            made.shared_by(*wrong)


def test_what_is_recorded_at_one_hookpoint_is_written_at_another_by_name_alone():
    values = {"de": {"mlp.act": {"0": {"mean": [10, 40]}, "2": {"mean": [90]}}}}
    made = mask(values=values, method=MaskMethod("lape")).with_controls(1)
    moved = made.written_at("mlp.down_in")
    assert moved.hookpoints == ("mlp.down_in",)
    assert moved.method.name == "lape(mlp.act>mlp.down_in)"
    assert moved.neurons("de").tolist() == made.neurons("de").tolist()
    assert moved.neurons("random1-de").tolist() == made.neurons("random1-de").tolist()
    assert moved.values("de", "mlp.down_in", 0, "mean").tolist() == [10, 40]
    assert moved.digest != made.digest
    with pytest.raises(MaskError, match="a mask at mlp.act cannot be written at attn.q"):
        made.written_at("attn.q")
    both = mask({"de": {"mlp.act": {"0": [1]}, "mlp.down_in": {"0": [1]}}})
    with pytest.raises(MaskError, match="one hookpoint of mlp.gate"):
        both.written_at("mlp.act")


def test_controls_match_layer_by_layer_and_hold_no_neuron_of_any_language():
    model = ModelLayout.numbered(3, {"mlp.act": 200, "mlp.down_in": 50})
    pick = np.random.RandomState(0).permutation
    neurons = {
        language: {
            "mlp.act": {"0": np.sort(pick(200)[:30]), "2": np.sort(pick(200)[:10])},
            "mlp.down_in": {"1": np.sort(pick(50)[:5])},
        }
        for language in ("de", "fr", "vi")
    }
    made = NeuronMask(neurons, model=model).with_controls(20)
    assert made.controls("fr") == tuple(range(1, 21))
    drawn = set()
    for number in range(1, 21):
        who = f"random{number}-de"
        for place in made.places("de"):
            indices = made.indices(who, *place)
            assert indices.size == made.indices("de", *place).size
            for language in made.languages:
                assert not np.intersect1d(indices, made.indices(language, *place)).size
        drawn.add(made.neurons(who, "mlp.act").tobytes())
    assert len(drawn) == 20, "controls must be independent of each other"
    assert made == NeuronMask(neurons, model=model).with_controls(20)
    # Written down so that the draw can never change silently: masks in the field depend on it.
    assert made.indices("random1-de", "mlp.down_in", 1).tolist() == [0, 22, 23, 34, 36]


def test_select_keeps_the_controls_of_the_languages_it_keeps():
    model = ModelLayout.numbered(1, {"mlp.act": 50})
    made = NeuronMask({"de": {"mlp.act": {"0": [1]}}, "fr": {"mlp.act": {"0": [2]}}}, model=model)
    chosen = made.with_controls(2).select(["fr"])
    assert chosen.who == ("fr", "random1-fr", "random2-fr")
    with pytest.raises(MaskError, match="'es' is not in this mask"):
        made.select(["es"])
