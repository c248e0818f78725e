"""LAPE against a slow reference written from the paper, and against published counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from builders.reference import REFERENCE, needs_reference

from lsn_eval.identification import IdentificationError, identify
from lsn_eval.identification.selection import kth_value, probabilities
from lsn_eval.masks.imports import import_lists
from lsn_eval.statistics import ActivationStats


def slow_lape(counts, tokens, top_rate, filter_rate, bar_rate):
    """Tang et al. (2024), one neuron at a time. Returns neurons [(layer, neuron)] per language.

    Probabilities and entropies are rounded to float32, as the published scripts compute them, so
    that equal ones are equal.
    """
    languages, layers, width = counts.shape
    p = {at: float(np.float32(int(n) / int(tokens[at[0]]))) for at, n in np.ndenumerate(counts)}
    ordered = sorted(p.values())

    def quantile(rate):
        return ordered[min(max(round(rate * len(ordered)), 1), len(ordered)) - 1]

    threshold, bar = quantile(filter_rate), quantile(bar_rate)
    ranked = []
    for layer, neuron in np.ndindex(layers, width):
        mine = [p[k, layer, neuron] for k in range(languages)]
        if any(value > threshold for value in mine):
            shares = [value / math.fsum(mine) for value in mine]
            entropy = -math.fsum(share * math.log(share) for share in shares if share > 0)
            ranked.append((float(np.float32(entropy)), layer, neuron))
    kept = sorted(ranked)[: round(top_rate * layers * width)]
    return [
        sorted((layer, neuron) for _, layer, neuron in kept if p[k, layer, neuron] > bar)
        for k in range(languages)
    ]


def slow_lape_lambda(counts, tokens, top_rate, weight, bar_rate):
    """Zhang et al. (2025), one neuron at a time; rounded as `slow_lape` is. Returns neurons
    [(layer, neuron)] per language."""
    languages, layers, width = counts.shape
    p = {at: float(np.float32(int(n) / int(tokens[at[0]]))) for at, n in np.ndenumerate(counts)}
    ordered = sorted(p.values())
    bar = ordered[min(max(round(bar_rate * len(ordered)), 1), len(ordered)) - 1]
    harmonic = sum(1 / k for k in range(1, languages + 1))
    ranked = []
    for layer, neuron in np.ndindex(layers, width):
        mine = [p[k, layer, neuron] for k in range(languages)]
        if any(mine):
            shares = [value / math.fsum(mine) for value in mine]
            entropy = -math.fsum(share * math.log(share) for share in shares if share > 0)
            relative = float(np.float32(entropy)) / math.log(languages)
            score = relative - weight * max(mine) / (harmonic / languages)
            ranked.append((float(np.float32(score)), layer, neuron))
    kept = sorted(ranked)[: round(top_rate * layers * width)]
    return [
        sorted((layer, neuron) for _, layer, neuron in kept if p[k, layer, neuron] > bar)
        for k in range(languages)
    ]


def random_counts(seed):
    """Counts with everything that goes wrong: ties, zeros, never-firing neurons, p above 1."""
    generator = np.random.RandomState(seed)
    languages, layers, width = generator.randint(2, 6), generator.randint(1, 5), 60
    tokens = generator.choice([7, 40, 1000, 99991], size=languages)
    rates = generator.beta(0.4, 1.2, size=(languages, layers, width))
    rates[generator.uniform(size=rates.shape) < 0.2] = 0
    rates[:, :, :6] = 0  # never fires
    rates[:, :, 6:16] = rates[:1, :, 6:16]  # the same in every language
    rates[:, :, 16:22] = rates[:, :, 22:28]  # ties between neurons
    rates[:, :, 28:34] = rates[::-1, :, 22:28]  # the same rates, in other languages
    counts = np.floor(rates * tokens[:, None, None]).astype(np.int64)
    counts[0, 0, 40] = tokens[0] + 1
    return counts, tokens


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize(
    ("top_rate", "filter_rate", "bar_rate"),
    [(0.01, 0.95, 0.95), (0.3, 0.5, 0.5), (0.2, 0.6, 0.8), (0.9, 0.7, 0.2), (1, 0, 0)],
)
def test_equals_slow_reference(seed, top_rate, filter_rate, bar_rate):
    counts, tokens = random_counts(seed)
    names = ["en", "de", "tr", "zh", "fr"][: len(tokens)]
    stats = ActivationStats.from_counts(counts, tokens, names)
    rates = {"filter_rate": filter_rate, "activation_bar_rate": bar_rate}
    mask = identify(stats, "lape", top_rate=top_rate, **rates)
    assert mask.languages == tuple(names)
    found = [list(map(tuple, mask.neurons(name).tolist())) for name in names]
    assert found == slow_lape(counts, tokens, top_rate, filter_rate, bar_rate)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("top_rate", "weight", "bar"), [(0.1, 0, 0.95), (0.3, 0.11, 0.6), (1, 1, 0)]
)
def test_lambda_equals_a_slow_reference_and_can_be_searched(seed, top_rate, weight, bar):
    counts, tokens = random_counts(seed)
    names = ["en", "de", "tr", "zh", "fr"][: len(tokens)]
    stats = ActivationStats.from_counts(counts, tokens, names)

    def found(mask):
        return [list(map(tuple, mask.neurons(name).tolist())) for name in names]

    rates = {"top_rate": top_rate, "activation_bar_rate": bar}
    mask = identify(stats, "lape_lambda", weight=weight, **rates)
    assert found(mask) == slow_lape_lambda(counts, tokens, top_rate, weight, bar)
    searched = identify(stats, "lape_lambda", **rates)
    largest = searched.method.parameters["weight"]
    assert found(searched) == slow_lape_lambda(counts, tokens, top_rate, largest, bar)
    general = [set.intersection(*map(set, slow_lape_lambda(counts, tokens, top_rate, at, bar)))
               for at in (largest, largest + 2e-3)]  # fmt: skip
    assert (not general[0] and (general[1] or largest > 0.198)) or largest == 0


RELEASED = REFERENCE / "njunlp"


@pytest.mark.skipif(
    not RELEASED.is_dir(), reason="NJUNLP's counts and mask are not beside this checkout"
)
def test_released_counts_give_the_released_mask_of_ten_languages():
    """Mistral, counts of answers alone: full text less its prompt."""
    names = ["en", "ru", "es", "fr", "de", "zh", "ja", "bn", "th", "sw"]
    counts, tokens = [], []
    for name in names:
        whole, prompt = (
            torch.load(RELEASED / f"{kind}activation.{name}.pt", weights_only=True)
            for kind in ("", "prefix.")
        )
        counts.append((whole["over_zero"].long() - prompt["over_zero"].long()).clamp(min=0).numpy())
        tokens.append(whole["total_tokens"] - prompt["total_tokens"])
    released = import_lists(RELEASED / "mask", languages=names, layers=32, width=14336)
    stats = ActivationStats.from_counts(np.stack(counts), tokens, names)
    mask = identify(stats, "lape_lambda", controls=0)
    assert mask.method.parameters["weight"] == 0.109375
    assert all(mask.neurons(name).tolist() == released.neurons(name).tolist() for name in names)


def published_counts():
    loaded = [
        torch.load(REFERENCE / "activations" / f"{name}.llama-7b.pt", weights_only=True)
        for name in ("en", "de", "tr")
    ]
    counts = np.stack([entry["over_zero"].numpy() for entry in loaded])
    return counts, [int(entry["n"]) for entry in loaded]


@needs_reference
@pytest.mark.slow
def test_published_counts_give_the_published_figures():
    counts, tokens = published_counts()
    mask = identify(ActivationStats.from_counts(counts, tokens, ["en", "de", "tr"]))
    counted = {name: mask.count(name) for name in mask.languages}
    assert counted == {"en": 80, "de": 1186, "tr": 2387}
    assert mask.method.name == "lape"
    assert mask.method.parameters["threshold"] == 0.6512024402618408
    assert mask.method.parameters["activation_bar"] == 0.6512024402618408
    union = {tuple(row) for name in mask.languages for row in mask.neurons(name).tolist()}
    assert len(union) == round(0.01 * 32 * 11008)
    turned = ActivationStats.from_counts(counts[::-1], tokens[::-1], ["tr", "de", "en"])
    other = identify(turned, controls=0)
    assert other.languages == ("tr", "de", "en")
    for name in mask.languages:
        assert (other.neurons(name) == mask.neurons(name)).all()


@needs_reference
@pytest.mark.parametrize(
    ("position", "threshold"),
    [(0, 0.5280590057373047), (1, 0.6435436010360718), (2, 0.7302824854850769)],
)
def test_a_single_language_is_refused_though_it_has_a_threshold(position, threshold):
    counts, tokens = published_counts()
    name = ["en", "de", "tr"][position]
    stats = ActivationStats.from_counts(counts[position][None], [tokens[position]], [name])
    assert float(kth_value(probabilities(stats, "mlp.act"), 0.95)) == threshold
    with pytest.raises(IdentificationError, match=f"one language alone.*{name}"):
        identify(stats)


def test_counts_from_2_to_the_24_up_divide_exactly():
    count, tokens = 31817063, 74753033
    assert np.float32(count) / np.float32(tokens) != np.float32(count / tokens)
    stats = ActivationStats.from_counts(np.full((2, 1, 4), count), [tokens] * 2, ["de", "en"])
    assert (probabilities(stats, "mlp.act") == np.float32(count / tokens)).all()


def test_a_language_without_neurons_stays_in_the_mask():
    counts = np.full((3, 2, 50), 10)
    counts[0, 1, 7] = 100
    mask = identify(ActivationStats.from_counts(counts, [100] * 3, ["de", "en", "vi"]))
    assert mask.languages == ("de", "en", "vi")
    assert mask.neurons("de").tolist() == [[1, 7]]
    assert mask.neurons("vi").shape == (0, 2)
    assert [len(mask.controls(name)) for name in mask.languages] == [20, 0, 0]


@pytest.mark.parametrize("rate", [0, 1e-9, 0.001, 0.05, 0.5, 0.95, 0.999, 1])
def test_kth_value_is_torch_kthvalue(rate):
    values = np.random.RandomState(0).randint(0, 50, size=(2, 3, 101)).astype(np.float32)
    before = values.copy()
    k = max(round(values.size * rate), 1)
    expected = torch.from_numpy(values).flatten().kthvalue(k).values.item()
    assert float(kth_value(values, rate)) == expected
    assert (values == before).all()
