"""The scale of changes, and the one definition of selectivity."""

from __future__ import annotations

import math

import pytest

from lsn_eval.results.scale import scale_of, selectivity, shift


def test_a_shift_is_a_log_ratio_for_perplexities_and_else_a_difference():
    assert scale_of("token_perplexity") == "log"
    assert scale_of("bits_per_byte") == scale_of("acc") == "linear"
    assert shift(6.0, 3.0, "log") == pytest.approx(math.log(2))
    assert shift(0.25, 0.5, "linear") == -0.25
    for bad in (0.0, -1.0, math.nan, math.inf):
        assert shift(bad, 3.0, "log") is shift(3.0, bad, "log") is None
    assert shift(math.nan, 1.0, "linear") is None


def test_selectivity_is_the_own_shift_minus_the_mean_of_the_others():
    assert selectivity(1.0, [0.2, -0.4, 0.5]) == pytest.approx(0.9)
