"""Replies of the judge on disk, one row each, written before they are used.

A reply is found again by what was asked: prompt, texts, model, parameters and attempt. The key and
the endpoint are no part of it, so that a server on another port is not asked again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lsn_eval.judge.settings import JudgeError
from lsn_eval.storage.outside_files import Fields, parse_json

FILE = "replies.sqlite"
_FORMAT = 1


def cache_key(
    model: str, parameters: Mapping[str, Any], messages: list[dict[str, str]], attempt: int
) -> str:
    """SHA-256 of what decides a reply."""
    asked = {
        "model": model,
        "parameters": dict(parameters),
        "messages": messages,
        "attempt": attempt,
    }
    canonical = json.dumps(asked, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


class ReplyCache:
    """A SQLite file of JSON values; threads and processes may share it.

    Raises:
        JudgeError: the file is not one of these.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        with self._used():
            self._connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
            found = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, _FORMAT):
                raise JudgeError(
                    f"{path} has format {found} and this version reads {_FORMAT}; name another "
                    "folder, or upgrade lsn-eval"
                )
            if found == 0:
                with self._connection:
                    self._connection.execute(
                        "CREATE TABLE IF NOT EXISTS replies "
                        "(key TEXT PRIMARY KEY, value TEXT NOT NULL)"
                    )
                    self._connection.execute(f"PRAGMA user_version = {_FORMAT}")

    @contextlib.contextmanager
    def _used(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JudgeError(
                f"{self.path} cannot be used as the cache of replies ({error}); make room, move it "
                "away, or name another folder"
            ) from error

    def get(self, key: str) -> dict[str, Any] | None:
        """The reply stored under `key`: its text, why it ended, and its counts of tokens."""
        with self._used(), self._lock:
            row = self._connection.execute(
                "SELECT CAST(value AS TEXT) FROM replies WHERE key = ?", (key,)
            ).fetchone()
        if row is None:
            return None
        where = f"a reply in {self.path}"
        reply = Fields(parse_json(str(row[0]), where, JudgeError), where, JudgeError)
        return {
            "text": reply.text("text"),
            "finish_reason": reply.text("finish_reason", None),
            "prompt_tokens": reply.whole("prompt_tokens", None),
            "completion_tokens": reply.whole("completion_tokens", None),
        }

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Store, and be on disk when this returns."""
        text = json.dumps(value, ensure_ascii=True, sort_keys=True)
        with self._used(), self._lock, self._connection:
            self._connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, text))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
