"""What the model wrote: each condition's answer beside the baseline's, document by document, from
which language to which answers went, and the answers that show it best."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lsn_eval.comparing import Comparison, Panel
from lsn_eval.comparing.panels import own_language
from lsn_eval.language_scores import codes, load_identifier
from lsn_eval.language_scores.identification import UNDETERMINED
from lsn_eval.reporting.answer import LONGEST, Answer, Telling, marked
from lsn_eval.results.controls import controlled
from lsn_eval.results.languages import language_of_answers
from lsn_eval.results.rows import NO_CONDITION, ResultsError
from lsn_eval.results.run_files import RunFile
from lsn_eval.results.samples import samples, samples_path
from lsn_eval.tables import Cell, Table
from lsn_eval.tables.steering import count_cells
from lsn_eval.wording.lists import counted, listed

EXCERPT = 300
"""Characters kept of the others, which are counted and can be telling."""
MOST_CONDITIONS = 24
"""Of a task."""
MOST_ANSWERS = 3000
"""That a page shows; the tasks after that are named and left out."""
MOST_CHARACTERS = 3_000_000
"""Of all answers of a page: where there are many, less of each is kept."""
MOST_COUNTED = 60_000
"""Answers whose language is counted."""
TELLING = 3


@dataclass(frozen=True)
class Document:
    """A document and what was answered."""

    number: int
    baseline: Answer | None
    answers: Sequence[Answer]
    lacking: Sequence[str]
    """Conditions that were not evaluated on it."""

    @property
    def asked(self) -> Answer:
        """Any of them, for the prompt and the target."""
        return self.baseline or self.answers[0]

    @property
    def changed(self) -> int:
        """Answers in another language."""
        return sum(answer.changed for answer in self.answers)


@dataclass
class TaskAnswers:
    """A task under one model and mask: where its answers lie, and the documents that are shown."""

    panel: Panel
    task: str
    language: str | None
    """Of the prompts."""
    expected: str | None
    """Of the answers."""
    files: Mapping[str, Path]
    """Results files by condition: of those that are shown, the baseline first."""
    apart: Collection[str]
    """Conditions measured with something else than the baseline: shown, but counted nowhere."""
    notes: list[str]
    """What was left out."""
    documents: list[Document] = field(default_factory=list)

    @property
    def model(self) -> str:
        """With its mask."""
        mask = "" if self.panel.mask == "none" else f", mask {self.panel.mask}"
        return f"{self.panel.model}{mask}"


@dataclass
class Answers:
    """What a page shows of them."""

    tasks: list[TaskAnswers] = field(default_factory=list)
    matrices: list[tuple[str, str, Table]] = field(default_factory=list)
    """Condition, in a line how many answers changed, and from which language to which."""
    telling: list[Telling] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_Given = dict[str, dict[int, Answer]]
"""Answers by condition and document."""
_Moves = dict[tuple[str, str, bool], Counter[tuple[str, str]]]
"""From which language to which: by condition, where, and whether there is a baseline."""


def browse(
    comparison: Comparison, runs: Sequence[RunFile], *, most: int | None, all_controls: bool
) -> Answers:
    """The answers of the generation tasks.

    Args:
        most: documents of a task that are shown, those with the lowest numbers; as many as the
            page holds without it.
        all_controls: every control, not only the first of each condition.
    """
    if most == 0:
        return Answers(notes=["No documents are shown (--samples 0)."])
    tasks = list(_tasks(comparison, runs, all_controls))
    files = sum(len(task.files) for task in tasks) or 1
    most = most or max(1, MOST_ANSWERS // files)
    longest = max(EXCERPT, min(LONGEST, MOST_CHARACTERS // (files * most)))
    found, shown, skipped, without = Answers(), 0, [], []
    moves: _Moves = defaultdict(Counter)
    for task in tasks:
        if shown >= MOST_ANSWERS:
            skipped.append(task.task)
            continue
        answers, damaged = _read(task, most, max(most, MOST_COUNTED // files), longest)
        if not answers and not damaged:
            without.append(task.task)
            continue
        found.tasks.append(task)
        found.telling = _clearest([*found.telling, *_compare(task, answers, most, moves)])
        task.notes += damaged
        shown += sum(len(document.answers) + 1 for document in task.documents)
    found.matrices = [_matrix(*key, counts) for key, counts in moves.items()]
    if without:
        found.notes.append(f"Without logged samples (--log_samples): {listed(without, 20)}.")
    if skipped:
        told = f"Left out after {shown:,} answers: {listed(skipped, 20)}."
        found.notes.append(f"{told} Report fewer files, or give a lower --samples.")
    return found


def _tasks(
    comparison: Comparison, runs: Sequence[RunFile], all_controls: bool
) -> Iterator[TaskAnswers]:
    """Each task once a model and mask; every metric's panel has the same files."""
    generating: dict[tuple[Path, str], Mapping[str, Any]] = {
        (run.path, task): config
        for run in runs
        for task, config in run.tasks.items()
        if config.get("output_type") == "generate_until"
    }
    seen = set()
    for panel in comparison.panels:
        for language in panel.languages:
            cells = {c: change for (c, text), change in panel.changes.items() if text == language}
            row = next(iter(cells.values())).row
            key = (panel.model, panel.mask, panel.dtype, row.task)
            if key in seen or (row.file, row.task) not in generating:
                continue
            seen.add(key)
            names, notes = _conditions(panel, list(cells), row.language, all_controls)
            files = {name: cells[name].row.file for name in names}
            ends = row.language, language_of_answers(row.language, generating[row.file, row.task])
            prompts, expected = (codes.of_language(end) if end else None for end in ends)
            if expected and not load_identifier().knows(expected):
                notes.append(f"The language identifier has no label for {expected}.")
                expected = None
            if apart := [name for name in names if cells[name].incomparable]:
                notes.append(f"Not comparable, and counted nowhere: {listed(apart, 8)}.")
            yield TaskAnswers(panel, row.task, prompts, expected, files, apart, notes)


def _conditions(
    panel: Panel, there: Sequence[str], language: str | None, all_controls: bool
) -> tuple[list[str], list[str]]:
    """The conditions that are shown, those about the task's language first, controls of others
    last; and what is said of the rest."""
    chosen, hidden = [], 0
    for condition in panel.conditions:
        controls = [c for c in panel.controls.get(condition, ()) if c in there]
        kept = controls if all_controls else controls[:1]
        hidden += len(controls) - len(kept)
        chosen += [c for c in (condition, *kept) if c in there]

    def rank(condition: str) -> tuple[bool, bool, bool]:
        foreign = own_language(condition) != language
        return condition != NO_CONDITION, foreign and controlled(condition) is not None, foreign

    chosen.sort(key=rank)
    notes = []
    if hidden:
        notes.append(f"{counted(hidden, 'further control')} left out (--all-controls shows them).")
    if further := len(chosen[MOST_CONDITIONS:]):
        left_out = counted(further, "further condition")
        notes.append(f"{left_out} left out. Report fewer files to see them.")
    return chosen[:MOST_CONDITIONS], notes


def _read(task: TaskAnswers, shown: int, most: int, longest: int) -> tuple[_Given, list[str]]:
    """The answers by condition and document, and which files cannot be read.

    The documents are those of the first file with the lowest numbers; a file that is not there has
    no answers.
    """
    found: _Given = {}
    numbers: list[int] = []
    damaged = []
    for condition, results in task.files.items():
        path = samples_path(results, task.task)
        answers: dict[int, Answer] = {}
        try:
            if path.is_file() and not numbers:
                numbers = heapq.nsmallest(most, {sample.number for sample in samples(path)})
            wanted = {number: place < shown for place, number in enumerate(numbers)}
            for sample in samples(path, texts=True) if path.is_file() else ():
                # A document stands there once a filter.
                if sample.number in wanted and sample.number not in answers:
                    kept = longest if wanted[sample.number] else EXCERPT
                    answers[sample.number] = Answer.of(sample, condition, task.expected, kept)
        except ResultsError as error:
            damaged.append(f"{condition}: {error}")
        if answers:
            found[condition] = answers
    return found, damaged


def _compare(task: TaskAnswers, answers: _Given, most: int, moves: _Moves) -> list[Telling]:
    """Put the answers beside the baseline's, count their languages, and give those that tell."""
    telling = []
    where = f"{task.panel.family}, {task.model}"
    with_baseline = NO_CONDITION in answers
    numbers = sorted({number for of in answers.values() for number in of})
    for number in numbers:
        given = [of[number] for of in answers.values() if number in of]
        given = [answer for answer in given if answer.digest == given[0].digest]
        baseline = given.pop(0) if given[0].condition == NO_CONDITION else None
        start = baseline.detected if baseline else task.expected or UNDETERMINED
        shown = len(task.documents) < most
        beside = []
        for answer in given:
            apart = answer.condition in task.apart
            if not apart and (baseline or (task.expected and not with_baseline)):
                moves[answer.condition, where, with_baseline][start, answer.detected] += 1
            changed, pieces = answer.right is False, [(answer.text, False)]
            if baseline:
                # Two members of a macro-language are both the task's.
                changed = answer.detected != start and not (baseline.right and answer.right)
                clean = not apart and baseline.right is not False
                if changed and clean and not controlled(answer.condition):
                    clear = baseline.clear * answer.clear
                    telling.append(Telling(task.task, number, baseline, answer, clear))
                same = (answer.text, answer.rest) == (baseline.text, baseline.rest)
                pieces = marked(answer.text, baseline.text) if shown and not same else []
            beside.append(replace(answer, changed=changed, pieces=pieces))
        if shown:
            there = {NO_CONDITION, *(answer.condition for answer in given)}
            lacking = [condition for condition in task.files if condition not in there]
            task.documents.append(Document(number, baseline, beside, lacking))
    whole = next(iter(task.panel.changes.values())).row.documents
    if whole and whole > len(task.documents):
        counting = "" if len(numbers) == len(task.documents) else f"; counted are {len(numbers):,}"
        part = f"The first {len(task.documents)} of {whole:,} documents{counting}."
        task.notes.insert(0, f"{part} The rest is in the samples files.")
    return [one for one in telling if one.clear]


def _clearest(candidates: Sequence[Telling]) -> list[Telling]:
    """The clearest of each condition, then the others; none of a control."""
    seen: Counter[str] = Counter()
    ranked = []
    for one in sorted(candidates, key=lambda one: -one.clear):
        ranked.append((seen[one.answer.condition], one))
        seen[one.answer.condition] += 1
    return [one for _, one in sorted(ranked, key=lambda ranked: ranked[0])[:TELLING]]


def _matrix(
    condition: str, where: str, with_baseline: bool, counts: Counter[tuple[str, str]]
) -> tuple[str, str, Table]:
    """From which language to which the answers under a condition went."""
    starts, ends = Counter(start for start, _ in counts.elements()), {end for _, end in counts}
    rows = [language for language, _ in starts.most_common()]
    reached = [*rows, *(end for _, end in counts)]
    columns = [language for language in dict.fromkeys(reached) if language in ends]
    table = [[*(counts[start, end] for end in columns), starts[start]] for start in rows]
    moved = sum(number for (start, end), number in counts.items() if start != end)
    origin = "without intervention" if with_baseline else "asked for"
    return (
        condition,
        f"{moved:,} of {counted(counts.total(), 'answer')} in another language",
        Table(
            title=f"Languages of answers under {condition}, on {where}",
            columns=(origin, *columns, "all"),
            rows=tuple(
                (Cell(start), *count_cells(line)) for start, line in zip(rows, table, strict=True)
            ),
        ),
    )
