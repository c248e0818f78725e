"""Results against a baseline: one verdict for every number, every gate, and all that is not there.

What cannot be compared is never ok: a number measured with another mask or another setting is a
changed signature, whatever its value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

from lsn_eval.checking.baseline_files import read_baseline, write_baseline
from lsn_eval.checking.baselines import Baseline, BaselineError, Tolerance, Value, make_baseline
from lsn_eval.checking.findings import CheckResult, Finding, Verdict
from lsn_eval.checking.gates import Measured, gate_findings
from lsn_eval.results import read_results
from lsn_eval.results.choosing import ALL, Choice
from lsn_eval.results.rows import Number, Row
from lsn_eval.results.run_files import Paths
from lsn_eval.results.settings import VERSIONS, allowed_settings
from lsn_eval.storage.whole_files import check_place
from lsn_eval.wording.lists import listed
from lsn_eval.wording.numbers import exact

EVERYTHING = Choice(metrics=(ALL,))
_Key = tuple[str, str, str, str]
"""Model, condition, task and metric."""
_MISSING = {2: Verdict.MISSING_CONDITION, 3: Verdict.MISSING_TASK, 4: Verdict.MISSING_METRIC}
"""By the length of the part of a key that is not there."""


def check(
    results: Paths | Iterable[Row],
    baseline: str | PathLike[str],
    *,
    allow: Iterable[str] = (),
    update: bool = False,
    tolerance: str | None = None,
    **chosen: str | Iterable[str] | None,
) -> CheckResult:
    """Hold results against a baseline, as `lsn-eval check` does; nothing is printed.

        assert check("sweep", "baseline.json").passed

    Args:
        results: results files of lm-eval or folders of them, or rows of `read_results`.
        allow: names of settings (`lsn_eval.results.settings`) that may have changed.
        update: first accept the results, by writing them to the baseline file.
        tolerance: of numbers new to it, with `update`: see `Tolerance.parse`.
        chosen: names or patterns of the `task`, `metric`, `model`, `condition` and `language` to
            look at, one or several; with `update`, the file remembers the metrics.

    Raises:
        LsnError: results or baseline cannot be used, what was chosen is in neither, or `allow`
            names no setting.
    """
    if tolerance is not None and not update:
        raise BaselineError(
            "--tolerance says what --update writes; without it the baseline's own tolerances hold. "
            "Add --update, or edit the file"
        )
    path, metrics = Path(baseline), chosen.get("metric")
    wanted = None if tolerance is None else Tolerance.parse(tolerance)
    choice = Choice.named(**chosen | {"metric": metrics or ALL})
    if update:
        check_place(path, BaselineError)
    rows = read_results(results)
    notes = [*_notes(rows), *(_updated(path, rows, choice, wanted, metrics) if update else ())]
    committed = read_baseline(path)
    notes += [*committed.notes, *changed_versions(rows, committed)]
    of = _Check(rows, committed, choice, tuple(allow))
    findings = [*of.changed(), *of.moved(), *of.missing(), *of.new(), *of.gates()]
    return CheckResult(tuple(sorted(findings, key=lambda x: not x.failing)), tuple(notes))


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    """What a reader of the findings should know first."""
    if older := sum({(row.file, row.task): row.older for row in rows}.values()):
        yield f"{older} older results of the same model, condition and task were left out"
    yield from sorted({f"{row.condition}: {text}" for row in rows for text in row.warnings})


def _updated(
    path: Path, rows: Sequence[Row], choice: Choice, tolerance: Tolerance | None, metrics: object
) -> list[str]:
    """Write the numbers that are meant to the baseline; what became of it, in words."""
    before = read_baseline(path) if path.exists() else None
    kept = choice.resolved(rows).metrics if metrics else None
    made = make_baseline(choice.rows(rows), before, tolerance=tolerance, metrics=kept)
    write_baseline(made, path)
    now = {value.key: value.value for value in made.values}
    old = {value.key: value.value for value in before.values} if before else {}
    moved = sum(old.get(key, value) != value for key, value in now.items())
    return [
        *(before.notes if before else ()),
        f"written to {path}: {len(now)} values, {len(now.keys() - old.keys())} new, {moved} moved, "
        f"{len(old.keys() - now.keys())} removed; {len(made.gates)} gates kept",
    ]


def changed_versions(rows: Sequence[Row], baseline: Baseline) -> list[str]:
    """Versions of libraries that are others than the baseline's, in words: numbers are held across
    them."""
    before = _renamed(rows, baseline)
    changes: dict[str, None] = {}
    for row in rows:
        model = before.get(row.model, row.model)
        if (model, row.task) in baseline.tasks:
            differing = baseline.changes(row, model)
            for name in sorted(VERSIONS & differing.keys()):
                changes[f"{name} {' -> '.join(differing[name])}"] = None
    return [f"versions changed since the baseline: {listed(changes)}"] if changes else []


def _renamed(rows: Sequence[Row], baseline: Baseline) -> dict[str, str]:
    """The baseline's name of each model of the results that it holds.

    Where both hold one model, it is the same one under another name or a different one: its
    signature changed, instead of everything missing and everything new.
    """
    there, before = {row.model for row in rows}, baseline.models
    if len(there) == len(before) == 1:
        return dict(zip(there, before, strict=True))
    return {model: model for model in before}


class _Check:
    """What is looked at, for one baseline."""

    def __init__(
        self, rows: Sequence[Row], baseline: Baseline, choice: Choice, allow: Collection[str]
    ) -> None:
        self.allowed = allowed_settings(allow, {name for row in rows for name in row.settings})
        kept: list[Number] = [*filter(baseline.kept.means, rows), *baseline.values]
        meant = choice.rows(kept)
        self.narrowed = choice != EVERYTHING
        self.rows = [entry for entry in meant if isinstance(entry, Row)]
        self.values = {entry.key: entry for entry in meant if isinstance(entry, Value)}
        self.everything = rows  # gates may be about metrics that the values leave out
        self.baseline = baseline
        self.lines = baseline.lines
        names = _renamed(rows, baseline)
        self.renamed = {before: there for there, before in names.items()}
        self.model_of = {row.model: names.get(row.model, row.model) for row in self.rows}
        self.by_key = _by_key(self.rows, self.model_of)

    def changed(self) -> Iterator[Finding]:
        """What was measured with something else: once for all places where the same changed."""
        places: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
        for row in self.rows:
            for name, (before, now) in self._changes(row).items():
                change = self.model_of[row.model], f"{name} {before} -> {now}"
                places.setdefault(change, {})[row.condition, row.task] = None
        together: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
        for (model, text), where in places.items():
            together.setdefault((model, tuple(where)), []).append(text)
        for (model, everywhere), changes in together.items():
            conditions, tasks = (
                list(dict.fromkeys(names)) for names in zip(*everywhere, strict=True)
            )
            several = "; ".join(
                f"{word} {listed(names, 3)}"
                for word, names in (("under", conditions), ("on", tasks))
                if len(names) > 1
            )
            line = self.lines.get(("task", model, tasks[0]))
            if len(tasks) > 1 or line is None:
                line = self.lines.get(("run", model, conditions[0]), line)
            yield Finding(
                Verdict.CHANGED_SIGNATURE,
                ", ".join(changes) + (f" ({several})" if several else ""), model,
                conditions[0] if len(conditions) == 1 else "",
                tasks[0] if len(tasks) == 1 else "", line=line,
            )  # fmt: skip

    def moved(self) -> Iterator[Finding]:
        """The numbers of the baseline that can be compared; the others are said of all at once."""
        for key, value in self.values.items():
            comparable = [row for row in self.by_key.get(key, ()) if not self._changes(row)]
            if comparable:
                yield _compared(value, comparable[-1], self.lines.get(("value", *key)))

    def missing(self) -> Iterator[Finding]:
        """What is in the baseline and not in the results."""
        for key, length, names in _lacking(self.values, self.by_key):
            expected = self.values[key].value if length == 4 else None
            line = self.lines.get(("value", *key))
            message = "in the baseline, not in the results"
            yield Finding(_MISSING[length], message, *names, expected=expected, line=line)

    def new(self) -> Iterator[Finding]:
        """What is in the results and not in the baseline."""
        rows = {key: rows[0] for key, rows in self.by_key.items()}
        for key, length, names in _lacking(rows, {value.key for value in self.baseline.values}):
            found = rows[key].value if length == 4 else None
            message = "in the results, not in the baseline; --update adds it"
            yield Finding(Verdict.NEW, message, *names, found=found)

    def gates(self) -> Iterator[Finding]:
        """Of all results; where some are chosen, gates about a number of those."""
        measured = Measured(_by_key(self.everything), self.allowed)
        meant = Measured({**_by_key(self.rows), **dict.fromkeys(self.values, ())})
        # Without a single number there is no model either, and the gate is not met for that.
        there = sorted({row.model for row in self.everything}) or sorted(self.baseline.models)
        for number, gate in enumerate(self.baseline.gates):
            models = [self.renamed.get(gate.model, gate.model)] if gate.model else there
            line = self.lines.get(("gate", str(number)))
            for finding in gate_findings(gate, measured, models or ["no model"], line):
                if not self.narrowed or any(
                    (finding.model, condition, finding.task, finding.metric) in meant.rows
                    for condition in meant.conditions(finding.model, finding.condition)
                ):
                    yield finding

    def _changes(self, row: Row) -> dict[str, tuple[str, str]]:
        model = self.model_of[row.model]
        if (model, row.condition) not in self.baseline.runs:
            return {}
        return self.baseline.changes(row, model, self.allowed | VERSIONS)


def _by_key(
    rows: Sequence[Row], model_of: Mapping[str, str] | None = None
) -> dict[_Key, list[Row]]:
    """Several under one key were measured with several masks, or in several dtypes."""
    by_key: dict[_Key, list[Row]] = {}
    for row in rows:
        model = (model_of or {}).get(row.model, row.model)
        by_key.setdefault((model, *row.key[1:]), []).append(row)
    return by_key


def _lacking(
    numbers: Mapping[_Key, Number], there: Iterable[_Key]
) -> Iterator[tuple[_Key, int, tuple[str, str, str, str | None, str]]]:
    """Keys that are not there, with the length of the shortest part that is not: the condition (2),
    the task (3) or the metric (4), each such part once; and model, condition, task, language and
    metric, empty beyond the length."""
    parts = {key[:length] for key in there for length in _MISSING}
    for key, number in numbers.items():
        length = next((length for length in _MISSING if key[:length] not in parts), None)
        if length is not None:
            parts.add(key[:length])
            model, condition, task, metric = (*key[:length], "", "")[:4]
            language = number.language if length > 2 else None
            yield key, length, (model, condition, task, language, metric)


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
