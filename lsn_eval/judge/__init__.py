"""Grades of answers by a language model behind an OpenAI-compatible endpoint.

    with JudgeSession(JudgeSettings(model="MODEL"), folder) as session:
        graded = session.grade([Answer("0", question, answer), ...])

The key is read from `OPENAI_API_KEY`, the endpoint from `OPENAI_BASE_URL`. Every reply is kept on
disk, so that an interrupted run goes on where it was and a repeat sends nothing.
"""

from __future__ import annotations

from lsn_eval.judge.answers import Answer
from lsn_eval.judge.session import JudgeSession
from lsn_eval.judge.settings import JudgeError, JudgeSettings

__all__ = ["Answer", "JudgeError", "JudgeSession", "JudgeSettings"]
