"""A judge with its cache: grades answers, compares pairs, counts what that took.

Many requests at a time: the cache first, again where a reply cannot be read, a stop in time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from lsn_eval.judge.answers import Answer
from lsn_eval.judge.cache import FILE, ReplyCache, cache_key
from lsn_eval.judge.client import JudgeClient, JudgeUnusable, RequestFailed
from lsn_eval.judge.grades import Grade, read_grade
from lsn_eval.judge.pairwise import SAME, Comparison, agree, read_verdict
from lsn_eval.judge.prompts import GRADE, PAIR, Prompt
from lsn_eval.judge.settings import JudgeError, JudgeSettings
from lsn_eval.judge.templates import load_template, read_choice, read_rating
from lsn_eval.judge.usage import Usage

GIVE_UP_AFTER = 5
"""Requests in a row, over all threads, that failed after all their retries."""

T = TypeVar("T")
Progress = Callable[[int, int], object]
"""Called with how many are done, and of how many."""
Texts = tuple[tuple[str, str], ...]
"""What goes into a prompt, by the names of its fields."""
Outcome = tuple[T | None, str | None, tuple[str, ...]]
"""A value, or None and the reason why there is none; and the judge's replies."""


def judge_signature(model: str, prompt: Prompt) -> str:
    """What a grade was given with: `judge:MODEL|prompt:sha256-...`."""
    return f"judge:{model}|prompt:sha256-{prompt.digest[:12]}"


class JudgeSession(AbstractContextManager["JudgeSession"]):
    """Open it before anything is generated: it needs the key, `openai` and a folder to write to.

    Raises:
        JudgeError: one of these is missing, or the template cannot be used.
    """

    def __init__(self, settings: JudgeSettings, folder: Path) -> None:
        self.settings = settings
        self.usage = Usage()
        self.stopped: str | None = None
        """Why the judge was given up, if it was; what it was not asked is unjudged."""
        self._lock = threading.Lock()
        self._failures = 0
        self.template = load_template(settings.template) if settings.template else None
        self._client = JudgeClient(settings, self.usage)
        try:
            self._cache = ReplyCache(folder / FILE)
        except BaseException:
            self._client.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and the cache."""
        self._client.close()
        self._cache.close()

    def prompt(self, kind: str) -> Prompt:
        """What is asked to have answers "graded" or compared "pairwise".

        Raises:
            JudgeError: the template is for the other.
        """
        if self.template is None:
            return {"graded": GRADE, "pairwise": PAIR}[kind]
        if self.template[0] != kind:
            raise JudgeError(
                f"the template {self.settings.template} is for answers that are "
                f"{self.template[0]}, and these are to be {kind} (--pairwise); give one that fits"
            )
        return self.template[1]

    def grade(self, answers: Sequence[Answer], progress: Progress | None = None) -> list[Grade]:
        """One grade an answer, in order."""
        texts = [(("question", a.question), ("answer", a.answer)) for a in answers]
        read = read_rating if self.template else read_grade
        outcomes = self._ask(self.prompt("graded"), read, texts, progress)
        return [Grade(a.doc_id, *outcome) for a, outcome in zip(answers, outcomes, strict=True)]

    def compare(
        self, pairs: Sequence[tuple[Answer, Answer]], progress: Progress | None = None
    ) -> list[Comparison]:
        """One comparison a pair, in order. Equal answers are a tie without asking."""
        texts = [
            (("question", a.question), ("answer_a", a.answer), ("answer_b", b.answer))
            for first, second in pairs
            if first.answer != second.answer
            for a, b in ((first, second), (second, first))
        ]
        read = read_choice if self.template else read_verdict
        outcomes = iter(self._ask(self.prompt("pairwise"), read, texts, progress))
        compared = []
        for first, second in pairs:
            if first.answer == second.answer:
                compared.append(Comparison(first.doc_id, SAME, None, ((), ())))
                continue
            (as_a, no_a, replies_a), (as_b, no_b, replies_b) = next(outcomes), next(outcomes)
            replies = (replies_a, replies_b)
            compared.append(Comparison(first.doc_id, agree(as_a, as_b), no_a or no_b, replies))
        return compared

    def _ask(
        self,
        prompt: Prompt,
        read: Callable[[str], T | None],
        texts: Sequence[Texts],
        progress: Progress | None,
    ) -> list[Outcome[T]]:
        """One outcome for each of `texts`, in order; the same twice is asked once."""
        distinct = list(dict.fromkeys(texts))
        done: dict[Texts, Outcome[T]] = {}
        pool = ThreadPoolExecutor(self.settings.concurrency, thread_name_prefix="judge")
        try:
            pending: dict[Future[Outcome[T]], Texts]
            pending = {pool.submit(self._one, prompt, read, each): each for each in distinct}
            for future in as_completed(pending):
                done[pending[future]] = future.result()
                if progress is not None:
                    progress(len(done), len(distinct))
        except BaseException:
            # Replies under way are paid for: they are waited for and kept, nothing more is sent.
            self._client.stop()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return [done[each] for each in texts]

    def _one(self, prompt: Prompt, read: Callable[[str], T | None], texts: Texts) -> Outcome[T]:
        replies: list[str] = []
        for attempt in range(1, self.settings.attempts + 1):
            messages = prompt.messages(remind=attempt > 1, **dict(texts))
            try:
                reply = self._reply(prompt, messages, attempt)
            except RequestFailed as error:
                return None, str(error), tuple(replies)
            replies.append(reply["text"])
            # A reply cut off at its length may end in the first digit of a 10.
            value = None if reply["finish_reason"] == "length" else read(reply["text"])
            if value is not None:
                return value, None, tuple(replies)
        count = len(replies)
        reason = f"none of {count} replies could be read" if count > 1 else "unreadable reply"
        return None, reason, tuple(replies)

    def _reply(
        self, prompt: Prompt, messages: list[dict[str, str]], attempt: int
    ) -> Mapping[str, Any]:
        settings = self.settings
        key = cache_key(settings.model, settings.parameters, messages, attempt)
        reply = self._cache.get(key)
        cached = reply is not None
        if reply is None:
            if self.stopped is not None:
                raise RequestFailed(f"not asked: {self.stopped}")
            try:
                reply = self._client.complete(messages)
            except RequestFailed as error:
                self._failed(error)
                raise
            context = {
                "prompt": f"{prompt.name}/{prompt.version}:{prompt.digest}",
                "judge": settings.model,
                "parameters": dict(settings.parameters),
                "attempt": attempt,
                "base_url": self._client.base_url,
            }
            self._cache.put(key, reply | context)
        with self._lock:
            self._failures = self._failures if cached else 0
            self.usage.add(reply, cached=cached)
        return reply

    def _failed(self, error: RequestFailed) -> None:
        with self._lock:
            self._failures += 1
            if isinstance(error, JudgeUnusable):
                self.stopped = str(error)
            elif self._failures >= GIVE_UP_AFTER and self.stopped is None:
                self.stopped = (
                    f"{self._failures} requests in a row failed, the last at "
                    f"{self._client.base_url}: {error}"
                )

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
