"""Many requests at a time: the cache first, again where a reply cannot be read, a stop in time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from lsn_eval.judge.cache import ReplyCache, cache_key
from lsn_eval.judge.client import JudgeClient, JudgeUnusable, RequestFailed
from lsn_eval.judge.prompts import Prompt
from lsn_eval.judge.settings import JudgeSettings
from lsn_eval.judge.usage import Usage

GIVE_UP_AFTER = 5
"""Requests in a row, over all threads, that failed after all their retries."""

T = TypeVar("T")


@dataclass(frozen=True)
class Ask:
    """A prompt and the texts that go into it."""

    prompt: Prompt
    texts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of an `Ask`: a value, or the reason why there is none."""

    value: T | None
    reason: str | None
    replies: tuple[str, ...]


class Asking(Generic[T]):
    """Asks a judge, and reads replies with `read`, which gives None for one it cannot read."""

    def __init__(
        self,
        client: JudgeClient,
        cache: ReplyCache,
        settings: JudgeSettings,
        usage: Usage,
        read: Callable[[str], T | None],
    ) -> None:
        self._client, self._cache, self._settings = client, cache, settings
        self._usage, self._read = usage, read
        self._lock = threading.Lock()
        self._failures = 0
        self.stopped: str | None = None
        """Why the rest was not asked, if it was not."""

    def all(
        self, asks: Sequence[Ask], progress: Callable[[int, int], None] | None = None
    ) -> list[Outcome[T]]:
        """One outcome an `Ask`, in order; the same `Ask` twice is asked once."""
        distinct = list(dict.fromkeys(asks))
        done: dict[Ask, Outcome[T]] = {}
        pool = ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="judge")
        try:
            pending = {pool.submit(self._one, ask): ask for ask in distinct}
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
        return [done[ask] for ask in asks]

    def _one(self, ask: Ask) -> Outcome[T]:
        replies: list[str] = []
        for attempt in range(1, self._settings.attempts + 1):
            messages = ask.prompt.messages(remind=attempt > 1, **dict(ask.texts))
            key = cache_key(self._settings.model, self._settings.parameters, messages, attempt)
            reply: Mapping[str, Any] | None = self._cache.get(key)
            cached = reply is not None
            if reply is None:
                if self.stopped is not None:
                    return Outcome(None, f"not asked: {self.stopped}", tuple(replies))
                try:
                    reply = self._send(ask, messages, attempt, key)
                except RequestFailed as error:
                    return Outcome(None, self._failed(str(error)), tuple(replies))
                except JudgeUnusable as error:
                    self.stopped = str(error)
                    return Outcome(None, str(error), tuple(replies))
            with self._lock:
                self._usage.add(reply, cached=cached)
            replies.append(reply["text"])
            # A reply cut off at its length may end in the first digit of a 10.
            value = None if reply["finish_reason"] == "length" else self._read(reply["text"])
            if value is not None:
                return Outcome(value, None, tuple(replies))
        count = len(replies)
        return Outcome(
            None, f"none of {count} replies could be read" if count > 1 else "unreadable reply",
            tuple(replies),
        )  # fmt: skip

    def _send(
        self, ask: Ask, messages: list[dict[str, str]], attempt: int, key: str
    ) -> Mapping[str, Any]:
        reply = asdict(self._client.complete(messages))
        with self._lock:
            self._failures = 0
        context = {
            "prompt": f"{ask.prompt.name}/{ask.prompt.version}:{ask.prompt.digest}",
            "judge": self._settings.model,
            "parameters": dict(self._settings.parameters),
            "attempt": attempt,
            "base_url": self._client.base_url,
        }
        self._cache.put(key, reply | context)
        return reply

    def _failed(self, reason: str) -> str:
        with self._lock:
            self._failures += 1
            if self._failures >= GIVE_UP_AFTER and self.stopped is None:
                self.stopped = f"{self._failures} requests in a row failed, the last: {reason}"
        return reason
