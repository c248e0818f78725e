"""Parameter variation finds the neurons whose weights tuning changed, in every family."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders.architectures import LAYERS, WIDTH, tiny_model
from builders.tuned import PLANTED, PROJECTIONS, tune

from lsn_eval.errors import StatisticsError
from lsn_eval.identification import IdentificationError, identify
from lsn_eval.models.layout import ModelLayout
from lsn_eval.models.resolving import resolve
from lsn_eval.statistics import ActivationStats

RATES = {"top_rate": 0.2, "filter_rate": 0.8, "activation_bar_rate": 0.8}


def ten_of(neurons):
    """As many neurons as are planted, and a bar that as many of all rates are above."""
    bar = 1 - 10 / (len(PLANTED) * neurons)
    return {"top_rate": 10 / neurons, "filter_rate": 0.8, "activation_bar_rate": bar}


TEN = ten_of(LAYERS * WIDTH)
EXPECTED = {
    language: [[layer, neuron] for layer in range(LAYERS) for neuron in by_layer[layer]]
    for language, by_layer in PLANTED.items()
}


def variation(before, tuned, stats=None, **parameters):
    return identify(stats, "parameter_variation", before=before, tuned=tuned, **parameters)


def found(mask):
    return {name: mask.neurons(name).tolist() for name in mask.languages}


def test_planted_changes_are_found_in_every_family(family):
    before = tiny_model(family)
    tuned = {name: tune(before, rows, seed=n) for n, (name, rows) in enumerate(PLANTED.items())}
    width = resolve(before).width("mlp.act")
    mask = variation(before, tuned, **ten_of(LAYERS * width))
    assert found(mask) == EXPECTED
    assert mask.model.type == family
    assert mask.model.widths == {"mlp.act": width}
    assert mask.controls("de") == tuple(range(1, 21))


def test_the_low_reading_equals_a_loop_over_neurons():
    """The share of neurons that a language's tuning changed more, under the rule of LAPE."""
    before = tiny_model("llama")
    tuned = {name: tune(before, rows, seed=n) for n, (name, rows) in enumerate(PLANTED.items())}
    mask = variation(before, tuned, reading="low", **RATES)
    of, rates = resolve(before).sites, {}
    for name, model in tuned.items():
        after = resolve(model).sites
        for layer, neuron in np.ndindex(LAYERS, WIDTH):
            parts = []
            for at in PROJECTIONS:
                pair = [sites[at][str(layer)].module.weight.detach() for sites in (of, after)]
                parts.append([w[:, neuron] if at == "mlp.down" else w[neuron] for w in pair])
            change = sum(float((new - old).double().square().sum()) for old, new in parts)
            size = sum(float(old.double().square().sum()) for old, _ in parts)
            rates[name, layer, neuron] = (change / size) ** 0.5
    total = LAYERS * WIDTH
    shares = {}
    for (name, layer, neuron), rate in rates.items():
        above = sum(rates[name, *at] > rate for at in np.ndindex(LAYERS, WIDTH))
        shares[name, layer, neuron] = above / total
    bar = sorted(shares.values())[round(0.8 * 2 * total) - 1]
    ranked = []
    for at in np.ndindex(LAYERS, WIDTH):
        mine = [shares[name, *at] for name in tuned]
        if max(mine) > bar:
            q = [value / sum(mine) for value in mine]
            ranked.append((-sum(x * np.log(x) for x in q if x), *at))
    kept = [list(at) for _, *at in sorted(ranked)[: round(0.2 * total)]]
    for name in tuned:
        assert found(mask)[name] == sorted(at for at in kept if shares[name, *at] > bar)
    with pytest.raises(IdentificationError, match="reading must be high or low, not 'own'"):
        variation(before, tuned, reading="own")


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_change_of_one_projection_is_found(projection):
    before = tiny_model("llama")
    tuned = {name: tune(before, rows, moved=[projection]) for name, rows in PLANTED.items()}
    assert found(variation(before, tuned, **TEN)) == EXPECTED


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_checkpoint_folders_give_the_same_mask(family, safe, tmp_path):
    models = {"before": tiny_model(family)}
    models |= {name: tune(models["before"], rows, seed=3) for name, rows in PLANTED.items()}
    for name, model in models.items():
        if safe:
            model.save_pretrained(tmp_path / name)
        else:
            model.config.save_pretrained(tmp_path / name)
            torch.save(model.state_dict(), tmp_path / name / "pytorch_model.bin")
    before = models.pop("before")
    paths = {name: tmp_path / name for name in PLANTED}
    read = variation(tmp_path / "before", paths, **RATES)
    assert read == variation(before, models, **RATES)
    assert read.method.parameters["tuned"] == {name: str(path) for name, path in paths.items()}


def test_longer_tuning_does_not_own_every_neuron():
    before = tiny_model("llama")
    tuned = {
        "de": tune(before, PLANTED["de"], scale=1, seed=0),
        "fr": tune(before, PLANTED["fr"], scale=60, seed=1),
    }
    assert found(variation(before, tuned, **TEN)) == EXPECTED
    assert variation(before, tuned, equalize=False, **TEN).count("de") == 0


def statistics_of(languages, layers=LAYERS, width=WIDTH):
    shape = (len(languages), layers, width)
    mean = np.random.RandomState(0).normal(size=shape)
    return ActivationStats(
        model=ModelLayout.numbered(layers, {"mlp.act": width}, type="llama"),
        languages=tuple(languages),
        tokens=dict.fromkeys(languages, 10),
        arrays={"mlp.act": {"positive": np.ones(shape, np.int64), "mean": mean}},
    )


def test_statistics_add_values_to_steer_with():
    before = tiny_model("llama")
    tuned = {name: tune(before, rows, seed=3) for name, rows in PLANTED.items()}
    stats = statistics_of(["en", "fr", "de"])
    mask = variation(before, tuned, stats, **RATES)
    assert mask.languages == ("de", "fr")
    assert mask.statistics("fr") == ("mean", "diffmean")
    indices = mask.indices("fr", "mlp.act", 0)
    expected = stats.get("mlp.act", "mean")[1, 0, indices].astype(np.float32)
    assert (mask.values("fr", "mlp.act", 0, "mean") == expected).all()
    with pytest.raises(StatisticsError, match="no language 'fr'; they have de, en"):
        variation(before, tuned, statistics_of(["de", "en"]), **RATES)
    with pytest.raises(IdentificationError, match="another model"):
        variation(before, tuned, statistics_of(["de", "fr"], width=WIDTH + 1), **RATES)


def test_errors(tmp_path):
    before = tiny_model("llama")
    de = tune(before, PLANTED["de"])

    def refused(message, first=before, **tuned):
        with pytest.raises(IdentificationError, match=message):
            variation(first, {"de": de} | tuned)

    refused("of 1 languages")
    refused("of fr differs from the one before", fr=before)
    refused("must come from the one before", fr=tiny_model("gpt2"))
    refused(r"config\.json", tmp_path, fr=de)
    (tmp_path / "adapter_config.json").write_text("{}")
    refused("merge it", fr=tmp_path)
    for config, message in (
        ('{"model_type": "unheard_of"}', "'unheard_of' is not supported"),
        ('{"model_type": ["llama"]}', r"config\.json"),
        ("[" * 9999, r"config\.json"),
        ('{"model_type": "\\ud800"}', r"config\.json"),
        ("3", r"config\.json"),
        ('{"model_type": "llama"}', "no weights"),
    ):
        (tmp_path / "config.json").write_text(config)
        refused(message, tmp_path, fr=de)
