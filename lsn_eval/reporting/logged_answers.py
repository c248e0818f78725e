"""Prompts and answers of chosen documents, from the `samples_*.jsonl` that lm-eval logs.

`lsn_eval.results.samples` reads numbers, of all documents; here it is texts, of a few.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Logged:
    """One document of a samples file."""

    number: int
    digest: str
    prompt: str
    target: str
    answers: tuple[str, ...]
    """As the model gave them."""
    filtered: tuple[str, ...]
    """As they were scored."""


def read_answers(path: Path, first: int, wanted: Mapping[int, Logged] | None) -> dict[int, Logged]:
    """The documents with the `first` lowest numbers, or the wanted ones; none without a file.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: it is no samples file.
    """
    found: dict[int, Logged] = {}
    if not path.is_file():
        return found
    for sample in _lines(path):
        number = int(sample["doc_id"])
        if number in found or (wanted is not None and number not in wanted):
            continue
        if wanted is None and len(found) >= first:
            if number > max(found):
                continue
            del found[max(found)]
        found[number] = Logged(
            number=number,
            digest=str(sample.get("doc_hash", "")),
            prompt=_prompt(sample.get("arguments")),
            target=_shown(sample.get("target")),
            answers=tuple(_texts(sample.get("resps"))),
            filtered=tuple(_texts(sample.get("filtered_resps"))),
        )
        if wanted is not None and len(found) == len(wanted):
            break
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _prompt(arguments: Any) -> str:
    """The context of the first request."""
    while isinstance(arguments, dict | list | tuple) and arguments:
        arguments = next(iter(arguments.values() if isinstance(arguments, dict) else arguments))
    return _shown(arguments)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _texts(responses: Any) -> Iterator[str]:
    if isinstance(responses, list):
        for response in responses:
            yield from _texts(response)
    elif isinstance(responses, str):
        yield responses
