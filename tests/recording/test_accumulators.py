"""Sums over tokens: blocks of every size, on a CPU and the way of other devices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lsn_eval.recording import accumulators
from lsn_eval.recording.accumulators import SiteAccumulator, statistics_of


@pytest.mark.parametrize("path", ["_add_on_cpu", "_add_on_device"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("width", [1, 8, 13, 2048])
def test_both_ways_of_adding(
    path: str, dtype: torch.dtype, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of every size, widths that do not fill a word, views, values far from 0."""
    monkeypatch.setattr(SiteAccumulator, "_add_on_cpu", getattr(SiteAccumulator, path))
    monkeypatch.setattr(accumulators, "DEVICE_BLOCK_VALUES", 5 * width)
    generator = torch.Generator().manual_seed(0)
    wide = torch.nn.functional.silu(torch.randn(700, 2 * width, generator=generator)).to(dtype)
    wide[:, : width // 2] += 1000
    wide[3, width // 2 :], wide[4, width // 2 :] = 0.0, -0.0
    values = wide[:, :width]
    accumulator = SiteAccumulator(width, moments=True)
    for part in (values[:1], values[1:513], values[513:]):
        accumulator.add(part)
        restored = SiteAccumulator(width, moments=True)
        restored.load(accumulator.state())
        accumulator = restored
    found = statistics_of(accumulator.state())
    exact = values.double().numpy()
    np.testing.assert_array_equal(found["positive"], (exact > 0).sum(0))
    np.testing.assert_array_equal(found["max"], exact.max(0))
    np.testing.assert_allclose(found["mean"], exact.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found["variance"], exact.var(0), rtol=1e-4)
