"""A judge with its cache: grades answers, compares pairs, counts what that took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from lsn_eval.judge.answers import Answer
from lsn_eval.judge.asking import Ask, Asking, Outcome
from lsn_eval.judge.cache import FILE, ReplyCache
from lsn_eval.judge.client import JudgeClient
from lsn_eval.judge.grades import Grade, read_grade
from lsn_eval.judge.pairwise import SAME, Comparison, agree, read_verdict
from lsn_eval.judge.prompts import GRADE, PAIR, Prompt
from lsn_eval.judge.settings import JudgeSettings
from lsn_eval.judge.usage import Usage

T = TypeVar("T")
Progress = Callable[[int, int], None]


def judge_signature(model: str, prompt: Prompt) -> str:
    """What a grade was given with: `judge:MODEL|prompt:sha256-...`."""
    return f"judge:{model}|prompt:{prompt.signature}"


class JudgeSession:
    """Open it before anything is generated: it needs the key, `openai` and a folder to write to.

    Raises:
        JudgeError: one of these is missing.
    """

    def __init__(self, settings: JudgeSettings, folder: Path) -> None:
        self.settings = settings
        self.usage = Usage()
        self.stopped: str | None = None
        """Why the judge was given up, if it was; what it was not asked is unjudged."""
        self._client = JudgeClient(settings)
        try:
            self._cache = ReplyCache(folder / FILE)
        except BaseException:
            self._client.close()
            raise

    def __enter__(self) -> JudgeSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and the cache."""
        self._client.close()
        self._cache.close()

    def grade(self, answers: Sequence[Answer], progress: Progress | None = None) -> list[Grade]:
        """One grade an answer, in order."""
        asks = [Ask(GRADE, (("question", a.question), ("answer", a.answer))) for a in answers]
        return [
            Grade(answer.doc_id, outcome.value, outcome.reason, outcome.replies)
            for answer, outcome in zip(answers, self._ask(asks, read_grade, progress), strict=True)
        ]

    def compare(
        self, pairs: Sequence[tuple[Answer, Answer]], progress: Progress | None = None
    ) -> list[Comparison]:
        """One comparison a pair, in order. Equal answers are a tie without asking."""
        asks = []
        for first, second in pairs:
            if first.answer != second.answer:
                for a, b in ((first, second), (second, first)):
                    texts = (("question", a.question), ("answer_a", a.answer))
                    asks.append(Ask(PAIR, (*texts, ("answer_b", b.answer))))
        outcomes = iter(self._ask(asks, read_verdict, progress))
        compared = []
        for first, second in pairs:
            if first.answer == second.answer:
                compared.append(Comparison(first.doc_id, SAME, None, ((), ())))
                continue
            as_a, as_b = next(outcomes), next(outcomes)
            compared.append(
                Comparison(
                    first.doc_id,
                    agree(as_a.value, as_b.value),
                    as_a.reason or as_b.reason,
                    (as_a.replies, as_b.replies),
                )
            )
        return compared

    def _ask(
        self, asks: Sequence[Ask], read: Callable[[str], T | None], progress: Progress | None
    ) -> list[Outcome[T]]:
        asking = Asking(self._client, self._cache, self.settings, self.usage, read)
        asking.stopped = self.stopped
        try:
            return asking.all(asks, progress)
        finally:
            self.stopped = asking.stopped
            self.usage.requests = self._client.sent
            self.usage.retried = self._client.retried

    def as_json(self, prompt: Prompt) -> dict[str, Any]:
        """Who judged, for a results file."""
        return {
            "signature": judge_signature(self.settings.model, prompt),
            "model": self.settings.model,
            "base_url": self._client.base_url,
            "prompt": {"name": prompt.name, "version": prompt.version, "digest": prompt.digest},
            "parameters": dict(self.settings.parameters),
            "attempts": self.settings.attempts,
        }
