"""One cell of a panel: what became of a number since the baseline, and what forbids to say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lsn_eval.comparing.paired import FEW, PairedChange, same_responses
from lsn_eval.comparing.panels import Change
from lsn_eval.comparing.scores import NoScores, Scores
from lsn_eval.errors import LsnError
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.results.scale import Scale
from lsn_eval.results.settings import differing

ROUNDING = 1e-3
"""Relative change that another batch size may give without any cause."""


@dataclass(frozen=True)
class Measured:
    """A number, with its samples as far as they were logged and can be used."""

    row: Row
    scored: Scores | NoScores | None

    def fault(self, scale: Scale) -> str | None:
        """Why no change can be taken of the number."""
        if not self.row.usable:
            return f"the value is {self.row.value}"
        if scale == "log" and self.row.value <= 0:
            return f"{self.row.value} is no perplexity"
        return None


def change_since(
    baseline: Measured | None,
    cell: Measured,
    first: Row,
    tested: PairedChange | LsnError | None,
    scale: Scale,
    allowed: frozenset[str],
) -> Change:
    """The cell beside its baseline, the same task under `none`.

    Args:
        first: the first condition's row of the same task: what is left to be compared with where
            there is no baseline.
        tested: the samples of both, or why they cannot be; None without samples of both.
        scale: to take the change on.
        allowed: settings that may differ.
    """
    row, scored = cell.row, cell.scored
    obstacles = [scored.reason] if isinstance(scored, NoScores) else []
    fault = cell.fault(scale)
    if fault:
        obstacles.append(fault)

    def refused(*reasons: str, incomparable: bool = True) -> Change:
        reasons = (*obstacles, *reasons)
        return Change(
            row=row, baseline=None, scale=scale, obstacles=reasons, incomparable=incomparable
        )

    if row.condition == NO_CONDITION:
        return refused(incomparable=False)
    compared = first if baseline is None else baseline.row
    different = "; ".join(differing(compared.settings, row.settings, allowed))
    other = f"not comparable with {compared.condition}: {different}"
    if baseline is None:
        lacking = "no baseline: evaluate the same task under none, with the same model"
        return refused(lacking, *([other] if different else []), incomparable=bool(different))
    if baseline.fault(scale):
        return refused(f"the value under none is {baseline.row.value}", incomparable=False)
    if different:
        return refused(other)
    if fault:
        return refused(incomparable=False)
    same = None
    if isinstance(tested, LsnError):
        if not {"prompts", "documents"} & allowed:
            return refused(f"not comparable with none: {tested}")
        obstacles.append(f"no test: {tested}")
        tested = None
    elif isinstance(scored, Scores) and isinstance(baseline.scored, Scores):
        same = same_responses(baseline.scored, scored)
    equal = tested.equal if tested else row.value == baseline.row.value
    if tested and tested.interval is None:
        obstacles.append("no interval: many resamples hold no document with a number")
    if row.nothing_changed and not equal and _moved(row, baseline.row, tested):
        return refused(
            "not comparable with none: every value written was there already, and yet the number "
            "moved, so that something else differs between the two runs"
        )
    return Change(
        row=row,
        baseline=baseline.row,
        scale=scale,
        interval=tested.interval if tested else None,
        p=tested.p if tested else None,
        documents=tested.documents if tested else None,
        equal=equal,
        same_responses=same,
        obstacles=tuple(obstacles),
    )


def _moved(row: Row, baseline: Row, tested: PairedChange | None) -> bool:
    """Whether it is more than rounding."""
    if tested and tested.interval:
        return not tested.interval[0] <= 0 <= tested.interval[1]
    return abs(row.value - baseline.value) >= ROUNDING * abs(baseline.value)


def too_few(changes: Iterable[Change]) -> str | None:
    """What is to be said of their intervals where documents are few."""
    counts = [c.documents for c in changes if c.interval and c.documents and not c.equal]
    if not counts or min(counts) >= FEW:
        return None
    return (
        f"intervals of {min(counts)} documents are too short: percentile intervals of fewer than "
        f"{FEW} documents hold the truth less often than they say"
    )
