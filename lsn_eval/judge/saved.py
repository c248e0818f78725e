"""Generations that are on disk: lm-eval's `samples_*.jsonl`, or our own spool files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsn_eval.judge.answers import Answer
from lsn_eval.judge.errors import JudgeError
from lsn_eval.results.signatures import signature

_DATED = re.compile(r"_(\d{4}-\d\d-\d\dT[\d.-]+)$")


@dataclass(frozen=True)
class SavedAnswers:
    """The answers of one task in one run."""

    task: str
    answers: tuple[Answer, ...]
    source: str
    """The file they are from."""
    signature: str | None
    """Of the run that generated them, where its results file says."""
    condition: str | None

    @property
    def name(self) -> str:
        """Short, for tables and messages."""
        return self.condition or Path(self.source).name


def load_saved(path: Path) -> list[SavedAnswers]:
    """The answers that a file or a folder holds, one entry a task.

    `path` is a samples file, a spool file, a results JSON with samples beside it, or a folder that
    holds one run.

    Raises:
        JudgeError: there are none, or several runs that a folder does not tell apart.
    """
    if path.is_dir():
        files = sorted(path.rglob("samples_*.jsonl"))
        dates = sorted({found[1] for f in files if (found := _DATED.search(f.stem))})
        folders = sorted({str(f.parent) for f in files})
        if len(dates) > 1 or len(folders) > 1:
            raise JudgeError(
                f"{path} holds samples of several runs ({', '.join(dates)}; in "
                f"{', '.join(folders)}); name the results file or the samples file of one"
            )
    elif path.suffix == ".json":
        dated = _DATED.search(path.stem)
        files = sorted(path.parent.glob(f"samples_*_{dated[1]}.jsonl")) if dated else []
    elif path.is_file():
        files = [path]
    else:
        raise JudgeError(f"{path} does not exist; a samples file, a results file or their folder "
                         "was expected")  # fmt: skip
    if not files:
        raise JudgeError(f"no samples belong to {path}; run lm-eval with --log_samples and "
                         "--output_path")  # fmt: skip
    return [_read(file) for file in files]


def _read(path: Path) -> SavedAnswers:
    answers: list[Answer] = []
    filters: set[str] = set()
    spooled_task = None
    for number, line in enumerate(path.read_text("utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise JudgeError(f"{path}, line {number}: no JSON ({error})") from error
        if not isinstance(row, dict):
            raise JudgeError(f"{path}, line {number}: a JSON object was expected")
        answer = _spooled(row) or _sample(row)
        if answer is None:
            raise JudgeError(
                f"{path}, line {number} holds no generated answer; samples of a task that "
                "generates (output_type generate_until) were expected"
            )
        answers.append(answer)
        filters.add(str(row.get("filter", "")))
        spooled_task = row.get("task", spooled_task)
    if not answers:
        raise JudgeError(f"{path} holds no answers")
    ids = {answer.doc_id for answer in answers}
    if len(filters) > 1 or len(ids) < len(answers):
        raise JudgeError(
            f"{path} holds {len(answers)} answers to {len(ids)} documents (filters "
            f"{', '.join(sorted(filters))}); one answer a document was expected"
        )
    answers.sort(key=lambda a: (not a.doc_id.isdigit(), a.doc_id.zfill(12)))
    task = str(spooled_task or _DATED.sub("", path.stem).removeprefix("samples_"))
    record, version = _record_of(path, task)
    return SavedAnswers(
        task=task,
        answers=tuple(answers),
        source=str(path),
        signature=None if record is None else signature(record, f"{task}:{version}"),
        condition=None if record is None else str(record["condition"]),
    )


def _spooled(row: Mapping[str, Any]) -> Answer | None:
    question, answer = row.get("question"), row.get("answer")
    if not (isinstance(question, str) and isinstance(answer, str) and "doc_id" in row):
        return None
    return Answer(str(row["doc_id"]), question, answer)


def _sample(row: Mapping[str, Any]) -> Answer | None:
    """lm-eval's row: the question is the document's `question`, else the whole prompt."""
    responses = row.get("filtered_resps")
    while isinstance(responses, list) and len(responses) == 1:
        responses = responses[0]
    doc = row.get("doc")
    question = doc.get("question") if isinstance(doc, dict) else None
    if not isinstance(question, str):
        arguments = row.get("arguments")
        first = arguments.get("gen_args_0") if isinstance(arguments, dict) else None
        question = first.get("arg_0") if isinstance(first, dict) else None
    if not (isinstance(responses, str) and isinstance(question, str) and "doc_id" in row):
        return None
    return Answer(str(row["doc_id"]), question, responses)


def _record_of(samples: Path, task: str) -> tuple[Mapping[str, Any] | None, Any]:
    """The `lsn` record and the task's version, from the results file of the same run."""
    dated = _DATED.search(samples.stem)
    for path in sorted(samples.parent.glob(f"*_{dated[1]}.json")) if dated else []:
        try:
            results = json.loads(path.read_text("utf-8"))
            record = results["config"]["lsn"]
            version = results.get("versions", {}).get(task)
            signature(record, task)
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
        return record, version
    return None, None
