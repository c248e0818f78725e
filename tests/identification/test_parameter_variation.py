"""Parameter variation finds the neurons whose weights tuning changed, in every family."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders.models import LAYERS, WIDTH, tiny_model
from builders.tuned import PLANTED, PROJECTIONS, tune

from lsn_eval.identification import IdentificationError, identify
from lsn_eval.models.hookpoints import resolve
from lsn_eval.models.layout import ModelLayout
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


def test_planted_changes_are_found_in_every_family(family):
    before = tiny_model(family)
    tuned = {name: tune(before, rows, seed=n) for n, (name, rows) in enumerate(PLANTED.items())}
    mask = identify(
        None,
        "parameter_variation",
        before=before,
        tuned=tuned,
        **ten_of(LAYERS * resolve(before).widths()["mlp.act"]),
    )
    assert {name: mask.neurons(name).tolist() for name in mask.languages} == EXPECTED
    assert mask.model.type == family
    assert mask.model.widths == {"mlp.act": resolve(before).widths()["mlp.act"]}
    assert mask.controls("de") == tuple(range(1, 21))


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_change_of_one_projection_is_found(projection):
    before = tiny_model("llama")
    tuned = {name: tune(before, rows, moved=[projection]) for name, rows in PLANTED.items()}
    mask = identify(None, "parameter_variation", before=before, tuned=tuned, **TEN)
    assert {name: mask.neurons(name).tolist() for name in mask.languages} == EXPECTED


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
    tuned = {name: models[name] for name in PLANTED}
    loaded = identify(None, "parameter_variation", before=models["before"], tuned=tuned, **RATES)
    paths = {name: tmp_path / name for name in PLANTED}
    read = identify(None, "parameter_variation", before=tmp_path / "before", tuned=paths, **RATES)
    assert read == loaded
    assert read.method.parameters["tuned"] == {name: str(path) for name, path in paths.items()}


def test_longer_tuning_does_not_own_every_neuron():
    before = tiny_model("llama")
    tuned = {
        "de": tune(before, PLANTED["de"], scale=1, seed=0),
        "fr": tune(before, PLANTED["fr"], scale=60, seed=1),
    }
    even = identify(None, "parameter_variation", before=before, tuned=tuned, **TEN)
    assert {name: even.neurons(name).tolist() for name in even.languages} == EXPECTED
    raw = identify(None, "parameter_variation", before=before, tuned=tuned, equalize=False, **TEN)
    assert raw.count("de") == 0


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
    mask = identify(stats, "parameter_variation", before=before, tuned=tuned, **RATES)
    assert mask.languages == ("de", "fr")
    assert mask.statistics("fr") == ("mean",)
    indices = mask.indices("fr", "mlp.act", 0)
    expected = stats.get("mlp.act", "mean")[1, 0, indices].astype(np.float32)
    assert (mask.values("fr", "mlp.act", 0, "mean") == expected).all()
    with pytest.raises(IdentificationError, match="no language fr"):
        identify(
            statistics_of(["de", "en"]), "parameter_variation", before=before, tuned=tuned, **RATES
        )
    with pytest.raises(IdentificationError, match="another model"):
        other = statistics_of(["de", "fr"], width=WIDTH + 1)
        identify(other, "parameter_variation", before=before, tuned=tuned, **RATES)


def test_errors(tmp_path):
    before = tiny_model("llama")
    de = tune(before, PLANTED["de"])
    with pytest.raises(IdentificationError, match="of 1 languages"):
        identify(None, "parameter_variation", before=before, tuned={"de": de})
    with pytest.raises(IdentificationError, match="of fr differs from the one before"):
        identify(None, "parameter_variation", before=before, tuned={"de": de, "fr": before})
    with pytest.raises(IdentificationError, match="must come from the one before"):
        identify(
            None, "parameter_variation", before=before, tuned={"de": de, "fr": tiny_model("gpt2")}
        )
    with pytest.raises(IdentificationError, match=r"config\.json"):
        identify(None, "parameter_variation", before=tmp_path, tuned={"de": de, "fr": de})
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(IdentificationError, match="merge it"):
        identify(None, "parameter_variation", before=before, tuned={"de": de, "fr": tmp_path})
    (tmp_path / "config.json").write_text('{"model_type": "unheard_of"}')
    with pytest.raises(IdentificationError, match="'unheard_of' is not supported"):
        identify(None, "parameter_variation", before=tmp_path, tuned={"de": de, "fr": de})
    for odd in ('{"model_type": ["llama"]}', "[" * 9999, '{"model_type": "\\ud800"}', "3"):
        (tmp_path / "config.json").write_text(odd)
        with pytest.raises(IdentificationError, match=r"config\.json"):
            identify(None, "parameter_variation", before=tmp_path, tuned={"de": de, "fr": de})
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(IdentificationError, match="no weights"):
        identify(None, "parameter_variation", before=tmp_path, tuned={"de": de, "fr": de})
