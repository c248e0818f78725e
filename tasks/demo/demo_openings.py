"""Openings of the `lsn_demo_langacc_*` tasks: first sentences of held-out documents.

A whole sentence, because anything shorter leaves the language open: many documents begin with the
name of a city, and `Wenen is` may go on in English too.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import datasets

from lsn_eval.errors import LsnError
from lsn_eval.lm_tasks.langacc import StartTokenTask

DATA = Path(__file__).resolve().parent / "data"

_FIRST_SENTENCE = re.compile(r".+?(?:\.(?=\s)|。)")


class OpeningTask(StartTokenTask):
    """First sentences for the model to go on from; only what it adds is scored.

    A document is `prompt` and `id`, that of the first held-out document that begins so.
    """

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """The documents come with the task."""
        return self.hub(**settings)

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """The first `openings` different first sentences of the documents of `language`."""
        lines = (DATA / f"{settings['language']}.jsonl").read_text(encoding="utf-8").splitlines()
        found: dict[str, str] = {}
        for row in map(json.loads, lines):
            found.setdefault(first_sentence(row["text"]), row["id"])
        rows = [{"id": name, "prompt": prompt} for prompt, name in found.items()]
        return {"test": datasets.Dataset.from_list(rows[: int(settings["openings"])])}


def first_sentence(text: str) -> str:
    """The text up to its first full stop before a space, or its first Chinese one.

    Raises:
        LsnError: the text ends with it, or has none: the model would be given a whole document.
    """
    found = _FIRST_SENTENCE.match(text)
    if found is None or found.end() == len(text):
        raise LsnError(
            f"{text!r} is not a sentence with others behind it; a document of several sentences, "
            "each ending in '. ' or '。', was expected"
        )
    return found.group()
