"""The grammar of conditions, and the writes they mean."""

from __future__ import annotations

import numpy as np
import pytest

from lsn_eval import Condition, NeuronMask
from lsn_eval.conditions import UNSET, plan
from lsn_eval.errors import ConditionError
from lsn_eval.models.layout import ModelLayout

MODEL = ModelLayout.numbered(2, {"mlp.act": 20, "mlp.down_in": 20})


def mask() -> NeuronMask:
    """de and fr share neuron 3 of layer 0; de has a second hookpoint; it has no neurons."""
    neurons = {
        "de": {"mlp.act": {"0": [1, 3, 8], "1": [0]}, "mlp.down_in": {"1": [5, 6]}},
        "fr": {"mlp.act": {"0": [2, 3]}},
        "it": {},
    }
    first = {"mean": [0.5, -1.0, 2.0], "p10": [0.0, 0.1, 0.2], "diffmean": [1, 2, 3]}
    of_act = {"0": first, "1": {"mean": [7.0], "p10": [0.3], "diffmean": [3.0]}}
    values = {"mlp.act": of_act, "mlp.down_in": {"1": {"mean": [4.0, 5.0], "diffmean": [4, 5]}}}
    return NeuronMask(neurons, model=MODEL, values={"de": values})


CANONICAL = (
    "none de:zero de:1.5 de:-2 de:mean de:median de:p10 de:p90 de:max de:x0.5 de:x-1 de:+1.5 "
    "de:+-1.5 de:+mean es:zero/zh:mean random1-de:zero random12-zh-Hant:x2/deu_Latn:+p90 "
    "de:p5 de:p25 de:p75 de:p95 de:1.5mean de:-1mean de:0.25p75 de:+0.5mean de:+-1mean de:10p90 "
    "de:+diffmean de:+0.5diffmean random3-de:+-2diffmean "
    "de:zero@prompt de:+0.5mean@last es:zero@generated/random1-zh:mean@generated"
)
OTHERWISE = {
    None: "none",
    "de:0": "de:zero",
    "de:0.0": "de:zero",
    "de:1.50": "de:1.5",
    "de:1e-3": "de:0.001",
    "de:.5": "de:0.5",
    "de:1mean": "de:mean",
    "de:+1.0diffmean": "de:+diffmean",
    "de:0mean": "de:zero",
    "de:.5e1p5": "de:5p5",
    "de:0@all": "de:zero",
    "de:0mean@last": "de:zero@last",
}


@pytest.mark.parametrize(
    ("text", "canonical"), [*((text, text) for text in CANONICAL.split()), *OTHERWISE.items()]
)
def test_conditions_have_one_spelling(text, canonical):
    condition = Condition.parse(text)
    assert str(condition) == canonical
    assert Condition.parse(canonical) == condition


@pytest.mark.parametrize(
    "text",
    [
        "", "de", "de:", ":zero", "de:nil", "de:zero/", "/de:zero", "de:x", "de:xmean", "de:+",
        "de:nan", "de:inf", "de:1_0", "de:0x10", "de:zero,fr:zero", "de=zero", "de:++1", "de:1.5.2",
        "de:zero/none", "none/de:zero",
        "de:zero@", "de:zero@first", "de@last:zero", "@last", "de:@last", "de:zero@last@last",
        "de:p0", "de:p100", "de:p05", "de:diffmean", "de:0.5diffmean", "de:x0.5mean", "de:meanmean",
        "de:mean0.5", "de:+x2", "de:-mean", "de:2*mean", "de fr:zero", "None", "de:١", 3,
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_an_error_that_says_what_was_expected(text):
    with pytest.raises(ConditionError) as caught:
        Condition.parse(text)
    assert repr(text) in str(caught.value)
    assert "WHO:WHAT" in str(caught.value)


def test_the_same_who_twice_is_an_error():
    with pytest.raises(ConditionError, match="names 'de' twice"):
        Condition.parse("de:zero/fr:zero/de:mean")


def test_terms_that_write_at_different_positions_are_an_error():
    with pytest.raises(ConditionError, match="writes at all and prompt positions; give every term"):
        Condition.parse("de:zero@prompt/fr:zero")
    assert Condition.parse("de:zero@prompt/fr:1@prompt").positions == "prompt"
    assert Condition.parse("none").positions == "all"


def test_without_a_condition_one_language_means_zero_and_none_means_none():
    assert str(Condition.of(mask().select(["fr"]))) == "fr:zero"
    assert str(Condition.of(mask().select(["fr"]), None)) == "none"
    assert str(Condition.of(mask(), None)) == "none"
    with pytest.raises(ConditionError, match="several languages \\(de, fr, it\\)"):
        Condition.of(mask(), UNSET)


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("de:zero", ("mlp.act", "0"), {1: ("set", 0), 3: ("set", 0), 8: ("set", 0)}),
        ("de:mean", ("mlp.act", "0"), {1: ("set", 0.5), 3: ("set", -1), 8: ("set", 2)}),
        ("de:mean", ("mlp.down_in", "1"), {5: ("set", 4), 6: ("set", 5)}),
        ("de:+mean", ("mlp.act", "1"), {0: ("add", 7)}),
        ("de:1.5mean", ("mlp.act", "0"), {1: ("set", 0.75), 3: ("set", -1.5), 8: ("set", 3)}),
        ("de:+-0.5mean", ("mlp.down_in", "1"), {5: ("add", -2), 6: ("add", -2.5)}),
        ("de:+2diffmean", ("mlp.act", "1"), {0: ("add", 6)}),
        ("de:x0.5/fr:2", ("mlp.act", "0"), {1: ("scale", 0.5), 2: ("set", 2), 3: ("set", 2), 8: ("scale", 0.5)}),
        ("fr:2/de:x0.5", ("mlp.act", "0"), {1: ("scale", 0.5), 2: ("set", 2), 3: ("scale", 0.5), 8: ("scale", 0.5)}),
    ],
)  # fmt: skip
def test_writes(text, place, expected):
    write = plan(mask(), Condition.parse(text)).writes[place]
    written = zip(write.operations.tolist(), write.operands.tolist(), strict=True)
    assert dict(zip(write.indices.tolist(), written, strict=True)) == expected


def test_overlaps_and_empty_languages_are_reported():
    planned = plan(mask(), Condition.parse("de:zero/fr:1/it:zero"))
    assert planned.overlaps == {"de/fr": 1}
    assert planned.empty == ("it",)
    assert planned.neurons == 7
    assert plan(mask(), Condition()).writes == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("es:zero", "'es' in condition 'es:zero' is not in the mask, whose languages are de, fr"),
        ("random1-es:zero", "languages are de, fr, it; its controls are random1-de"),
        ("de:max", "condition 'de:max': the mask stores no 'max' for de; it stores mean"),
        ("de:p10", "stores no 'p10' for de; it stores mean"),
        ("de:p25", "stores no 'p25' for de; it stores mean"),
        ("fr:+0.5diffmean", "stores no 'diffmean' for fr; it stores no statistics"),
        ("de:1e38mean", "1e+38 times a value of de is beyond"),
        ("fr:mean", "no 'mean' for fr; it stores no statistics"),
        ("random1-de:mean", "needs the statistics of a stored control, and the mask stores none"),
    ],
)
def test_what_the_mask_does_not_hold_is_an_error_that_lists_what_it_holds(text, message):
    with pytest.raises(ConditionError) as caught:
        plan(mask(), Condition.parse(text))
    assert message in str(caught.value)


def test_controls_are_drawn_on_the_spot_or_taken_from_the_mask():
    condition = Condition.parse("random2-de:zero")
    drawn = plan(mask(), condition)
    stored = plan(mask().with_controls(3), condition)
    other = plan(mask(), Condition.parse("random3-de:zero"))
    assert set(drawn.writes) == set(stored.writes) == {("mlp.act", "0"), ("mlp.act", "1"),
                                                       ("mlp.down_in", "1")}  # fmt: skip
    for place, write in drawn.writes.items():
        np.testing.assert_array_equal(write.indices, stored.writes[place].indices)
        languages = [mask().indices(language, *place) for language in mask().languages]
        assert not np.intersect1d(write.indices, np.concatenate(languages)).size
        assert write.indices.size == mask().indices("de", *place).size
    assert any(
        not np.array_equal(write.indices, other.writes[place].indices)
        for place, write in drawn.writes.items()
    )


def test_a_layer_too_full_for_a_control_is_an_error():
    model = ModelLayout.numbered(1, {"mlp.act": 4})
    full = NeuronMask({"de": {"mlp.act": {"0": [0, 1, 2]}}}, model=model)
    with pytest.raises(ConditionError, match="only 1 there belong to no language"):
        plan(full, Condition.parse("random1-de:zero"))
