"""Paired bootstrap and randomisation over documents, seeded, with draws shared by a whole table.

The bootstrap draws documents with replacement (Koehn 2004, section 3); the randomisation swaps the
two conditions document by document (Riezler and Maxwell 2005, section 3). Both take any statistic
of sums over documents, so that every cell of a table is one matrix product with the same draws.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lsn_eval.comparing.kinds import Kind, Numbers
from lsn_eval.comparing.scores import Scores
from lsn_eval.errors import LsnError

UNDEFINED = 0.01
"""Share of resamples without a number (no document left to divide by) that an interval bears."""
FEW = 30
"""Documents below which percentile intervals are too short, see docs/compare.md."""
_AT_ONCE = 2_000_000
"""Numbers in one block of draws."""
_REMEMBERED = 4_000_000
"""Draws up to this many numbers are remembered for the next cell."""


@dataclass(frozen=True)
class Draws:
    """How often, from which seed, and how sure."""

    resamples: int = 2000
    permutations: int = 9999
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 100 or self.permutations < 99:
            raise LsnError(
                f"{self.resamples} resamples and {self.permutations} permutations are too few for "
                "an interval; at least 100 and 99 were expected"
            )
        if not 0.5 <= self.level < 1:
            raise LsnError(f"the level {self.level} is none; 0.95, for instance, was expected")

    def __str__(self) -> str:
        """How intervals and p were made."""
        return (
            f"Paired over documents: {self.level:.0%} percentile bootstrap intervals of "
            f"{self.resamples} resamples, p from {self.permutations} randomisations, seed "
            f"{self.seed}."
        )


@dataclass(frozen=True)
class PairedChange:
    """A change between the same documents under two conditions, on the kind's scale."""

    shift: float
    interval: tuple[float, float] | None
    """None where the statistic is not defined in too many resamples."""
    p: float
    """Two-sided."""
    documents: int
    equal: bool
    """Whether every document has the same number under both."""


def paired_change(baseline: Scores, condition: Scores, draws: Draws) -> PairedChange:
    """Condition minus baseline.

    Raises:
        LsnError: the documents, their prompts or the statistic are not the same.
    """
    first, second = matched(baseline, condition)
    kind, count = baseline.kind, first.shape[0]
    start, end = first.sum(axis=0), second.sum(axis=0)
    if np.array_equal(first, second):
        return PairedChange(0.0, (0.0, 0.0), 1.0, count, True)
    difference = second - first
    extreme, size = 0, 0
    with np.errstate(all="ignore"):
        before, after = float(kind.on_scale(start)), float(kind.on_scale(end))
        shift = after - before
        # Rounding must not hide the ties of a test on few documents.
        least = abs(shift) - 1e-9 * abs(shift) - 1e-12 * max(abs(before), abs(after))
        for swaps in _swaps(count, draws):
            part = swaps @ difference
            shifts = kind.on_scale(end - part) - kind.on_scale(start + part)
            extreme += int((~(np.abs(shifts) < least)).sum())  # what is not defined counts, too
            size += shifts.size
    observed = 0 if _every_swap(count, draws) else 1  # all assignments hold the one observed
    p = (observed + extreme) / (observed + size)
    spread = bootstrapped(baseline, condition, draws)
    return PairedChange(shift, bounds(spread, draws.level), p, count, False)


def matched(baseline: Scores, condition: Scores) -> tuple[Numbers, Numbers]:
    """Columns of both, in the order of the baseline's documents.

    Raises:
        LsnError: a document or prompt differs, or the statistics do.
    """
    one, other = baseline.kind, condition.kind
    if (one.name, one.scale) != (other.name, other.scale):
        raise LsnError(
            f"{other.name} of the condition and {one.name} of none are not the same statistic"
        )
    if baseline.documents == condition.documents:
        return baseline.columns, condition.columns
    before = {document[0]: document for document in baseline.documents}
    after = {document[0]: document for document in condition.documents}
    if before.keys() != after.keys():
        raise LsnError(
            f"{len(before)} documents under none and {len(after)} under the condition, of which "
            f"{len(before.keys() & after.keys())} have the same number"
        )
    if differ := sum(before[number] != after[number] for number in before):
        raise LsnError(f"documents, prompts or targets differ in {differ} of {len(before)} samples")
    places = {number: place for place, number in enumerate(after)}
    return baseline.columns, condition.columns[[places[number] for number in before]]


def same_responses(baseline: Scores, condition: Scores) -> bool:
    """Whether the model gave the same to every document, digit by digit."""
    before = dict(zip(baseline.documents, baseline.responses, strict=True))
    return before == dict(zip(condition.documents, condition.responses, strict=True))


def bootstrapped(baseline: Scores, condition: Scores, draws: Draws, stream: int = 0) -> Numbers:
    """[resample] changes on the scale; different streams draw different documents."""
    first, second = matched(baseline, condition)
    kind = baseline.kind
    with np.errstate(all="ignore"):
        changes = [
            kind.on_scale(weights @ second) - kind.on_scale(weights @ first)
            for weights in _weights(first.shape[0], draws, stream)
        ]
    return np.concatenate(changes)


def interval_of(columns: Numbers, kind: Kind, draws: Draws) -> tuple[float, float] | None:
    """Of one value, `kind` of the sums over [document, column]; None as in `bounds`."""
    with np.errstate(all="ignore"):
        blocks = [kind.on_scale(w @ columns) for w in _weights(len(columns), draws, 0)]
    return bounds(np.concatenate(blocks), draws.level)


def mean_intervals(values: Numbers, draws: Draws) -> Numbers:
    """[end, value] of the means over [document, value]."""
    blocks = [weights @ values for weights in _weights(len(values), draws, 0)]
    share = (1 - draws.level) / 2
    return np.quantile(np.concatenate(blocks) / len(values), [share, 1 - share], axis=0)


def bounds(spread: Numbers, level: float) -> tuple[float, float] | None:
    """Percentile interval; None where more than `UNDEFINED` of the resamples give no number."""
    known = spread[np.isfinite(spread)]
    if known.size < (1 - UNDEFINED) * spread.size:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for how many there are (Holm 1979, section 3), in the given order."""
    order = np.argsort(p_values, kind="stable")
    times = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, times * np.asarray(p_values)[order]))
    return [float(p) for p in adjusted]


def _weights(count: int, draws: Draws, stream: int) -> Iterator[Numbers]:
    """Blocks [resample, document]: how often each document was drawn."""
    return _blocks("documents", count, draws.resamples, (draws.seed, 0, stream))


def _swaps(count: int, draws: Draws) -> Iterator[Numbers]:
    """Blocks [permutation, document] of 0 and 1."""
    if _every_swap(count, draws):
        return iter([(np.arange(2**count)[:, None] >> np.arange(count) & 1).astype(np.float64)])
    return _blocks("swaps", count, draws.permutations, (draws.seed, 1))


def _every_swap(count: int, draws: Draws) -> bool:
    """Whether all assignments are no more than the permutations asked for."""
    return count <= 20 and 2**count <= draws.permutations


_Of = Literal["documents", "swaps"]


def _blocks(of: _Of, count: int, times: int, seed: tuple[int, ...]) -> Iterator[Numbers]:
    draw = _drawn_once if count * times <= _REMEMBERED else _drawn
    for block in draw(of, count, times, seed):
        yield block.astype(np.float64)


@functools.lru_cache(maxsize=32)
def _drawn_once(
    of: _Of, count: int, times: int, seed: tuple[int, ...]
) -> Iterable[NDArray[np.integer[Any]]]:
    return tuple(_drawn(of, count, times, seed))


def _drawn(
    of: _Of, count: int, times: int, seed: tuple[int, ...]
) -> Iterable[NDArray[np.integer[Any]]]:
    generator = np.random.default_rng(seed)
    most = max(1, _AT_ONCE // count)
    for start in range(0, times, most):
        size = min(most, times - start)
        if of == "swaps":
            yield generator.integers(0, 2, size=(size, count), dtype=np.uint8)
        else:
            yield generator.multinomial(count, np.full(count, 1 / count), size).astype(np.uint16)
