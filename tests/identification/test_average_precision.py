"""Average precision equals scikit-learn's, and Kojima et al.'s units come out."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

from lsn_eval.identification import IdentificationError, identify
from lsn_eval.identification.average_precision import precision_of_units
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics import ActivationStats
from lsn_eval.statistics.content import TextResponses

module = importlib.import_module("lsn_eval.identification.average_precision")
sklearn_metrics = pytest.importorskip("sklearn.metrics")


def reference(responses, positives):
    score = sklearn_metrics.average_precision_score
    columns = responses.astype(np.float64).T
    return np.array([[score(mine, unit) for unit in columns] for mine in positives])


def labels(texts, languages, seed=0):
    owner = np.random.RandomState(seed).permutation(np.arange(texts) % languages)
    return np.stack([owner == number for number in range(languages)])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("distinct", [1, 2, 5, 40, None])
@pytest.mark.slow
def test_equals_scikit_learn_with_ties(dtype, distinct):
    generator = np.random.RandomState(1)
    responses = generator.normal(size=(90, 40)).astype(dtype)
    if distinct:
        values = generator.normal(size=distinct).astype(dtype)
        responses = values[generator.randint(0, distinct, size=responses.shape)]
    positives = labels(90, 3)
    responses[positives[0]] += dtype(0.5)
    found = precision_of_units(responses, positives)
    np.testing.assert_allclose(found, reference(responses, positives), atol=1e-12, rtol=0)


@pytest.mark.slow
def test_zeros_of_both_signs_tie_and_extremes_order():
    values = np.array([0.0, -0.0, 6e-8, -6e-8, 65504, -65504, np.inf, -np.inf, 1], np.float16)
    generator = np.random.RandomState(2)
    responses = values[generator.randint(0, values.size, size=(60, 40))]
    positives = labels(60, 2)
    finite = np.nan_to_num(responses.astype(np.float64), posinf=1e6, neginf=-1e6)
    found = precision_of_units(responses, positives)
    np.testing.assert_allclose(found, reference(finite, positives), atol=1e-12, rtol=0)


def test_blocks_do_not_matter(monkeypatch, tmp_path):
    responses = np.random.RandomState(3).normal(size=(40, 700)).astype(np.float16)
    positives = labels(40, 2)
    whole = precision_of_units(responses, positives)
    np.save(tmp_path / "responses.npy", responses)
    mapped = np.load(tmp_path / "responses.npy", mmap_mode="r")
    monkeypatch.setattr(module, "_BYTES_READ_AT_ONCE", 1)
    monkeypatch.setattr(module, "_TRANSPOSED_AT_ONCE", 33)
    assert (precision_of_units(mapped, positives) == whole).all()


def test_not_a_number_is_an_error_that_names_the_unit():
    responses = np.zeros((6, 400), np.float16)
    responses[2, 301] = np.nan
    with pytest.raises(IdentificationError, match="unit 301"):
        precision_of_units(responses, labels(6, 2))
    with pytest.raises(IdentificationError, match="float16 or float32"):
        precision_of_units(np.zeros((6, 4)), labels(6, 2))
    with pytest.raises(IdentificationError, match="no texts"):
        precision_of_units(responses, np.zeros((1, 6), np.bool_))


LANGUAGES = ("de", "en", "zh")
LAYERS, WIDTHS = 3, {"mlp.act": 40, "mlp.up": 40, "attn.q": 24}


def per_text_statistics(texts=60, seed=0):
    """Units of `mlp.up` and `attn.q` that go up or down in one language, two of each."""
    generator = np.random.RandomState(seed)
    owner = np.array(LANGUAGES)[generator.permutation(np.arange(texts) % 3)]
    responses = {
        (at, str(layer)): generator.normal(size=(texts, width)).astype(np.float16)
        for at, width in WIDTHS.items()
        for layer in range(LAYERS)
    }
    planted = {}
    for number, language in enumerate(LANGUAGES):
        up = [("mlp.up", "0", number), ("attn.q", "2", number)]
        down = [("mlp.up", "1", 10 + number), ("attn.q", "0", 10 + number)]
        for places, shift in ((up, 9), (down, -9)):
            for at, layer, unit in places:
                responses[at, layer][owner == language, unit] += np.float16(shift)
        planted[language] = set(up + down)
    model = ModelLayout.numbered(LAYERS, WIDTHS)
    positive = {
        at: {
            "positive": np.ones((3, LAYERS, width), np.int64),
            # Over tokens: not what this method's mask stores.
            "median": np.full((3, LAYERS, width), 77, np.float32),
        }
        for at, width in WIDTHS.items()
    }
    stats = ActivationStats(
        model=model,
        languages=LANGUAGES,
        tokens=dict.fromkeys(LANGUAGES, 10),
        arrays=positive,
        texts=TextResponses(owner, np.arange(texts), lambda at, layer: responses[at, layer]),
    )
    return stats, planted, responses, owner


def units(mask, who):
    return {
        (at, layer, int(index))
        for at, layer in mask.places(who)
        for index in mask.indices(who, at, layer)
    }


PER_TEXT = per_text_statistics()[0]


def test_planted_units_come_out_and_the_median_is_over_texts():
    stats, planted, responses, owner = per_text_statistics()
    mask = identify(stats, "average_precision", neurons=4)
    assert mask.method.parameters["neurons"] == 4
    assert mask.method.parameters["hookpoint"] == ["mlp.up", "attn.q"]
    assert mask.method.parameters["texts"] == {"de": 20, "en": 20, "zh": 20}
    for language in LANGUAGES:
        assert units(mask, language) == planted[language]
        for who in (language, f"random1-{language}", f"random20-{language}"):
            for at, layer in mask.places(who):
                mine = responses[at, layer][owner == language].astype(np.float32)
                expected = np.median(mine, axis=0)[mask.indices(who, at, layer)]
                assert (mask.values(who, at, layer, "median") == expected).all()


def test_one_end_of_the_ranking_is_half_of_both():
    stats = PER_TEXT
    both = identify(stats, "average_precision", neurons=4)
    up, down = (
        identify(stats, "average_precision", neurons=2, end=end) for end in ("top", "bottom")
    )
    for number, language in enumerate(LANGUAGES):
        assert units(up, language) == {("mlp.up", "0", number), ("attn.q", "2", number)}
        assert units(up, language) | units(down, language) == units(both, language)
        assert not units(up, language) & units(down, language)
    assert identify(stats, "average_precision", neurons=3, end="top").count("de") == 3


def test_hookpoints_can_be_named():
    stats, planted, _, _ = per_text_statistics()
    mask = identify(stats, method="average_precision", neurons=2, hookpoint="attn.q")
    assert mask.hookpoints == ("attn.q",)
    for language in LANGUAGES:
        assert units(mask, language) == {unit for unit in planted[language] if unit[0] == "attn.q"}
    several = identify(stats, "average_precision", neurons=4, hookpoint=["attn.q", "mlp.act"])
    assert set(several.model.widths) == {"attn.q", "mlp.act"}


def counted(hookpoint):
    return ActivationStats.from_counts(np.ones((2, 1, 5), int), [9, 9], ["de", "en"], hookpoint)


@pytest.mark.parametrize(
    ("stats", "parameters", "message"),
    [
        (PER_TEXT, {"neurons": 3}, "even"),
        (PER_TEXT, {"neurons": 0}, "at least 2"),
        (PER_TEXT, {"end": "middle"}, "both, top, bottom, not 'middle'"),
        (PER_TEXT, {"neurons": 0, "end": "top"}, "at least 1"),
        (PER_TEXT, {"neurons": 1000}, "192 together"),
        (PER_TEXT, {"hookpoint": "attn.o"}, "'attn.o' is not in these.*mlp.act"),
        (counted("mlp.act"), {}, "linear layers"),
        (counted("mlp.up"), {"neurons": 2}, "per-text"),
    ],
)
def test_bad_parameters_and_statistics(stats, parameters, message):
    with pytest.raises(IdentificationError, match=message):
        identify(stats, method="average_precision", **parameters)


def test_a_unit_is_never_at_both_ends_and_counts_once():
    stats, *_ = per_text_statistics()
    mask = identify(stats, "average_precision", neurons=192)
    assert mask.count("de") == 192
    assert mask.controls("de") == ()
    assert "de" in mask.method.parameters["without_controls"]
    silent = replace(stats.texts, read=lambda at, layer: np.zeros((60, WIDTHS[at]), np.float16))
    mask = identify(replace(stats, texts=silent), "average_precision", neurons=10)
    assert [mask.count(language) for language in LANGUAGES] == [10, 10, 10]
