"""Examples to train on: of a task's own prompts, SQuAD's questions, or lines of a file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lsn_eval.harness import plugin
from lsn_eval.lm_tasks.local_data import LocalDataError, json_rows
from lsn_eval.lm_tasks.upstream import upstream_config
from lsn_eval.lm_tasks.xnli import label_number
from lsn_eval.lm_tasks.xquad import squad_rows
from lsn_eval.storage.outside_files import Fields

Prompted = tuple[str, str]
"""A prompt and its answer, which follows it as it stands."""
Labelled = tuple[str, str, int]
"""Premise, hypothesis and class."""


@dataclass(frozen=True)
class Examples:
    """What is trained on."""

    rows: Sequence[Prompted | Labelled]
    """`Prompted`, or `Labelled` for a classification head."""
    source: str
    ends: bool
    """Whether the model learns to end after an answer."""
    scored_split: bool = False
    """Whether they are of the split that the task scores, since it has no other."""

    def described(self) -> dict[str, Any]:
        """For a record; the digest is of every word of them."""
        text = json.dumps(list(self.rows), ensure_ascii=False)
        return {
            "source": self.source,
            "examples": len(self.rows),
            "digest": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
            "scored_split": self.scored_split,
        }


def training_examples(source: str, *, head: bool, most: int | None = None) -> Examples:
    """The first `most` examples of a source.

    Args:
        source: a `.jsonl` file with `prompt` and `answer`, or with `premise`, `hypothesis` and
            `label`; a `.json` file in SQuAD's format, asked with lm-eval's English XQuAD prompt; or
            the name of an lm-eval task, whose training split is taken, else the one it scores.
        head: for a classification head, as `Labelled`.

    Raises:
        LsnError: there is no such source, or it is none of that kind.
    """
    scored, ends = False, not head
    if source.endswith(".jsonl"):
        read = _labelled if head else _prompted_line
        rows: Iterator[Any] = map(read, json_rows(Path(source)))
    elif source.endswith(".json"):
        rows = map(_question, squad_rows(Path(source)))
    else:
        task = _task(source)
        ends = ends and task.OUTPUT_TYPE == "generate_until"
        scored = not task.has_training_docs()
        docs = task.eval_docs if scored else task.training_docs()
        rows = (
            _labelled(Fields(doc, source, LocalDataError)) if head else _prompted(task, doc)
            for doc in docs
        )
    taken = list(islice(rows, most))
    if not taken or (head and len(taken[0]) != 3):
        wanted = "premise, hypothesis and label" if head else "a prompt and an answer"
        raise LocalDataError(f"{source} holds no examples to train on; {wanted} were expected")
    name = os.path.basename(source) if source.endswith((".jsonl", ".json")) else source
    return Examples(taken, name, ends, scored)


def _prompted_line(row: Fields) -> Prompted:
    return row.text("prompt"), row.text("answer")


def _labelled(row: Fields) -> Labelled:
    of_class = label_number(row.value.get("label"), row.where)
    return row.text("premise"), row.text("hypothesis"), of_class


def _question(row: dict[str, Any]) -> Prompted:
    from lm_eval.utils import apply_template

    prompt = apply_template(upstream_config("xquad", "xquad_en")["doc_to_text"], row)
    return prompt, " " + row["answers"]["text"][0]


def _task(name: str) -> Any:
    from lm_eval.tasks import TaskManager

    plugin.register()
    try:
        with plugin.asked_for([name]):
            tasks = TaskManager().load([name])["tasks"]
    except (KeyError, ValueError, OSError) as error:
        raise LocalDataError(
            f"--data {name} is no task that can be loaded ({error}); give one of 'lm_eval ls "
            "tasks', a .jsonl file, or a .json file in SQuAD's format"
        ) from error
    if len(tasks) != 1:
        raise LocalDataError(f"--data {name} is {len(tasks)} tasks; give one of them")
    (task,) = tasks.values()
    if task.OUTPUT_TYPE not in ("multiple_choice", "generate_until"):
        raise LocalDataError(f"--data {name} asks for no answers ({task.OUTPUT_TYPE})")
    return task


def _prompted(task: Any, doc: dict[str, Any]) -> Prompted:
    """What the task asks, and its answer. Of choices the beginning that all have is asked, too: in
    what follows it they differ, and by that alone one is chosen."""
    context = task.fewshot_context(doc, 0)
    delimiter, target = task.config.target_delimiter, task.doc_to_target(doc)
    if task.OUTPUT_TYPE == "generate_until":
        return context, f"{delimiter}{target[0] if isinstance(target, list) else target}"
    choices = task.doc_to_choice(doc)
    right = choices[target] if isinstance(target, int) else target
    shared = os.path.commonprefix(choices)  # noqa: RUF071 - of characters
    return f"{context}{delimiter}{shared}", right.removeprefix(shared)
