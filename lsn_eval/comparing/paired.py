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

_Of = Literal["documents", "swaps"]
_Drawn = Iterable[NDArray[np.integer[Any]]]
"""Blocks [draw, document] of whole numbers."""
UNDEFINED = 0.01
"""Share of resamples without a number (no document left to divide by) that an interval bears."""
FEW = 30
"""Documents below which percentile intervals are too short, see docs/compare.md."""
_AT_ONCE = 2_000_000
"""Numbers in one block of draws."""
_MULTIPLIED_AT_ONCE = 200_000
"""Numbers in a part of a block, and in its sums: they are best kept near the processor."""
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


def paired_changes(
    pairs: Sequence[tuple[Scores, Scores]], draws: Draws
) -> list[PairedChange | LsnError]:
    """Condition minus baseline of each pair (baseline, condition), with draws that all share; in
    place of a pair that is not `matched` why it is not."""
    changes: list[PairedChange | LsnError] = []
    alike: dict[tuple[Kind, tuple[int, ...]], dict[int, tuple[Numbers, Numbers]]] = {}
    for place, (baseline, condition) in enumerate(pairs):
        first = baseline.columns
        changes.append(PairedChange(0.0, (0.0, 0.0), 1.0, len(first), True))
        try:
            second = matched(baseline, condition)
        except LsnError as error:
            changes[place] = error
            continue
        if not np.array_equal(first, second):
            alike.setdefault((baseline.kind, first.shape), {})[place] = first, second
    for (kind, (count, _)), moved in alike.items():
        first, second = (np.stack(columns, axis=2) for columns in zip(*moved.values(), strict=True))
        p_values = _p_values(kind, first, second, draws)
        values = _resampled(kind, np.concatenate([first, second], axis=2), draws, 0)
        before, after = np.split(values, 2, axis=1)
        with np.errstate(all="ignore"):
            shifts = kind.on_scale(second.sum(axis=0).T) - kind.on_scale(first.sum(axis=0).T)
            intervals = _bounds(after - before, draws.level)
        for place, shift, interval, p in zip(moved, shifts, intervals, p_values, strict=True):
            changes[place] = PairedChange(float(shift), interval, float(p), count, False)
    return changes


def _p_values(kind: Kind, first: Numbers, second: Numbers, draws: Draws) -> Numbers:
    """[pair] of the randomisation of two [document, column, pair]."""
    count = len(first)
    start, end = first.sum(axis=0), second.sum(axis=0)
    extreme, size = np.zeros(first.shape[2]), 0
    with np.errstate(all="ignore"):
        before, after = kind.on_scale(start.T), kind.on_scale(end.T)
        shift = np.abs(after - before)
        # Rounding must not hide the ties of a test on few documents.
        least = shift - 1e-9 * shift - 1e-12 * np.maximum(np.abs(before), np.abs(after))
        for part in _sums(_swaps(count, draws), second - first):
            swapped = kind.on_scale((end - part).swapaxes(1, 2))
            swapped -= kind.on_scale((start + part).swapaxes(1, 2))
            extreme += (~(np.abs(swapped) < least)).sum(axis=0)  # what is not defined counts, too
            size += len(part)
    observed = 0 if _every_swap(count, draws) else 1  # all assignments hold the one observed
    return (observed + extreme) / (observed + size)


def matched(baseline: Scores, condition: Scores) -> Numbers:
    """Columns of the condition, in the order of the baseline's documents.

    Raises:
        LsnError: the documents, their prompts or the statistic are not the same.
    """
    one, other = baseline.kind, condition.kind
    if (one.name, one.scale) != (other.name, other.scale):
        raise LsnError(
            f"{other.name} of the condition and {one.name} of none are not the same statistic"
        )
    if baseline.documents == condition.documents:
        return condition.columns
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
    return condition.columns[[places[number] for number in before]]


def same_responses(baseline: Scores, condition: Scores) -> bool:
    """Whether the model gave the same to every document, digit by digit."""
    if baseline.documents == condition.documents:
        return np.array_equal(baseline.responses, condition.responses)
    before, after = (
        dict(zip(x.documents, x.responses, strict=True)) for x in (baseline, condition)
    )
    return before == after


def bootstrapped(
    baseline: Scores, conditions: Sequence[Scores], draws: Draws, stream: int = 0
) -> Numbers:
    """[resample, condition] changes on the scale; different streams draw different documents.

    Raises:
        LsnError: as of `matched`.
    """
    columns = [baseline.columns, *(matched(baseline, condition) for condition in conditions)]
    values = _resampled(baseline.kind, np.stack(columns, axis=2), draws, stream)
    with np.errstate(all="ignore"):
        return values[:, 1:] - values[:, :1]


def interval_of(columns: Numbers, kind: Kind, draws: Draws) -> tuple[float, float] | None:
    """Of one value, `kind` of the sums over [document, column]; None as in `bounds`."""
    return bounds(_resampled(kind, columns[..., None], draws, 0)[:, 0], draws.level)


def mean_intervals(values: Numbers, draws: Draws) -> Numbers:
    """[end, value] of the means over [document, value]."""
    blocks = [weights @ values for weights in _weights(len(values), draws, 0)]
    share = (1 - draws.level) / 2
    return np.quantile(np.concatenate(blocks) / len(values), [share, 1 - share], axis=0)


def bounds(spread: Numbers, level: float) -> tuple[float, float] | None:
    """Percentile interval; None where more than `UNDEFINED` of the resamples give no number."""
    return _bounds(spread[:, None], level)[0]


def _bounds(spreads: Numbers, level: float) -> list[tuple[float, float] | None]:
    """Of [resample, change]."""
    known = np.isfinite(spreads)
    if known.all():
        shares = [(1 - level) / 2, (1 + level) / 2]
        return [(float(low), float(high)) for low, high in np.quantile(spreads, shares, axis=0).T]
    return [
        None if of.mean() < 1 - UNDEFINED else bounds(spread[of], level)
        for spread, of in zip(spreads.T, known.T, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for how many there are (Holm 1979, section 3), in the given order."""
    order = np.argsort(p_values, kind="stable")
    times = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, times * np.asarray(p_values)[order]))
    return [float(p) for p in adjusted]


def _resampled(kind: Kind, columns: Numbers, draws: Draws, stream: int) -> Numbers:
    """[resample, what] values on the scale, of [document, column, what]."""
    blocks = _sums(_weights(len(columns), draws, stream), columns)
    with np.errstate(all="ignore"):
        return np.concatenate([kind.on_scale(sums.swapaxes(1, 2)) for sums in blocks])


def _sums(draws: _Drawn, columns: Numbers) -> Iterator[Numbers]:
    """[draw, column, what] over the documents of [document, column, what], some draws after the
    others."""
    flat = columns.reshape(len(columns), -1)
    most = max(1, _MULTIPLIED_AT_ONCE // max(flat.shape))
    for block in draws:
        for start in range(0, len(block), most):
            yield (block[start : start + most] @ flat).reshape(-1, *columns.shape[1:])


def _weights(count: int, draws: Draws, stream: int) -> _Drawn:
    """Blocks [resample, document]: how often each document was drawn."""
    return _blocks("documents", count, draws.resamples, (draws.seed, 0, stream))


def _swaps(count: int, draws: Draws) -> _Drawn:
    """Blocks [permutation, document] of 0 and 1."""
    if _every_swap(count, draws):
        return [np.arange(2**count)[:, None] >> np.arange(count) & 1]
    return _blocks("swaps", count, draws.permutations, (draws.seed, 1))


def _every_swap(count: int, draws: Draws) -> bool:
    """Whether all assignments are no more than the permutations asked for."""
    return count <= 20 and 2**count <= draws.permutations


def _blocks(of: _Of, count: int, times: int, seed: tuple[int, ...]) -> _Drawn:
    draw = _drawn_once if count * times <= _REMEMBERED else _drawn
    return draw(of, count, times, seed)


@functools.lru_cache(maxsize=32)
def _drawn_once(of: _Of, count: int, times: int, seed: tuple[int, ...]) -> _Drawn:
    return tuple(_drawn(of, count, times, seed))


def _drawn(of: _Of, count: int, times: int, seed: tuple[int, ...]) -> _Drawn:
    generator = np.random.default_rng(seed)
    most = max(1, _AT_ONCE // count)
    for start in range(0, times, most):
        size = min(most, times - start)
        if of == "swaps":
            yield generator.integers(0, 2, size=(size, count), dtype=np.uint8)
        else:
            yield generator.multinomial(count, np.full(count, 1 / count), size).astype(np.uint16)
