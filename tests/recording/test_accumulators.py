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
    """Blocks of every size, widths that do not fill a word, views, values far from 0; texts that
    end within blocks and go on in the next ones; as many threads as there may be, to the bit."""
    monkeypatch.setattr(SiteAccumulator, "_add_on_cpu", getattr(SiteAccumulator, path))
    monkeypatch.setattr(accumulators, "DEVICE_BLOCK_VALUES", 5 * width)
    generator = torch.Generator().manual_seed(0)
    wide = torch.nn.functional.silu(torch.randn(700, 2 * width, generator=generator)).to(dtype)
    wide[:, : width // 2] += 1000
    wide[3, width // 2 :], wide[4, width // 2 :] = 0.0, -0.0
    values = wide[:, :width]
    exact, texts = values.double().numpy(), ((1,), (300, 7, 205), (187,))
    ends = np.cumsum(sum(texts, ()))
    states = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        accumulator, counts = (
            SiteAccumulator(width, moments=True),
            SiteAccumulator(width, moments=False),
        )
        means = []
        for part, sizes in zip(values.split([1, 512, 187]), texts, strict=True):
            means += [accumulator.add(part, sizes).numpy()]
            np.testing.assert_allclose(counts.add(part, sizes), means[-1], rtol=1e-5, atol=1e-6)
            restored = SiteAccumulator(width, moments=True)
            restored.load(accumulator.state())
            accumulator = restored
        states.append(accumulator.state())
        expected = [rows.mean(0) for rows in np.split(exact, ends[:-1])]
        np.testing.assert_allclose(np.concatenate(means), expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(counts.state()["positive"], states[-1]["positive"])
        assert counts.finite
        counts.add(torch.where(values == values[9, 0], -torch.inf, values))
        assert not counts.finite
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    found = statistics_of(accumulator.state())
    np.testing.assert_array_equal(found["positive"], (exact > 0).sum(0))
    np.testing.assert_array_equal(found["max"], exact.max(0))
    np.testing.assert_allclose(found["mean"], exact.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found["variance"], exact.var(0), rtol=1e-4)
