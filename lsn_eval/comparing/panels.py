"""`Panel`: one metric of one family of tasks, conditions x languages, for one model and mask."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lsn_eval.conditions import ALL_NEURONS, Condition, steering
from lsn_eval.errors import LsnError
from lsn_eval.masks.names import CONTROL_NAME
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.results.scale import Scale, shift
from lsn_eval.wording.lists import listed
from lsn_eval.wording.numbers import percent, plain, signed
from lsn_eval.wording.shown import Shown

Mark = Literal["", "undecided", "refused", "contradicted", "unchanged", "doubtful"]
"""`undecided`: the interval holds 0. `refused`: no change could be given, or the value does not
belong beside the others. `contradicted`: the samples give another value than the file.
`unchanged`: equal to the baseline in every document. `doubtful`, of a table's cells alone: to be
compared with those above and below only with care."""

SIGNS: dict[Mark, str] = {
    "": "", "undecided": "~", "refused": "!", "contradicted": "!", "unchanged": "=",
    "doubtful": "?",
}  # fmt: skip
"""What stands behind a marked number in plain text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One number, and what became of it since the baseline."""

    row: Row
    """Under the condition."""
    baseline: Row | None
    """Of the same task under `none`; None where there is none to compare with."""
    scale: Scale
    """`log` for perplexities, `linear` for the rest."""
    interval: tuple[float, float] | None = None
    """Of `shift`; None without samples of both."""
    p: float | None = None
    p_holm: float | None = None
    """Corrected over the panel's cells, controls apart."""
    documents: int | None = None
    """That both have."""
    equal: bool = False
    """Whether every document has the baseline's number; without samples, whether the value is the
    baseline's."""
    same_responses: bool | None = None
    """Whether the model gave every document the very same, digit by digit; None without samples."""
    obstacles: tuple[str, ...] = ()
    """Why there is no change, or no test of it."""
    incomparable: bool = False
    """Whether the value itself does not belong beside the others of its column: measured with
    something else than `none` (without `none`, than the first condition)."""
    contradicted: bool = False
    """Whether the samples beside the file give another value than the file."""
    baseline_contradicted: bool = False
    controls: Mapping[str, float] = field(default_factory=dict)
    """Shifts of the condition's controls on the same task, by control."""
    control_p: float | None = None
    """Rank of the shift among the controls."""

    @property
    def difference(self) -> float | None:
        """Value minus baseline. Of perplexities it is the PPXC of Mondal et al. (2025)."""
        if self.baseline is None or not self.row.usable:
            return None
        return self.row.value - self.baseline.value

    @property
    def ratio(self) -> float | None:
        """Value over baseline; None where the baseline is not above 0: a log-likelihood of -2 that
        becomes -1 has not halved."""
        if self.baseline is None or self.baseline.value <= 0 or not self.row.usable:
            return None
        return self.row.value / self.baseline.value

    @property
    def relative(self) -> float | None:
        """Ratio minus 1."""
        return None if self.ratio is None else self.ratio - 1

    @property
    def shift(self) -> float | None:
        """Change on the scale: log ratio for perplexities, difference for the rest."""
        if self.baseline is None:
            return None
        return shift(self.row.value, self.baseline.value, self.scale)

    @property
    def relative_interval(self) -> tuple[float, float] | None:
        """Interval of `relative`; the baseline counts as exact where the scale is linear."""
        if self.interval is None or self.baseline is None:
            return None
        low, high = self.interval
        if self.scale == "log":
            return growth(low), growth(high)
        start = self.baseline.value
        return (low / start, high / start) if start > 0 else None

    @property
    def mark(self) -> Mark:
        """What a reader has to know of the change before using it: there is none; it rests on a
        number that the samples contradict; it is none in any document; it may be none."""
        if self.shift is None:
            return "refused"
        if self.contradicted or self.baseline_contradicted:
            return "contradicted"
        return "unchanged" if self.equal else "undecided" if self.undecided else ""

    @property
    def undecided(self) -> bool:
        """Whether the interval holds 0: the difference may be none."""
        return self.interval is not None and self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True, kw_only=True)
class _OwnAndOthers:
    """Changes on the scale, and what they are beside the controls'."""

    own: float
    """Change of the own language; of several conditions the mean."""
    others: float
    """Mean change of the other languages."""
    interval: tuple[float, float] | None
    """Of the selectivity: paired bootstrap over the documents of each language."""
    p: float | None
    """Rank of `lsn_eval.comparing.selectivity.strength` among the controls'; n of them can show
    1 / (n + 1)."""

    @property
    def elsewhere(self) -> bool:
        """Whether the other languages changed more than the own one."""
        return abs(self.others) > abs(self.own)

    @property
    def undecided(self) -> bool:
        """Whether the interval holds 0."""
        return self.interval is not None and self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True, kw_only=True)
class Selectivity(_OwnAndOthers):
    """Of one condition: change of its own language minus the mean change of the others."""

    language: str
    value: float
    controls: Mapping[str, float]
    """The same of each control."""


@dataclass(frozen=True, kw_only=True)
class Overall(_OwnAndOthers):
    """One number for a model and mask: means over the languages of `LANGUAGE:WHAT` conditions."""

    languages: tuple[str, ...]
    own_interval: tuple[float, float] | None
    """Of `own`."""
    selectivity: float
    """Own minus others."""
    controls: tuple[float, ...]
    """The same of control number 1 of every language, of number 2, and so on."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Panel(Shown):
    """Conditions x languages of one metric."""

    model: str
    mask: str
    """Start of the mask's digest as in the signature, or `none`."""
    dtype: str
    family: str
    """The task's name with `*` for the language."""
    metric: str
    scale: Scale
    higher_is_better: bool | None
    languages: tuple[str, ...]
    """Columns; a task without a language stands under its own name."""
    conditions: tuple[str, ...]
    """`none` first, controls left out."""
    controls: Mapping[str, tuple[str, ...]]
    """Control conditions of a condition."""
    lone_controls: tuple[str, ...] = ()
    """Controls of conditions that were not measured."""
    changes: Mapping[tuple[str, str], Change]
    """By condition (controls too) and language."""
    selectivity: Mapping[str, Selectivity] = field(default_factory=dict)
    overall: Mapping[str, Overall] = field(default_factory=dict)
    """By WHAT was done, such as `zero`."""
    uneven: tuple[str, ...] = ()
    """Settings in which the languages differ, so that there is no mean over them."""
    units: Mapping[str, float] = field(default_factory=dict)
    """What perplexities are divided by under `none` (tokens, bytes), by language; from samples."""
    notes: tuple[str, ...] = ()

    def change(self, condition: str, language: str) -> Change | None:
        """A cell; None if it was not measured.

        Raises:
            LsnError: nothing was measured under the condition.
        """
        change = self.changes.get((condition, language))
        if change is None and condition not in self.conditions:
            known = dict.fromkeys([*self.conditions, *(measured for measured, _ in self.changes)])
            if condition not in known:
                raise LsnError(
                    f"condition {condition!r} is not in this panel; it has {listed(known)}"
                )
        return change

    def mean_shift(self, condition: str, languages: Sequence[str] | None = None) -> float | None:
        """Mean over languages of the change on the scale (for perplexities, of the log ratio);
        None unless every one is there and comparable."""
        cells = self._comparable(condition, languages)
        shifts = [shift for cell in cells if (shift := cell.shift) is not None]
        return sum(shifts) / len(shifts) if shifts and len(shifts) == len(cells) else None

    def mean_value(self, condition: str, languages: Sequence[str] | None = None) -> float | None:
        """Mean over languages of the values, the geometric one for perplexities; None unless every
        one is there and comparable."""
        cells = self._comparable(condition, languages)
        values = [cell.row.value for cell in cells if cell.row.usable and not cell.incomparable]
        if not values or len(values) < len(cells):
            return None
        if self.scale == "linear":
            return sum(values) / len(values)
        return math.exp(sum(map(math.log, values)) / len(values)) if min(values) > 0 else None

    def _comparable(self, condition: str, languages: Sequence[str] | None) -> list[Change]:
        """A cell a language; none where one is missing or was measured with something else."""
        languages = self.languages if languages is None else languages
        cells = [cell for x in languages if (cell := self.change(condition, x))]
        uneven = self.uneven and len(languages) > 1
        return [] if uneven or len(cells) < len(languages) else cells

    def contradicted(self, condition: str) -> bool:
        """Whether any change under the condition rests on a number that the samples contradict."""
        cells = (self.change(condition, language) for language in self.languages)
        return any(cell is not None and cell.mark == "contradicted" for cell in cells)

    def summary(self) -> tuple[str, list[list[str]]]:
        """The title, and by condition the change on each language; the values under `none`."""
        rows = [["condition", *self.languages]]
        for condition in self.conditions:
            cells = (self.change(condition, language) for language in self.languages)
            rows.append([condition, *("" if x is None else _shown(x) for x in cells)])
        return self.title, rows

    @property
    def title(self) -> str:
        """Metric, tasks and model in a line."""
        mask = "" if self.mask == "none" else f", mask {self.mask}"
        return f"{self.metric} of {self.family}, {self.model} in {self.dtype}{mask}"


@functools.lru_cache(maxsize=4096)
def own_language(condition: str) -> str | None:
    """The language that a condition is about; None for `none`, for terms of several, and for an
    adapter on whole layers."""
    whos = {term.who for term in Condition.parse(condition).terms} - {ALL_NEURONS}
    languages = {found[2] if (found := CONTROL_NAME.fullmatch(who)) else who for who in whos}
    return languages.pop() if len(languages) == 1 else None


def judged_language(condition: str, scale: Scale) -> str | None:
    """The language whose change is held against the others'. None for terms of several, and, but
    for perplexities, of steering: that is judged by the answers in the language steered to."""
    return own_language(condition) if scale == "log" or steering(condition) is None else None


def _shown(change: Change) -> str:
    if change.row.condition == NO_CONDITION:
        return plain(change.row.value)
    moved = "" if change.shift is None else shift_writer(change.scale)(change.shift)
    return moved + SIGNS[change.mark]


def shift_writer(scale: str) -> Callable[[float], str]:
    """A change on the scale as a reader sees it: percent of perplexities."""
    if scale == "log":
        return lambda shift: percent(growth(shift)) + " %"
    return signed


def growth(log_ratio: float) -> float:
    """The ratio minus 1; infinite where that is more than a float holds."""
    return math.expm1(log_ratio) if log_ratio < 709 else math.inf
