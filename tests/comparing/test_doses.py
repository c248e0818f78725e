"""How much of one thing a condition does, and what is one series of doses."""

from __future__ import annotations

import pytest

from lsn_eval.comparing import dose_series
from lsn_eval.comparing.doses import Dose, dose_of


@pytest.mark.parametrize(
    ("condition", "dose"),
    [
        ("de:x0.5", Dose(("de",), "scale", 0.5)),
        ("de:zero", Dose(("de",), "scale", 0.0)),
        ("de:x0", Dose(("de",), "scale", 0.0)),
        ("de:1.5", Dose(("de",), "value", 1.5)),
        ("de:+1.5", Dose(("de",), "added", 1.5)),
        ("de:+0", Dose(("de",), "added", 0.0)),
        ("de:x0.5/zh:x0.5", Dose(("de", "zh"), "scale", 0.5)),
        ("de:zero/zh:x0", Dose(("de", "zh"), "scale", 0.0)),
        ("de:x0.5/zh:x0.2", None),
        ("de:x0.5/zh:0.5", None),
        ("de:mean", Dose(("de",), "multiple", 1.0, "mean")),
        ("de:0.5mean/zh:0.5mean", Dose(("de", "zh"), "multiple", 0.5, "mean")),
        ("de:+1.5diffmean@last", Dose(("de@last",), "multiple", 1.5, "+diffmean")),
        ("de:mean/zh:0.5mean", None),
        ("de:mean/zh:max", None),
        ("de:+mean/zh:mean", None),
        ("full:tuned-0a1b2c3d", None),
        ("none", None),
    ],
)
def test_the_dose_of_a_condition(condition, dose):
    assert dose_of(condition) == dose


def test_a_series_counts_once_by_its_strongest_dose():
    conditions = [
        "none", "de:x0.5", "de:x3", "de:zero", "de:x0.25", "de:2", "de:-5", "de:+1", "de:mean",
        "de:0.5mean", "de:1.5mean", "de:+2mean", "de:2max", "zh:x0.5", "zh:zero/de:zero", "de:x0.5/zh:x0.5",
    ]  # fmt: skip
    assert dose_series(conditions) == {
        "de:zero": ("de:x3", "de:x0.25", "de:x0.5"),
        "de:-5": ("de:2",),
        "de:+1": (),
        "de:1.5mean": ("de:mean", "de:0.5mean"),
        "de:+2mean": (),
        "de:2max": (),
        "zh:x0.5": (),
        "zh:zero/de:zero": ("de:x0.5/zh:x0.5",),
    }
