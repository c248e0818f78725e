"""A prompt of the user's own instead of ours: placeholders for the texts, a verdict in brackets.

The prompts of FastChat's `llm_judge` (Zheng et al. 2023) fit, in their file as it is.
"""

from __future__ import annotations

import re
import string
from pathlib import Path

from lsn_eval.judge.grades import HIGHEST, LOWEST
from lsn_eval.judge.prompts import Prompt
from lsn_eval.judge.settings import JudgeError
from lsn_eval.storage.outside_files import Fields, json_lines, read_text

KINDS = {"graded": {"question", "answer"}, "pairwise": {"question", "answer_a", "answer_b"}}
"""Placeholders of a template that grades answers, and of one that compares two."""
_REMINDERS = {
    "graded": "End your reply with your rating in double square brackets, as in [[5]].",
    "pairwise": "End your reply with [[A]], [[B]] or, for a tie, [[C]].",
}
_NUMBER = re.compile(r"\[\[([0-9]{1,2}(?:\.[0-9]{1,4})?)\]\]")
_LETTER = re.compile(r"\[\[([ABC])\]\]")


def load_template(named: str) -> tuple[str, Prompt]:
    """What a template is for, a key of `KINDS`, and its prompt.

    Args:
        named: `FILE`, all of whose text is sent; or `FILE.jsonl:NAME`, the line of that `name` with
            `prompt_template` and `system_prompt`, as in FastChat's `judge_prompts.jsonl`.

    Raises:
        JudgeError: there is none, or its placeholders are none of `KINDS`.
    """
    file, _, entry = named.rpartition(":") if ".jsonl:" in named else (named, "", "")
    system = ""
    if file.endswith(".jsonl"):
        lines = [Fields(x, f"{file}, line {n}", JudgeError)
                 for n, x in json_lines(Path(file), JudgeError)]  # fmt: skip
        names = [line.text("name") for line in lines]
        if names.count(entry) != 1:
            raise JudgeError(
                f"{file} has {names.count(entry)} templates called {entry!r}; name one by "
                f"{file}:NAME, of {', '.join(names) or 'none'}"
            )
        line = lines[names.index(entry)]
        user, system = line.text("prompt_template"), line.text("system_prompt", "")
    else:
        user = read_text(Path(file), JudgeError)
    try:
        parts = list(string.Formatter().parse(user))
    except ValueError as error:
        raise JudgeError(
            f"the template {named}: {error}; a brace that is meant is doubled"
        ) from error
    found = {name for _, name, _, _ in parts if name is not None}
    kind = next((kind for kind, needed in KINDS.items() if found == needed), None)
    if kind is None or any(form or conversion for _, _, form, conversion in parts):
        raise JudgeError(
            f"the template {named} has {', '.join(f'{{{x}}}' for x in sorted(found)) or 'no'} "
            "placeholders; {question} and {answer} were expected, or {question}, {answer_a} and "
            "{answer_b}; a brace that is meant is doubled"
        )
    return kind, Prompt("template", 1, system, user, _REMINDERS[kind])


def read_rating(reply: str) -> float | None:
    """The number in `[[7]]`; None where there is none, or are several that differ."""
    values = {float(value) for value in _NUMBER.findall(reply)}
    value = values.pop() if len(values) == 1 else 0
    if not LOWEST <= value <= HIGHEST:
        return None
    return int(value) if value == int(value) else value


def read_choice(reply: str) -> str | None:
    """`A`, `B` or `tie` of `[[A]]`, `[[B]]`, `[[C]]`; None where there is none, or are several that
    differ."""
    values = set(_LETTER.findall(reply))
    return {"A": "A", "B": "B", "C": "tie"}[values.pop()] if len(values) == 1 else None
