"""PROBELESS beside a slow reference written from the paper."""

from __future__ import annotations

import numpy as np
import pytest

from lsn_eval.facts.probeless import mean_jaccard, ranking, scores


def slow(means):
    """Antverg and Belinkov (2022, section 3.2), pair by pair."""
    labels, neurons = means.shape
    found = np.zeros((labels, neurons))
    for z in range(labels):
        for other in range(labels):
            for neuron in range(neurons):
                if other != z:
                    found[z, neuron] += abs(float(means[z, neuron]) - float(means[other, neuron]))
    return found / (labels - 1)


@pytest.mark.parametrize("labels", [2, 3, 17])
def test_scores_and_rankings_equal_a_slow_reference(labels):
    generator = np.random.RandomState(labels)
    means = generator.normal(size=(labels, 23)).astype(np.float32)
    means[:, 3] = 1.5  # a neuron that tells nothing apart
    means[: labels // 2, 5] = means[labels - 1, 5]  # ties
    got, expected = scores(means), slow(means)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    for label in range(labels):
        order = sorted(range(23), key=lambda neuron: (-expected[label, neuron], neuron))
        assert ranking(got[label]).tolist() == order or labels > 3
        assert ranking(got[label], 5).tolist() == ranking(got[label]).tolist()[:5]


def test_more_neurons_than_are_taken_at_once(monkeypatch):
    monkeypatch.setattr("lsn_eval.facts.probeless._NEURONS_AT_ONCE", 4)
    means = np.random.RandomState(0).normal(size=(5, 11))
    np.testing.assert_allclose(scores(means), slow(means), atol=1e-12)


def test_of_equal_scores_the_lower_number_comes_first():
    assert ranking(np.array([1.0, 3.0, 3.0, 0.0, 3.0])).tolist() == [1, 2, 4, 0, 3]


def test_one_label_cannot_be_told_from_others():
    with pytest.raises(ValueError, match="two at least"):
        scores(np.zeros((1, 3)))


def test_jaccard_of_top_neurons_is_the_mean_over_shared_facts():
    tops = {
        "de": {"a": np.array([1, 2]), "b": np.array([3, 4]), "c": np.array([9, 8])},
        "zh": {"a": np.array([2, 1]), "b": np.array([4, 5])},
        "fr": {"d": np.array([1, 2])},
    }
    found = mean_jaccard(tops)
    assert found["de", "zh"] == (pytest.approx((1 + 1 / 3) / 2), 2)
    assert found["de", "fr"] == (None, 0)
    assert list(found) == [("de", "zh"), ("de", "fr"), ("zh", "fr")]
