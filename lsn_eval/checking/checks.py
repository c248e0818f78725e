"""Results against a baseline: one verdict for every number, every gate, and all that is not there.

What cannot be compared is never ok: a number measured with another mask or another setting is a
changed signature, whatever its value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lsn_eval.checking.baselines import Baseline, Value
from lsn_eval.checking.findings import Finding, Verdict
from lsn_eval.checking.gates import Measured, gate_findings
from lsn_eval.results.choosing import ALL, Choice
from lsn_eval.results.rows import Number, Row
from lsn_eval.results.settings import VERSIONS, allowed_settings
from lsn_eval.wording.lists import listed
from lsn_eval.wording.numbers import exact

EVERYTHING = Choice(metrics=(ALL,))
_Key = tuple[str, str, str, str]
"""Model, condition, task and metric."""


def check(
    rows: Sequence[Row],
    baseline: Baseline,
    *,
    choice: Choice = EVERYTHING,
    allow: Collection[str] = (),
) -> list[Finding]:
    """Every finding, failing ones first, in the order of the baseline within.

    Args:
        rows: of the results.
        baseline: what they are held against.
        choice: of the numbers to look at, and of the gates that are about them.
        allow: names of settings (`lsn_eval.results.settings`) that may have changed.

    Raises:
        LsnError: what the choice names is neither in the results nor in the baseline, or `allow`
            names no setting.
    """
    allowed = allowed_settings(allow, {name for row in rows for name in row.settings})
    kept: list[Number] = [*filter(baseline.kept.means, rows), *baseline.values]
    meant = choice.rows(kept)
    checked = _Check(
        rows=[entry for entry in meant if isinstance(entry, Row)],
        values=[entry for entry in meant if isinstance(entry, Value)],
        everything=rows,
        baseline=baseline,
        allowed=allowed | VERSIONS,
        renamed=_renamed(rows, baseline),
    )
    findings = [
        *checked.changed(),
        *checked.moved(),
        *checked.new(),
        *checked.gates(narrowed=choice != EVERYTHING, allowed=allowed),
    ]
    return sorted(findings, key=lambda finding: not finding.failing)


def changed_versions(rows: Sequence[Row], baseline: Baseline) -> list[str]:
    """Versions of libraries that are others than the baseline's, in words: numbers are held across
    them."""
    renamed = _renamed(rows, baseline)
    before = {there: name for name, there in renamed.items()}
    changes: dict[str, None] = {}
    for row in rows:
        model = before.get(row.model, row.model)
        if (model, row.task) in baseline.tasks:
            differing = baseline.changes(row, model)
            changes |= {
                f"{name} {differing[name][0]} -> {differing[name][1]}": None
                for name in sorted(VERSIONS & differing.keys())
            }
    return [f"versions changed since the baseline: {listed(changes)}"] if changes else []


def _renamed(rows: Sequence[Row], baseline: Baseline) -> dict[str, str]:
    """The name in the results of each model of the baseline.

    Where both hold one model, it is the same one under another name or a different one: its
    signature changed, instead of everything missing and everything new.
    """
    there, before = {row.model for row in rows}, baseline.models
    if len(there) == len(before) == 1:
        return dict(zip(before, there, strict=True))
    return {model: model for model in before}


@dataclass
class _Check:
    """What is looked at, for one baseline."""

    rows: Sequence[Row]
    values: Sequence[Value]
    everything: Sequence[Row]
    """Gates may be about metrics that the values leave out."""
    baseline: Baseline
    allowed: Collection[str]
    renamed: Mapping[str, str]

    def __post_init__(self) -> None:
        names = {there: before for before, there in self.renamed.items()}
        self.model_of = {row.model: names.get(row.model, row.model) for row in self.rows}
        self.by_key = _by_key(self.rows)
        self.lines = self.baseline.lines

    def changed(self) -> Iterator[Finding]:
        """What was measured with something else: once for all places where the same changed."""
        places: dict[tuple[str, str, str, str], dict[tuple[str, str], None]] = {}
        for row in self.rows:
            model = self.model_of[row.model]
            for name, (before, now) in self._changes(row).items():
                of = places.setdefault((model, name, before, now), {})
                of[row.condition, row.task] = None
        together: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
        for (model, name, before, now), where in places.items():
            together.setdefault((model, tuple(where)), []).append(f"{name} {before} -> {now}")
        for (model, everywhere), changes in together.items():
            conditions = list(dict.fromkeys(condition for condition, _ in everywhere))
            tasks = list(dict.fromkeys(task for _, task in everywhere))
            listed_places = "; ".join(
                f"{word} {listed(names, 3)}"
                for word, names in (("under", conditions), ("on", tasks))
                if len(names) > 1
            )
            message = ", ".join(changes) + (f" ({listed_places})" if listed_places else "")
            line = self.lines.get(("task", model, tasks[0]))
            if len(tasks) > 1 or line is None:
                line = self.lines.get(("run", model, conditions[0]), line)
            yield Finding(
                Verdict.CHANGED_SIGNATURE, message, model,
                conditions[0] if len(conditions) == 1 else "",
                tasks[0] if len(tasks) == 1 else "", line=line,
            )  # fmt: skip

    def moved(self) -> Iterator[Finding]:
        """The numbers of the baseline; those that cannot be compared are said of all at once."""
        conditions = {(model, condition) for model, condition, _, _ in self.by_key}
        tasks = {key[:3] for key in self.by_key}
        missing: set[tuple[Verdict, str, str, str]] = set()
        for value in self.values:
            model, line = self.renamed[value.model], self.lines.get(("value", *value.key))
            rows = self.by_key.get((model, *value.key[1:]), [])
            comparable = [row for row in rows if not self._changes(row)]
            if comparable:
                yield _compared(value, comparable[-1], line)
            if rows:
                continue
            verdict, about = Verdict.MISSING_METRIC, (value.task, value.name)
            if (model, value.condition) not in conditions:
                verdict, about = Verdict.MISSING_CONDITION, ("", "")
            elif (model, value.condition, value.task) not in tasks:
                verdict, about = Verdict.MISSING_TASK, (value.task, "")
            if about[1] or (verdict, value.model, value.condition, about[0]) not in missing:
                missing.add((verdict, value.model, value.condition, about[0]))
                yield Finding(
                    verdict, "in the baseline, not in the results", value.model, value.condition,
                    about[0], value.language if about[0] else None, about[1],
                    value.value if about[1] else None, line=line,
                )  # fmt: skip

    def new(self) -> Iterator[Finding]:
        """Said once for a new condition, once for a new task of it, else for each metric."""
        values = {value.key for value in self.baseline.values}
        tasks = {key[:3] for key in values}
        said: set[_Key] = set()
        for row in self.rows:
            model, task, metric, language = (
                self.model_of[row.model], row.task, row.name, row.language,
            )  # fmt: skip
            if (model, row.condition, task, metric) in values:
                continue
            if (model, row.condition) not in self.baseline.runs:
                task, metric, language = "", "", None
            elif (model, row.condition, task) not in tasks:
                metric = ""
            if (model, row.condition, task, metric) not in said:
                said.add((model, row.condition, task, metric))
                yield Finding(
                    Verdict.NEW, "in the results, not in the baseline; --update adds it", model,
                    row.condition, task, language, metric, found=row.value if metric else None,
                )  # fmt: skip

    def gates(self, *, narrowed: bool, allowed: Collection[str]) -> Iterator[Finding]:
        """Of all results; where some are chosen, gates about a number of those."""
        measured = Measured(_by_key(self.everything), allowed)
        meant = Measured({**self.by_key, **{value.key: () for value in self.values}})
        # Without a single number there is no model either, and the gate is not met for that.
        there = measured.models() or sorted(self.baseline.models) or ["no model"]
        for number, gate in enumerate(self.baseline.gates):
            models = [self.renamed.get(gate.model, gate.model)] if gate.model else there
            line = self.lines.get(("gate", str(number)))
            for finding in gate_findings(gate, measured, models, line):
                if not narrowed or any(
                    (finding.model, condition, finding.task, finding.metric) in meant.rows
                    for condition in meant.conditions(finding.model, finding.condition)
                ):
                    yield finding

    def _changes(self, row: Row) -> dict[str, tuple[str, str]]:
        model = self.model_of[row.model]
        if (model, row.condition) not in self.baseline.runs:
            return {}
        return self.baseline.changes(row, model, self.allowed)


def _by_key(rows: Sequence[Row]) -> dict[_Key, list[Row]]:
    """Several under one key were measured with several masks, or in several dtypes."""
    by_key: dict[_Key, list[Row]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    return by_key


def _compared(value: Value, row: Row, line: int | None) -> Finding:
    move = row.value - value.value
    allowed = value.tolerance.allowed(value.value, value.stderr)
    if not row.usable:
        verdict, message = Verdict.NOT_A_NUMBER, f"{row.value} in {row.file}"
    elif abs(move) <= allowed:
        verdict, message = Verdict.OK, ""
    else:
        change = f"{move:+.4g}" if value.value == 0 else f"{move / abs(value.value):+.2%}"
        message = f"{exact(value.value)} -> {exact(row.value)} ({change})"
        worse = value.worse == "both" or (value.worse == "higher") == (move > 0)
        verdict = Verdict.REGRESSION if worse else Verdict.IMPROVED
    side = {"both": "+-", "higher": "+", "lower": "-"}[value.worse]
    return Finding(
        verdict, message, value.model, value.condition, value.task, value.language, value.name,
        value.value, row.value, f"{side}{value.tolerance}", line, bool(row.unchanged),
    )  # fmt: skip
