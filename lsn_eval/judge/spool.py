"""Generations on disk before the judge is asked: JSON lines that `lsn-eval judge` reads."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from lsn_eval.judge.answers import Answer
from lsn_eval.judge.errors import JudgeError
from lsn_eval.storage.whole_files import whole_file

_DIGEST_CHARACTERS = 12


def spool(folder: Path, task: str, answers: Sequence[Answer]) -> Path:
    """Write `TASK.DIGEST.jsonl`, complete or not at all, and return its path.

    The digest covers the content: other answers get another file, the same ones the same.
    """
    lines = [
        json.dumps(
            {"task": task, "doc_id": a.doc_id, "question": a.question, "answer": a.answer},
            ensure_ascii=False,
        )
        for a in answers
    ]
    # A model may generate half of a character, a lone surrogate: the judge is sent `?` for it, too.
    content = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_CHARACTERS]
    path = folder / f"{task}.{digest}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(path, JudgeError) as file:
        file.write(content)
        # The judge is asked for hours: by then it has to be there whatever happens.
        file.flush()
        os.fsync(file.fileno())
    return path
