"""Sums over tokens of what one site of a model puts out, kept on the device it runs on.

Per token and neuron this is a comparison and a sum for the counts, and a subtraction, two sums, a
product and a maximum for the rest. On a CPU the values go through in blocks that stay in its
cache, in buffers made once: page faults of fresh temporaries cost more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

CPU_BLOCK_VALUES = 1 << 17
DEVICE_BLOCK_VALUES = 1 << 26
BYTE_COUNTS = 255
"""Rows whose comparison results fit into a byte when they are added up."""


SMALL = 2.0**-24
"""A factor that keeps the sum of a token's values finite wherever each of them is."""


class SiteAccumulator:
    """Counts, and with `moments` also sums, squares and maxima, of `width` neurons.

    Sums are of the values' distance from `shift`, the mean of the first tokens seen, so that the
    variance of a neuron whose mean is far from 0 does not cancel out. Without them one sum of all
    values is kept, in which one that is not finite stays: that no value is above 0 says nothing.
    """

    def __init__(self, width: int, *, moments: bool) -> None:
        self.width = width
        self.moments = moments
        self.tokens = 0
        self._tensors: dict[str, torch.Tensor] = {}
        self._buffers: dict[str, torch.Tensor] = {}
        self._device: torch.device | None = None
        self.load({})

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `state`; an empty one starts anew."""
        fresh: dict[str, NDArray[Any]] = {"positive": np.zeros(self.width, np.int64)}
        if self.moments:
            fresh |= {
                "sum": np.zeros(self.width),
                "squares": np.zeros(self.width),
                "max": np.full(self.width, -np.inf, np.float32),
            }
        else:
            fresh["everything"] = np.zeros(1)
        self.tokens = int(state.get("tokens", [0])[0])
        self._tensors = {
            name: torch.from_numpy(np.array(array))
            for name, array in {**fresh, **state}.items()
            if name != "tokens"
        }
        self._device = None

    def state(self) -> dict[str, NDArray[Any]]:
        """Every sum, the tokens, and the shift once a token was seen."""
        sums = {name: tensor.cpu().numpy().copy() for name, tensor in self._tensors.items()}
        return {**sums, "tokens": np.array([self.tokens])}

    @property
    def finite(self) -> bool:
        """Whether every value that was counted in is a finite number."""
        total = self._tensors["squares" if self.moments else "everything"]
        return bool(torch.isfinite(total).all())

    def add(self, values: torch.Tensor) -> None:
        """Count `values` [token, neuron] in."""
        self.tokens += len(values)
        if values.device.type == "mps":  # has no float64
            values = values.cpu()
        if values.device != self._device:
            self._device = values.device
            self._tensors = {name: t.to(values.device) for name, t in self._tensors.items()}
            self._buffers = {}
        if self.moments and "shift" not in self._tensors:
            self._tensors["shift"] = values[:BYTE_COUNTS].float().mean(0)
        if not self.moments:
            # Nothing of it is fetched from a device, which would wait for it, until it is asked.
            small = values.new_full((self.width,), SMALL)
            self._tensors["everything"] += torch.mv(values, small).sum(dtype=torch.float32)
        if values.device.type == "cpu":
            self._add_on_cpu(values)
        else:
            self._add_on_device(values)

    def _add_on_device(self, values: torch.Tensor) -> None:
        sums = self._tensors
        for block in values.split(max(1, DEVICE_BLOCK_VALUES // self.width)):
            sums["positive"] += (block > 0).sum(0)
            if self.moments:
                torch.maximum(sums["max"], block.amax(0).float(), out=sums["max"])
                distance = block.float() - sums["shift"]
                sums["sum"] += distance.sum(0)
                sums["squares"] += distance.square_().sum(0)

    def _add_on_cpu(self, values: torch.Tensor) -> None:
        rows = max(1, min(BYTE_COUNTS, CPU_BLOCK_VALUES // self.width))
        if not self._buffers:
            # Eight byte counters to a 64-bit word: comparison results are added up as words.
            words = -(-self.width // 8)
            self._buffers = {
                "above": torch.zeros(rows, words * 8, dtype=torch.bool),
                "distance": torch.empty(rows, self.width),
            }
        sums = self._tensors
        for block in values.split(rows):
            above = self._buffers["above"][: len(block)]
            # NumPy compares nine times as fast as PyTorch, which was more than half of everything.
            np.greater(_signed(block), 0, out=above[:, : self.width].numpy())
            counted = above.view(torch.int64).sum(0).view(torch.uint8)[: self.width]
            sums["positive"] += counted
            if self.moments:
                distance = self._buffers["distance"][: len(block)]
                torch.maximum(sums["max"], block.amax(0).float(), out=sums["max"])
                torch.sub(block, sums["shift"], out=distance)
                sums["sum"] += distance.sum(0)
                sums["squares"] += distance.square_().sum(0)


def _signed(values: torch.Tensor) -> NDArray[Any]:
    """What is above 0 where the values are, which are no NaN: NumPy has no bfloat16, and computes
    float16 one by one, but both are ordered as their bits."""
    return (values.view(torch.int16) if values.itemsize == 2 else values).numpy()


def statistics_of(state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Statistics [neuron] from an accumulator's state, over the tokens that it counted."""
    statistics = {"positive": state["positive"]}
    if "sum" in state:
        count = max(1, int(state["tokens"][0]))
        distance = state["sum"] / count
        shift = state.get("shift", np.zeros(1, np.float32)).astype(np.float64)
        statistics |= {
            "mean": shift + distance,
            "variance": np.maximum(0, state["squares"] / count - distance**2),
            "max": state["max"],
        }
    return statistics
