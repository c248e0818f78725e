"""What is large, and where it stands among the controls."""

from __future__ import annotations

import pytest

from lsn_eval.comparing.selectivity import rank_p_value, size, strength


def test_nineteen_controls_can_show_one_in_twenty():
    assert rank_p_value(1.0, [0.1] * 19) == pytest.approx(0.05)
    assert rank_p_value(0.1, [0.1, 0.0]) == pytest.approx(2 / 3)  # a tie is as large
    assert rank_p_value(1.0, []) is None


@pytest.mark.parametrize(
    ("own", "others", "scale", "large"),
    [(0.3, 0.1, "log", 0.2), (-0.3, 0.1, "log", -0.4), (-0.3, 0.1, "linear", 0.2),
     (0.3, -0.4, "linear", -0.1)],
)  # fmt: skip
def test_a_rise_of_perplexity_is_large_and_any_move_of_the_rest(own, others, scale, large):
    assert strength(own, others, scale) == pytest.approx(large)
    assert size(own, scale) == (own if scale == "log" else 0.3)
