"""The key: read from the environment, never stored, cut out of all that comes back.

Some servers repeat the key in an error message or a reply; what is logged, cached or raised passes
`Key.redact` first, after it was decoded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from lsn_eval.judge.settings import JudgeError
from lsn_eval.storage.masked_secrets import without

VARIABLE = "OPENAI_API_KEY"
SECRET_LENGTH = 12
"""Shorter keys are placeholders for servers that want none; cutting out `x` would spoil text."""

_LOGGERS = ("openai", "httpx", "httpcore", "asyncio", "lsn_eval.judge")
"""The client's and ours, by the start of their names; some log what a server sends."""


class Key:
    """A key that neither prints nor pickles."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @staticmethod
    def from_environment() -> Key:
        """The key in `OPENAI_API_KEY`.

        Raises:
            JudgeError: there is none, or one that no HTTP header can carry.
        """
        value = os.environ.get(VARIABLE, "").strip()
        if not value:
            raise JudgeError(
                f"the judge needs a key: set the environment variable {VARIABLE} (for a server "
                "that wants none, to anything, e.g. none)"
            )
        if not (value.isascii() and value.isprintable() and " " not in value):
            raise JudgeError(
                f"{VARIABLE} holds a blank, a line break or a character outside ASCII; no key has "
                "those, set it again"
            )
        return Key(value)

    def reveal(self) -> str:
        """The value, for the client alone."""
        return self._value

    def redact(self, text: str) -> str:
        """The text with `***` for the key, however it is escaped, and all that looks like one."""
        return without(text, [self._value] if len(self._value) >= SECRET_LENGTH else [])

    def __repr__(self) -> str:
        return "Key(...)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not stored")


@contextmanager
def redacted_logs(key: Key) -> Iterator[None]:
    """Within it the client's log has no key in a message, a traceback or any other field."""

    def redact(record: logging.LogRecord) -> bool:
        record.msg, record.args = record.getMessage(), ()
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        for name, value in vars(record).items():
            if isinstance(value, str):
                setattr(record, name, key.redact(value))
        return True

    # Each logger there is: a filter does not see what a logger below another one logs.
    names = [name for name in logging.root.manager.loggerDict if name.startswith(_LOGGERS)]
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(redact)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(redact)
