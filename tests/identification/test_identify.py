"""Every method on planted statistics; and what all masks share: values, controls, provenance."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest
from builders.planted import LANGUAGES, LAYERS, TOKENS, WIDTH, planted_statistics

from lsn_eval.identification import METHODS, IdentificationError, identify, method_parameters
from lsn_eval.identification.rate_controls import _windows
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.statistics import ActivationStats


def found(mask):
    return {language: mask.neurons(language).tolist() for language in mask.languages}


@pytest.mark.parametrize(
    ("method", "parameters"),
    [("lape", {"top_rate": 0.03}), ("lave", {"top_rate": 0.03}), ("lap", {})],
)
def test_planted_neurons_are_found(method, parameters):
    stats, planted = planted_statistics()
    assert found(identify(stats, method, **parameters)) == planted


def test_random_finds_no_more_than_chance_and_repeats():
    stats, planted = planted_statistics()
    mask = identify(stats, "random", top_rate=0.03, seed=5)
    assert [mask.count(language) for language in LANGUAGES] == [10, 10, 10]
    rows = [tuple(row) for neurons in found(mask).values() for row in neurons]
    assert len(set(rows)) == 30
    hits = sum(row in planted[name] for name, rows in found(mask).items() for row in rows)
    assert hits <= 2
    assert identify(stats, "random", top_rate=0.03, seed=5) == mask
    assert identify(stats, "random", top_rate=0.03, seed=6) != mask


def test_lap_gives_a_neuron_to_every_language_it_fires_in():
    counts = np.full((2, 2, 100), 10)
    counts[:, 1, 3] = 96
    counts[0, 0, 4] = 95  # not above .95
    stats = ActivationStats.from_counts(counts, [100, 100], ["de", "en"])
    assert found(identify(stats, "lap")) == {"de": [[1, 3]], "en": [[1, 3]]}
    assert found(identify(stats, "lap", min_probability=0.9))["de"] == [[0, 4], [1, 3]]


def with_array(stats, name, array):
    return replace(stats, arrays={"mlp.act": {**stats.arrays["mlp.act"], name: array}})


def test_lave_takes_negative_means_for_silence():
    stats, planted = planted_statistics()
    mirrored = with_array(stats, "mean", -stats.get("mlp.act", "mean"))
    upside_down = found(identify(mirrored, "lave", top_rate=0.03))
    assert not any(row in planted[name] for name, rows in upside_down.items() for row in rows)


def test_act_prob_90p_ranks_the_counts_of_the_second_pass():
    stats, _ = planted_statistics()
    generator = np.random.RandomState(1)
    above = generator.binomial(TOKENS, 0.1, size=(3, LAYERS, WIDTH)).astype(np.int64)
    above[0, 2, [7, 8]] = above[1, 0, [1, 2]] = above[2, 3, [9, 200]] = 3000
    above[0, 2, 9] = above[0, 3, 9] = 2500  # one place left for two that tie: the first wins
    mask = identify(with_array(stats, "above_threshold", above), "act_prob_90p", top_rate=0.003)
    assert found(mask)["de"] == [[2, 7], [2, 8], [2, 9]]
    assert found(mask)["en"][:2] == [[0, 1], [0, 2]]
    assert mask.count("zh") == 3
    with pytest.raises(IdentificationError, match=r"second recording pass.*--own-p90"):
        identify(stats, "act_prob_90p")


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("lape", {"top_rate": 0.001}),
        ("lape", {"top_rate": 0.5, "activation_bar_rate": 0.9999}),
        ("lave", {"top_rate": 0.01}),
        ("lap", {"min_probability": 0.999}),
        ("random", {"top_rate": 0.001}),
        ("act_prob_90p", {"top_rate": 0.0001}),
    ],
)
def test_too_few_neurons_are_said_with_what_gives_more(method, given):
    stats, _ = planted_statistics()
    stats = with_array(stats, "above_threshold", stats.get("mlp.act", "positive"))
    mask = identify(stats, method, **given)
    few = mask.method.parameters["too_few"]
    assert set(few) == {name for name in LANGUAGES if mask.count(name) < 5}
    for language, said in few.items():
        if "no top_rate gives it more" in said:
            assert identify(stats, method, **{**given, "top_rate": 1}).count(language) < 5
            assert "activation_bar_rate or filter_rate can (now 0.9999 and 0.95)" in said
        else:
            name, value, _, _, count = said.removesuffix(" or more").split()
            more = identify(stats, method, **{**given, name: float(value)})
            assert more.count(language) >= int(count) == 5
            assert language not in more.method.parameters.get("too_few", {})


# What every mask shares -----------------------------------------------------------------------


STORED = ("mean", "median", "p10", "p90", "max", "diffmean")


def test_values_are_those_of_the_neuron_in_the_language_also_for_controls():
    stats, _ = planted_statistics()
    mask = identify(stats, top_rate=0.03)
    of = {name: stats.get("mlp.act", name) for name in STORED[:-1]}
    others = [np.mean([of["mean"][k] for k in range(3) if k != row], axis=0) for row in range(3)]
    of["diffmean"] = of["mean"] - np.stack(others)
    owned = {tuple(row) for language in LANGUAGES for row in mask.neurons(language).tolist()}
    for row, language in enumerate(LANGUAGES):
        assert mask.controls(language) == tuple(range(1, 21))
        drawn = set()
        controls = [f"random{number}-{language}" for number in mask.controls(language)]
        for who in (language, *controls):
            assert mask.layer_counts(who) == mask.layer_counts(language)
            assert mask.statistics(who) == STORED
            for at, layer in mask.places(who):
                indices = mask.indices(who, at, layer)
                for statistic in STORED:
                    recorded = of[statistic][row, int(layer), indices]
                    stored = mask.values(who, at, layer, statistic)
                    np.testing.assert_allclose(stored, recorded, rtol=1e-6)
            neurons = frozenset(map(tuple, mask.neurons(who).tolist()))
            assert who == language or not neurons & owned
            drawn.add(neurons)
        assert len(drawn) == 21
        for place, indices in mask.draw_control(language, 7).items():
            assert (indices == mask.indices(f"random7-{language}", *place)).all()


def test_controls_matched_on_rate_fire_as_often():
    generator = np.random.RandomState(3)
    rates = generator.uniform(0, 0.99, size=(1, 2, 2000)).repeat(2, axis=0)
    # German neurons that fire at .6 to .9; what else does is found among the others.
    rates[1, :, :30] = 0.001
    rates[0, :, :30] = generator.uniform(0.6, 0.9, size=(2, 30))
    counts = (rates * 100_000).astype(np.int64)
    stats = ActivationStats.from_counts(counts, [100_000] * 2, ["de", "en"])
    options = {"top_rate": 0.015, "filter_rate": 0.1, "activation_bar_rate": 0.1}
    planted = [[layer, neuron] for layer in (0, 1) for neuron in range(30)]
    matched = identify(stats, controls_matched="rate", **options)
    plain = identify(stats, **options)
    assert found(matched)["de"] == found(plain)["de"] == planted
    assert matched.method.parameters["controls_matched"] == "rate"
    assert matched.controls("de") == tuple(range(1, 21))

    def rates_of(mask, who):
        return [np.sort(rates[0, at, mask.indices(who, "mlp.act", at)]) for at in (0, 1)]

    def distance(mask):
        own = np.array(rates_of(mask, "de"))
        return np.mean([np.abs(rates_of(mask, f"random{n}-de") - own) for n in range(1, 21)])

    assert distance(matched) < 0.02 < distance(plain)
    rows = [frozenset(map(tuple, matched.neurons(f"random{n}-de").tolist())) for n in range(1, 21)]
    assert {len(neurons) for neurons in rows} == {60}
    assert not any(neurons & set(map(tuple, planted)) for neurons in rows)
    assert len(set(rows)) == 20
    assert identify(stats, controls_matched="rate", **options) == matched


def test_stand_ins_come_from_the_nearest_rates():
    generator = np.random.RandomState(4)
    free = np.sort(generator.choice(np.linspace(0, 1, 60), size=150)).astype(np.float32)
    wanted = np.concatenate([generator.uniform(0, 1, size=40), [0, 1, -1, 2]]).astype(np.float32)
    starts, window = _windows(free, wanted)
    assert window == 20
    for start, rate in zip(starts, wanted, strict=True):
        nearest = np.sort(np.abs(free - rate))[:window]
        assert (np.sort(np.abs(free[start : start + window] - rate)) == nearest).all()


def crowded(mine, **given):
    counts = np.full((2, 1, 10), 5)
    counts[0, 0, :mine] = 90
    return ActivationStats.from_counts(counts, [100, 100], ["de", "en"], **given)


@pytest.mark.parametrize("matched", ["layer", "rate"])
def test_controls_use_up_all_that_is_free_and_no_more(matched):
    rates = {"top_rate": 0.5, "filter_rate": 0.5, "activation_bar_rate": 0.5}
    mask = identify(crowded(5), controls_matched=matched, **rates)
    assert mask.count("de") == 5
    assert mask.neurons("random20-de").tolist() == [[0, n] for n in range(5, 10)]
    rates["top_rate"] = 0.8
    mask = identify(crowded(8), controls_matched=matched, **rates)
    assert mask.count("de") == 8
    assert mask.controls("de") == ()
    assert "only 2 there" in mask.method.parameters["without_controls"]["de"]
    with pytest.raises(IdentificationError, match=r"only 2 there.*--controls 0"):
        identify(crowded(8), controls=3, controls_matched=matched, **rates)
    assert "without_controls" not in identify(crowded(8), controls=0, **rates).method.parameters


def test_method_parameters_are_stored_with_defaults_and_survive_the_file(tmp_path):
    stats, _ = planted_statistics()
    mask = identify(stats, top_rate=0.03, command="lsn-eval identify ...")
    parameters = mask.method.parameters
    threshold = parameters["threshold"]
    assert parameters == {
        "hookpoint": "mlp.act", "top_rate": 0.03, "filter_rate": 0.95, "activation_bar_rate": 0.95,
        "threshold": threshold, "activation_bar": threshold, "controls": 20,
        "controls_matched": "layer",
    }  # fmt: skip
    provenance = mask.provenance
    assert provenance["tokens"] == dict.fromkeys(LANGUAGES, TOKENS)
    assert provenance["corpora"]["de"] == [{"source": "made up"}]
    assert provenance["statistics"]["digest"] == stats.digest
    assert provenance["versions"]["numpy"] == np.__version__
    assert provenance["command"] == "lsn-eval identify ..."
    mask.save(tmp_path / "mask.safetensors")
    loaded = NeuronMask.load(tmp_path / "mask.safetensors")
    assert loaded == mask
    assert loaded.method == mask.method
    assert loaded.provenance == provenance
    assert loaded.model == mask.model


def test_every_method_is_a_table_entry_with_a_source_and_recordable_defaults():
    assert list(METHODS) == [
        "lape", "lap", "lave", "lape_lambda", "act_prob_90p", "average_precision", "plnd",
        "parameter_variation", "random",
    ]  # fmt: skip
    for name, method in METHODS.items():
        assert "arXiv" in (method.__doc__ or ""), name
        defaults = method_parameters(name).values()
        json.dumps([value for value in defaults if value is not inspect.Parameter.empty])


@pytest.mark.parametrize("method", [name for name in METHODS if name != "parameter_variation"])
def test_one_language_and_silent_languages_are_refused(method):
    given = {"weights": "no/such"} if method == "plnd" else {}
    counts = np.ones((2, 1, 50), np.int64)
    one = ActivationStats.from_counts(counts[:1], [9], ["de"])
    with pytest.raises(IdentificationError, match="one language alone"):
        identify(one, method, **given)
    silent = ActivationStats.from_counts(counts, [9, 0], ["de", "en"])
    with pytest.raises(IdentificationError, match="no tokens were recorded for en"):
        identify(silent, method, **given)
    with pytest.raises(IdentificationError, match="needs activation statistics"):
        identify(None, method, **given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "nonsense"}, "known are lape, lap"),
        ({"min_probability": 0.5}, "lape has no parameter min_probability; it has hookpoint, top_"),
        ({"top_rate": 1.5}, "between 0 and 1, not 1.5"),
        ({"filter_rate": "0.9"}, "between 0 and 1, not '0.9'"),
        ({"activation_bar_rate": float("nan")}, "between 0 and 1"),
        ({"hookpoint": "attn.q"}, "'attn.q' is not in these statistics, which have mlp.act"),
        ({"controls": -1}, "controls must be a whole number"),
        ({"controls_matched": "colour"}, "layer, rate, not 'colour'"),
        ({"method": "random", "seed": 2**32}, "below"),
        ({"method": "parameter_variation"}, "needs before and tuned"),
    ],
)
def test_errors_say_what_was_expected(arguments, message):
    stats, _ = planted_statistics()
    with pytest.raises(IdentificationError, match=message):
        identify(stats, **arguments)


def test_a_hookpoint_other_than_the_default_is_taken_when_it_is_the_only_one():
    stats = crowded(1, hookpoint="mlp.down_in")
    mask = identify(stats, top_rate=0.1)
    assert mask.hookpoints == ("mlp.down_in",)
    assert found(mask)["de"] == [[0, 0]]
