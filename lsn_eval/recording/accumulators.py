"""Sums over tokens of what one site of a model puts out, kept on the device it runs on.

Per token and neuron this is a comparison and a sum for the counts, and a maximum, a subtraction, a
sum and a sum of products for the rest. On a CPU the values go through in blocks, all in the same
memory: page faults of fresh temporaries cost more than the arithmetic. NumPy does it there, whose
calls cost less than PyTorch's and which compares nine times as fast.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache, partial
from itertools import accumulate, chain, pairwise
from threading import get_ident
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

CPU_BLOCK_VALUES = 1 << 18
CPU_BLOCK_TOKENS = 64
"""Of a block at least: fewer would not be worth their own sums."""
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

    def add(self, values: torch.Tensor, texts: Sequence[int] = ()) -> torch.Tensor:
        """Count `values` [token, neuron] in, and return the mean [text, neuron] of each text.

        Args:
            texts: tokens of each text, where the values are texts one after the other.
        """
        self.tokens += len(values)
        if values.device.type == "mps":  # has no float64
            values = values.cpu()
        if values.device != self._device:
            self._device = values.device
            self._tensors = {name: t.to(values.device) for name, t in self._tensors.items()}
        if self.moments and "shift" not in self._tensors:
            self._tensors["shift"] = values[:BYTE_COUNTS].float().mean(0)
        if values.device.type == "cpu":
            return self._add_on_cpu(values, texts)
        return self._add_on_device(values, texts)

    def _add_on_device(self, values: torch.Tensor, texts: Sequence[int]) -> torch.Tensor:
        sums = self._tensors
        if not self.moments:
            # Nothing of it is fetched from a device, which would wait for it, until it is asked.
            small = values.new_full((self.width,), SMALL)
            sums["everything"] += torch.mv(values, small).sum(dtype=torch.float32)
        for block in values.split(max(1, DEVICE_BLOCK_VALUES // self.width)):
            sums["positive"] += (block > 0).sum(0)
            if self.moments:
                torch.maximum(sums["max"], block.amax(0).float(), out=sums["max"])
                distance = block.float() - sums["shift"]
                sums["sum"] += distance.sum(0)
                sums["squares"] += distance.square_().sum(0)
        means = values.new_empty((len(texts), self.width), dtype=torch.float32)
        for number, rows in enumerate(values.split([*texts]) if texts else ()):
            torch.mean(rows, 0, dtype=torch.float32, out=means[number])
        return means

    @np.errstate(all="ignore")  # what is not finite stays in the sums
    def _add_on_cpu(self, values: torch.Tensor, texts: Sequence[int]) -> torch.Tensor:
        blocks, firsts = _pieces(len(values), self.width, tuple(texts))
        sums = {name: tensor.numpy() for name, tensor in self._tensors.items()}
        known = values if values.itemsize == 2 else values.numpy()  # NumPy has no bfloat16
        summed = partial(_block_sums, known, sums.get("shift"))
        threads = torch.get_num_threads()
        each = _workers(threads).map if min(threads, len(blocks)) > 1 else map
        parts = zip(*each(summed, blocks), strict=True)
        words, highest, squares, totals = (np.array([*chain(*part)]) for part in parts)
        sums["positive"] += words.view(np.uint8)[:, : self.width].sum(0, dtype=np.int64)
        if self.moments:
            np.maximum(sums["max"], highest.max(0), out=sums["max"])
            sums["squares"] += squares.sum(0, dtype=np.float64)
            sums["sum"] += totals.sum(0, dtype=np.float64)
        else:
            sums["everything"] += totals.sum(dtype=np.float64)
        if not texts:
            return values.new_empty((0, self.width))
        means = np.add.reduceat(totals, firsts, axis=0) / np.array(texts)[:, None]
        return torch.from_numpy((means + sums.get("shift", 0)).astype(np.float32))


@lru_cache(maxsize=16)
def _pieces(
    tokens: int, width: int, texts: tuple[int, ...]
) -> tuple[list[tuple[int, ...]], list[int]]:
    """Where the pieces of each block begin, each of one text, and where the last one ends; and
    which piece is the first of each text."""
    size = max(CPU_BLOCK_TOKENS, CPU_BLOCK_VALUES // width)
    cuts = sorted({*range(0, tokens, size), *accumulate(texts), tokens})
    places = {cut: place for place, cut in enumerate(cuts)}
    ends = [*(places[start] for start in range(0, tokens, size)), len(cuts) - 1]
    blocks = [tuple(cuts[first : last + 1]) for first, last in pairwise(ends)]
    return blocks, [places[first] for first in accumulate(texts[:-1], initial=0)]


@np.errstate(all="ignore")
def _block_sums(
    values: torch.Tensor | NDArray[Any], shift: NDArray[np.float32] | None, bounds: tuple[int, ...]
) -> tuple[list[NDArray[Any]], ...]:
    """Of a block of `values` [token, neuron], whose pieces are between `bounds`: counts of values
    above 0, in bytes, eight to a word; with a shift maximum and sum of squared distances from it;
    and of every piece the sum of distances, without a shift of values; all [neuron]."""
    block = values[bounds[0] : bounds[-1]]
    tokens, width = block.shape
    precise = np.float64 if values.dtype == np.float64 else np.float32
    above, buffer = _memory(get_ident(), tokens, width, precise)
    if isinstance(block, torch.Tensor):
        block = torch.from_numpy(buffer).copy_(block).numpy()
    np.greater(block, 0, out=above[:, :width])
    words, starts = above.view(np.int64), range(0, tokens, BYTE_COUNTS)
    counts = [np.add.reduce(words[start : start + BYTE_COUNTS], axis=0) for start in starts]
    highest, squares = [], []
    if shift is not None:
        highest = [np.maximum.reduce(block, axis=0)]
        block = np.subtract(block, shift, out=buffer)
        squares = [np.einsum("ij,ij->j", block, block)]
    pieces = pairwise(bound - bounds[0] for bound in bounds)
    return counts, highest, squares, [np.add.reduce(block[a:b], axis=0) for a, b in pieces]


@lru_cache(maxsize=64)
def _memory(
    thread: int, tokens: int, width: int, dtype: type
) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """For a thread's blocks: comparison results, padded to words with zeros, and values."""
    return np.zeros((tokens, -(-width // 8) * 8), np.bool_), np.empty((tokens, width), dtype)


@cache
def _workers(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


if hasattr(os, "register_at_fork"):  # a copy of the process has none of these threads
    os.register_at_fork(after_in_child=_workers.cache_clear)


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
