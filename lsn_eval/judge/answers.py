"""Generated answers on disk: lm-eval's `samples_*.jsonl`, or our own spool files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsn_eval.judge.settings import JudgeError
from lsn_eval.results.languages import language_of, language_of_answers
from lsn_eval.results.rows import ResultsError, Row
from lsn_eval.results.run_files import read_file
from lsn_eval.results.samples import results_path, sample_of
from lsn_eval.storage.outside_files import Fields, json_lines
from lsn_eval.storage.whole_files import whole_file
from lsn_eval.wording.lists import listed


@dataclass(frozen=True)
class Answer:
    """What is graded: an answer to a question."""

    doc_id: str
    question: str
    answer: str


@dataclass(frozen=True)
class SavedAnswers:
    """The answers of one task in one run."""

    task: str
    source: str
    """The file they are from."""
    condition: str | None
    language: str | None
    """Of the answers."""
    signature: str | None
    """Of the run that generated them, where its results file says."""
    answers: tuple[Answer, ...]

    @property
    def name(self) -> str:
        """Short, for tables and messages."""
        return self.condition or Path(self.source).name


def spool(folder: Path, task: str, answers: Sequence[Answer]) -> Path:
    """Write `TASK.DIGEST.jsonl`, complete or not at all, and return its path.

    The digest covers the content: other answers get another file, the same ones the same.
    """
    lines = [json.dumps({"task": task, **vars(a)}, ensure_ascii=False) + "\n" for a in answers]
    # A model may generate half of a character, a lone surrogate: the judge is sent `?` for it, too.
    content = "".join(lines).encode("utf-8", "replace")
    digest = hashlib.sha256(content).hexdigest()[:12]
    path = folder / f"{task}.{digest}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(path, JudgeError) as file:
        file.write(content)
    return path


def load_saved(path: Path) -> list[SavedAnswers]:
    """The answers that a file or a folder holds, one entry a task.

    `path` is a samples file, a spool file, a results JSON with samples beside it, or a folder that
    holds one run.

    Raises:
        JudgeError: there are none, several runs that a folder does not tell apart, or a file that
            cannot be read; the message names the line.
    """
    if not path.exists():
        raise JudgeError(f"{path} does not exist; a samples file, a results file or their folder "
                         "was expected")  # fmt: skip
    files = [path]
    if path.is_dir():
        files = sorted(path.rglob("samples_*.jsonl"))
        runs = {results[0] for file in files if (results := results_path(file))}
        if len(runs) > 1:
            raise JudgeError(
                f"{path} holds samples of several runs ({listed(sorted(runs))}); name the results "
                "file or the samples file of one"
            )
    elif path.suffix == ".json":
        beside = sorted(path.parent.glob("samples_*.jsonl"))
        files = [file for file in beside if (results_path(file) or [None])[0] == path]
    if not files:
        raise JudgeError(f"no samples belong to {path}; run lm-eval with --log_samples and "
                         "--output_path")  # fmt: skip
    return [_read(file) for file in files]


def _read(path: Path) -> SavedAnswers:
    answers: dict[str, Answer] = {}
    filters, tasks, count = set(), set(), 0
    for number, record in json_lines(path, JudgeError):
        line = Fields(record, f"{path}, line {number}", JudgeError)
        answer = _spooled(line) if "answer" in line else _logged(line)
        answers[answer.doc_id] = answer
        filters.add(line.text("filter", ""))
        tasks.add(line.text("task", ""))
        count += 1
    if not answers:
        raise JudgeError(f"{path} holds no answers")
    if len(filters) > 1 or len(tasks) > 1 or len(answers) < count:
        raise JudgeError(
            f"{path} holds {count} answers to {len(answers)} documents (filters "
            f"{listed(sorted(filters))}); one answer a document, and one task, was expected"
        )
    named = results_path(path)
    row, language = _row_of(*named) if named and named[0].is_file() else (None, None)
    task = tasks.pop() or (named[1] if named else path.stem.removeprefix("samples_"))
    return SavedAnswers(
        task=task,
        language=language_of(task, {}) if row is None else language,
        answers=tuple(
            sorted(answers.values(), key=lambda a: (not a.doc_id.isdigit(), a.doc_id.zfill(12)))
        ),
        source=str(path),
        signature=None if row is None else row.signature,
        condition=None if row is None else row.condition,
    )


def _spooled(line: Fields) -> Answer:
    doc_id = line.value.get("doc_id")
    if not isinstance(doc_id, str | int):
        raise JudgeError(f"{line.where} has no doc_id; the number of a document was expected")
    return Answer(str(doc_id), line.text("question"), line.text("answer"))


def _logged(line: Fields) -> Answer:
    """lm-eval's row: the question is the document's `question`, behind the passage that it is about
    where there is one; else the whole prompt."""
    sample = sample_of(line, texts=True)
    texts = sample.texts
    if texts is None or len(texts.filtered) != 1 or not texts.generated:
        raise JudgeError(
            f"{line.where} holds no generated answer; samples of a task that generates one answer "
            "a document (output_type generate_until) were expected"
        )
    asked = [part for part in (texts.passage, texts.question) if part]
    question = texts.prompt if texts.question is None else "\n\n".join(asked)
    return Answer(str(sample.number), question, texts.filtered[0])


def _row_of(results: Path, task: str) -> tuple[Row | None, str | None]:
    """A number of the same run and task, which says what it was measured with, and the language of
    the task's answers."""
    try:
        run = read_file(results)
    except ResultsError:
        return None, None
    rows = [row for row in run.rows if row.task == task]
    if not rows:
        return None, None
    return rows[0], language_of_answers(rows[0].language, run.tasks.get(task, {}))
