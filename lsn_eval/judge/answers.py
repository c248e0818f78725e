"""One answer to one question."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What is graded, and where it is from."""

    doc_id: str
    question: str
    answer: str
