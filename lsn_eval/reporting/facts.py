"""`Facts`: what the numbers of one metric come to, as a row of a table and as one line.

Nothing is pooled: every metric, model, mask and kind of intervention has facts of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lsn_eval.comparing import Comparison, Pair, Panel, dose_series, pairs
from lsn_eval.comparing.panels import own_language, shift_writer
from lsn_eval.comparing.selectivity import largest, size
from lsn_eval.conditions import steering
from lsn_eval.results.languages import LANGUAGE_ACCURACY, target_of
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.results.scale import Scale
from lsn_eval.tables import Cell, Table
from lsn_eval.wording.lists import counted
from lsn_eval.wording.numbers import interval, p_value, plain, selectivity, span

STEERING = "steering"
"""In place of what was done: of conditions that steer to a language."""
REST = "about no single language here"
"""In place of what was done: of conditions that are not about one language of the panel."""
_Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Of the conditions of a panel that do the same (WHAT) to one language each, or of the rest.

    Changes are on the panel's scale: log ratios of perplexities, differences of the rest.
    """

    panel: Panel
    name: str
    """The metric, its tasks, and as much more as tells it from the other facts of the page."""
    conditions: Mapping[str, Sequence[str]]
    """Each with the weaker doses of the same neurons, which are no further finding."""
    most: tuple[bool, ...]
    """Whether a condition changed its own language more than any other, where that can be told:
    every other language is comparable, or one of them changed as much. Of steering whether a pair
    of languages was steered."""
    pairs: tuple[Pair, ...]
    """Of languages that are steered, of steering alone."""
    own: float | None
    """Mean change of the own languages; of steering, of the success rates."""
    own_interval: _Interval | None
    others: float | None
    """Mean change of the other languages."""
    selectivity: float | None
    """Own minus others; None unless every language can be compared."""
    selectivity_interval: _Interval | None
    elsewhere: tuple[float, str] | None
    """The largest change of a language that the condition is not about, and where."""
    controls: tuple[float, ...]
    """Selectivities of the controls; without one, their changes of the own languages."""
    p: float | None
    """Rank among the controls."""
    no_ops: tuple[str, ...]
    refused: tuple[str, ...]
    """Where there is a number and no change."""

    @property
    def findings(self) -> tuple[str, ...]:
        """What is to be said, the gist first."""
        write = shift_writer(self.panel.scale)
        if not self.conditions:
            return ("only the baseline, nothing to compare it with",)
        parts = []
        if self.most:
            did = "conditions changed their own language most"
            if self.pairs:
                did = f"pairs of languages steered to {self.pairs[0].target}"
            parts.append(f"{sum(self.most)} of {len(self.most)} {did}")
        if self.pairs:
            rates = [pair.change.row.value for pair in self.pairs]
            several = f" on average, {span(rates, plain)}" if len(rates) > 1 else ""
            parts.append(f"success rate {plain(fmean(rates))}{several}")
            if self.own is not None:
                ends = interval(self.own_interval, write)
                parts.append(f"change {write(self.own)} {ends}".rstrip())
        elif self.panel.metric == LANGUAGE_ACCURACY and all(map(steering, self.conditions)):
            parts.append("success rates need logged answers (--log_samples)")
        elif self.selectivity is not None:
            write = selectivity
            ends = interval(self.selectivity_interval, write)
            parts.append(f"selectivity {write(self.selectivity)} {ends}".rstrip())
        elif self.own is not None:
            ends = interval(self.own_interval, write)
            parts.append(f"own language {write(self.own)} {ends}".rstrip())
        elif self.elsewhere is not None:
            parts.append(f"largest change {write(self.elsewhere[0])} on {self.elsewhere[1]}")
        else:
            parts.append("no change can be given")
        if self.controls:
            most = largest(self.controls, *self._ranked_by) or 0.0
            parts.append(f"largest of {counted(len(self.controls), 'control')} {write(most)}")
        elif self.own is not None:
            parts.append("no controls")
        parts += [counted(len(self.no_ops), "likely no-op")] if self.no_ops else []
        parts += [f"{len(self.refused)} refused"] if self.refused else []
        return tuple(parts)

    @property
    def _ranked_by(self) -> tuple[Scale, str]:
        """What says which changes are large."""
        return _ranked_by(self.panel, self.conditions)

    @property
    def verdict(self) -> str:
        """One line of a fixed form."""
        return f"{self.name}: {'; '.join(self.findings)}"

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The row of `facts_table`."""
        write = shift_writer(self.panel.scale)
        of_controls = write if self.selectivity is None else selectivity
        weaker = [condition for doses in self.conditions.values() for condition in doses]
        told = ", ".join(self.conditions)
        told += f"; weaker doses, not counted: {', '.join(weaker)}" if weaker else ""
        most = f"{sum(self.most)} of {len(self.most)}" if self.most else ""
        control = largest(self.controls, *self._ranked_by)
        shift, where = self.elsewhere or (None, "")
        return (
            Cell(self.name, detail=self.panel.title),
            Cell(most or f"({len(self.conditions)})", sum(self.most), detail=told),
            _number(self.selectivity, selectivity, self.selectivity_interval),
            _number(self.own, write, self.own_interval),
            _number(self.others, write),
            _number(shift, write, detail=where),
            _number(control, of_controls, detail=f"of {counted(len(self.controls), 'control')}"),
            Cell(p_value(self.p), self.p),
            Cell(str(len(self.no_ops)), len(self.no_ops), detail=", ".join(self.no_ops)),
            Cell(str(len(self.refused)), len(self.refused), detail=", ".join(self.refused)),
        )


def _number(
    number: float | None,
    write: Callable[[float], str],
    ends: _Interval | None = None,
    detail: str = "",
) -> Cell:
    """With its interval."""
    if number is None:
        return Cell("")
    return Cell(f"{write(number)} {interval(ends, write)}".rstrip(), number, detail=detail)


def facts_table(found: Sequence[Facts], level: float) -> Table:
    """A row each."""
    return Table(
        title="What the numbers come to, metric by metric",
        columns=(
            "metric", "own language most", "selectivity", "own language", "other languages",
            "largest other", "largest control", "rank p", "likely no-ops", "refused",
        ),
        rows=tuple(entry.cells for entry in found),
        notes=(
            "own language most: conditions under which no other language changed as much as the "
            "one that they are about, of those of which that can be told; of steering, pairs of "
            "languages of which more answers came in the target, with its interval and more than "
            "under every control, and as own language the change of that share",
            "own language, other languages: mean changes; selectivity is the one minus the other "
            f"(of perplexities, in log perplexity); in brackets the {level:.0%} interval",
            "largest control: of the selectivities of single controls, or of their changes of the "
            "own language where there is no selectivity; rank p compares the means of control "
            "number 1 of every language, of number 2 and so on",
        ),
    )  # fmt: skip


def facts(comparison: Comparison) -> list[Facts]:
    """In the order of the panels."""
    panels = comparison.panels
    telling = [
        attribute
        for attribute in ("model", "dtype", "mask")
        if len({getattr(panel, attribute) for panel in panels}) > 1
    ]
    found = []
    judged = {
        (panel.model, panel.dtype, panel.mask, panel.family)
        for panel in panels
        if target_of(panel.metric)
    }
    for panel in panels:
        groups = _groups(panel)
        place = panel.model, panel.dtype, panel.mask, panel.family
        if panel.metric == LANGUAGE_ACCURACY and place in judged:
            groups.pop(STEERING, None)  # which the accuracy against its target judges
        for what, conditions in groups.items():
            name = [f"{panel.metric} of {panel.family}"]
            name += [getattr(panel, attribute) for attribute in telling]
            name += [what] if len(groups) > 1 or what in (REST, STEERING) else []
            found.append(_facts(panel, ", ".join(name), what, conditions, comparison.unmoved))
    return found


def _groups(panel: Panel) -> dict[str, dict[str, Sequence[str]]]:
    """By what is done to one language each, `STEERING` or `REST`: conditions, each with the weaker
    doses of the same neurons. One group without conditions for a baseline alone."""
    groups: dict[str, dict[str, Sequence[str]]] = defaultdict(dict)
    for condition, weaker in dose_series(panel.conditions).items():
        own = own_language(condition) in panel.languages
        what = condition.partition(":")[2] if own else REST
        groups[STEERING if steering(condition) else what][condition] = weaker
    return groups or {"": {}}


def _facts(
    panel: Panel,
    name: str,
    what: str,
    conditions: Mapping[str, Sequence[str]],
    unmoved: frozenset[tuple[str, str, str]],
) -> Facts:
    steered = [pair for pair in pairs(panel) if pair.condition in conditions]
    places = [(condition, own_language(condition) or "") for condition in conditions]
    most = [_most(panel, *place) for place in places]
    if what == STEERING:
        places = [(pair.condition, pair.source) for pair in steered]
        most = [pair.succeeded for pair in steered]
    own = [panel.changes[place] for place in places if what != REST and place in panel.changes]
    shifts = [change.shift for change in own if change.shift is not None]
    single = own[0] if len(own) == 1 else None
    selective = [panel.selectivity[c] for c in conditions if c in panel.selectivity]
    overall = panel.overall.get(what)
    if overall is not None and set(overall.languages) != {one.language for one in selective}:
        overall = None  # it has weaker doses in it
    if what == STEERING or (overall is None and len(selective) > 1):
        selective = []
    of_controls = selective or own
    every = {*conditions, *(weaker for doses in conditions.values() for weaker in doses)}
    cells = {place: change for place, change in panel.changes.items() if place[0] in every}
    elsewhere = [
        (change.shift, f"{place[1]} under {place[0]}")
        for place, change in cells.items()
        if place not in places and place[0] in conditions and change.shift is not None
    ]
    found, ranked_by = overall or next(iter(selective), None), _ranked_by(panel, conditions)
    return Facts(
        panel=panel,
        name=name,
        conditions=conditions,
        most=tuple(told for told in most if told is not None),
        pairs=tuple(steered) if what == STEERING else (),
        own=sum(shifts) / len(shifts) if shifts else None,
        own_interval=overall.own_interval if overall else single.interval if single else None,
        others=found.others if found else None,
        selectivity=found.own - found.others if found else None,
        selectivity_interval=found.interval if found else None,
        elsewhere=max(elsewhere, key=lambda one: size(one[0], *ranked_by), default=None),
        controls=tuple(control for one in of_controls for control in one.controls.values()),
        p=found.p if found else single.control_p if single else None,
        no_ops=tuple(c for c in conditions if (panel.model, panel.mask, c) in unmoved),
        refused=tuple(
            f"{c} on {text}" for (c, text), change in cells.items() if change.shift is None
        ),
    )


def _ranked_by(panel: Panel, conditions: Iterable[str]) -> tuple[Scale, str]:
    return panel.scale, next(iter(conditions), NO_CONDITION)


def _most(panel: Panel, condition: str, own: str) -> bool | None:
    """Whether the own language changed more than any other; None where that cannot be told."""
    changes = {language: panel.change(condition, language) for language in panel.languages}
    shifts = {language: change.shift if change else None for language, change in changes.items()}
    mine = shifts.pop(own, None)
    known = [size(x, panel.scale, condition) for x in shifts.values() if x is not None]
    if mine is None or not known:
        return None
    larger = size(mine, panel.scale, condition) > max(0.0, *known)
    return larger if len(known) == len(shifts) or not larger else None
