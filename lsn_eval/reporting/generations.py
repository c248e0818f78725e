"""What the model wrote: the first documents of each generation task, each condition's answer beside
the others', with the language that it is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsn_eval.comparing import Comparison, Panel
from lsn_eval.language_scores import codes, load_identifier
from lsn_eval.language_scores.identification import EMPTY, UNDETERMINED, Identifier
from lsn_eval.results.rows import ResultsError
from lsn_eval.results.run_files import RunFile
from lsn_eval.results.samples import Sample, samples, samples_path
from lsn_eval.results.settings import mapping
from lsn_eval.visible_text import shortened
from lsn_eval.wording.lists import counted, listed

LONGEST = 4000
"""Characters kept of a prompt or an answer."""
MOST_CONDITIONS = 24
"""Of a task."""
MOST_ANSWERS = 2000
"""Of the whole page; the tasks after that are named and left out."""


@dataclass(frozen=True)
class Logged:
    """One document under one condition, no text of it longer than `LONGEST`."""

    digest: str
    prompt: str
    target: str
    text: str
    """The first answer."""
    cut: int
    """Characters of it beyond `LONGEST`."""
    others: int
    """Further answers to the same document."""
    filtered: str | None
    """What was scored, where it differs."""

    @staticmethod
    def of(sample: Sample) -> Logged:
        """Of a sample that was read with its texts."""
        texts = sample.texts
        assert texts is not None
        text = texts.answers[0] if texts.answers else ""
        filtered = texts.filtered[0] if texts.filtered and texts.filtered[0] != text else None
        return Logged(
            digest=sample.document[1],
            prompt=shortened(texts.prompt, LONGEST),
            target=shortened(texts.target, LONGEST),
            text=text[:LONGEST],
            cut=max(0, len(text) - LONGEST),
            others=max(0, len(texts.answers) - 1),
            filtered=None if filtered is None else shortened(filtered, LONGEST),
        )


@dataclass(frozen=True)
class Answer:
    """What one condition gave for a document."""

    condition: str
    logged: Logged | None
    """None where the document was not evaluated."""
    detected: str = UNDETERMINED
    confidence: float | None = None
    expected: bool | None = None
    """Whether the language is the task's; None where the task has none."""

    @property
    def lang(self) -> str | None:
        """For the attribute of that name."""
        return None if self.detected in (EMPTY, UNDETERMINED) else self.detected


@dataclass(frozen=True)
class Example:
    """A document and its answers."""

    number: int
    document: Logged
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class TaskExamples:
    """The examples of a task under one model and mask."""

    task: str
    title: str
    language: str | None
    """Of the prompts."""
    expected: str | None
    """Of the answers."""
    examples: tuple[Example, ...]
    notes: tuple[str, ...]
    """What was left out."""


@dataclass(frozen=True)
class _Source:
    """Where the answers of one task lie."""

    panel: Panel
    task: str
    language: str | None
    expected: str | None
    """The language that an answer should be in."""
    files: Mapping[str, Path]
    """Results files by condition, controls too."""


def generations(
    comparison: Comparison, runs: Sequence[RunFile], *, most: int, all_controls: bool
) -> tuple[list[TaskExamples], list[str]]:
    """Examples by task, and what a reader should know about what is not among them.

    Args:
        most: documents a task, those with the lowest numbers.
        all_controls: every control, not only the first of each condition.
    """
    if not most:
        return [], ["No documents are shown (--samples 0)."]
    generating = {
        (run.path, task): config
        for run in runs
        for task, config in run.tasks.items()
        if config.get("output_type") == "generate_until"
    }
    found, notes, shown, skipped, without = [], [], 0, [], []
    for source in _sources(comparison, generating):
        if shown >= MOST_ANSWERS:
            skipped.append(source.task)
            continue
        examples = _examples(source, most, all_controls)
        if examples is None:
            without.append(source.task)
            continue
        found.append(examples)
        shown += sum(len(example.answers) for example in examples.examples)
    if without:
        notes.append(f"Without logged samples (--log_samples): {listed(without, 20)}.")
    if skipped:
        notes.append(
            f"Left out after {shown} answers: {listed(skipped, 20)}. Report fewer files, or give "
            "a lower --samples."
        )
    return found, notes


def _sources(
    comparison: Comparison, generating: Mapping[tuple[Path, str], Mapping[str, Any]]
) -> list[_Source]:
    """Each task once a model and mask; every metric's panel has the same files."""
    found: dict[tuple[str, ...], _Source] = {}
    for panel in comparison.panels:
        for language in panel.languages:
            cells = {c: change for (c, text), change in panel.changes.items() if text == language}
            row = next(iter(cells.values())).row
            key = (panel.model, panel.mask, panel.dtype, row.task)
            if key in found or (row.file, row.task) not in generating:
                continue
            files = {condition: change.row.file for condition, change in cells.items()}
            # A translation's answer is in its target language, whichever the task is counted to.
            stated = mapping(generating[row.file, row.task].get("dataset_kwargs"))
            expected = str(stated.get("target") or row.language or "") or None
            found[key] = _Source(panel, row.task, row.language, expected, files)
    return list(found.values())


def _examples(source: _Source, most: int, all_controls: bool) -> TaskExamples | None:
    """None where nothing was logged."""
    conditions, notes = _conditions(source, all_controls)
    logged: dict[str, dict[int, Logged]] = {}
    reference: dict[int, Logged] = {}
    damaged = []
    for condition in conditions:
        logged[condition] = {}
        try:
            path = samples_path(source.files[condition], source.task)
            logged[condition] = _read(path, most, reference)
        except ResultsError as error:
            damaged.append(f"{condition}: {error}")
        reference = reference or logged[condition]
    if not reference and not damaged:
        return None
    expected = None if source.expected is None else codes.of_language(source.expected)
    language = None if source.language is None else codes.of_language(source.language)
    identifier = load_identifier()
    examples = []
    for number, document in sorted(reference.items()):
        answers = tuple(
            _answer(condition, found.get(number), document, expected, identifier)
            for condition, found in logged.items()
        )
        examples.append(Example(number, document, answers))
    documents = next(iter(source.panel.changes.values())).row.documents
    if documents and documents > len(examples):
        notes.insert(0, f"The first {len(examples)} of {documents} documents.")
    several = "" if source.panel.mask == "none" else f", mask {source.panel.mask}"
    title = f"{source.task}, {source.panel.model}{several}"
    return TaskExamples(source.task, title, language, expected, tuple(examples), (*notes, *damaged))


def _read(path: Path, most: int, reference: Mapping[int, Logged]) -> dict[int, Logged]:
    """The documents of the reference; without one those with the lowest numbers. None of a file
    that is not there.

    Raises:
        ResultsError: it cannot be read as samples.
    """
    found: dict[int, Logged] = {}
    for sample in samples(path, texts=True) if path.is_file() else ():
        number = sample.number
        # A document stands there once a filter.
        if number in found or (reference and number not in reference):
            continue
        if not reference and len(found) >= most:
            if number > max(found):
                continue
            del found[max(found)]
        found[number] = Logged.of(sample)
        if reference and len(found) == len(reference):
            break
    return found


def _conditions(source: _Source, all_controls: bool) -> tuple[list[str], list[str]]:
    """The conditions that are shown, and what is said of the others."""
    chosen, hidden = [], 0
    for condition in source.panel.conditions:
        controls = [c for c in source.panel.controls.get(condition, ()) if c in source.files]
        kept = controls if all_controls else controls[:1]
        hidden += len(controls) - len(kept)
        chosen += [c for c in (condition, *kept) if c in source.files]
    notes = []
    if hidden:
        notes.append(f"{counted(hidden, 'further control')} left out (--all-controls shows them).")
    if len(chosen) > MOST_CONDITIONS:
        left_out = counted(len(chosen) - MOST_CONDITIONS, "further condition")
        notes.append(f"{left_out} left out. Report fewer files to see them.")
    return chosen[:MOST_CONDITIONS], notes


def _answer(
    condition: str,
    logged: Logged | None,
    document: Logged,
    language: str | None,
    identifier: Identifier,
) -> Answer:
    if logged is None or logged.digest != document.digest:
        return Answer(condition, None)
    detected, confidence = identifier.identify(logged.text), None
    if detected not in (EMPTY, UNDETERMINED):
        line = logged.text.replace("\n", " ").encode("utf-8", "replace").decode("utf-8")
        confidence = min(1.0, float(identifier.detector.detect(line, k=1)[0]["score"]))
    expected = None if language is None else codes.counts_as(detected, language)
    return Answer(condition, logged, detected, confidence, expected)
