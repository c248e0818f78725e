"""The key: read from the environment, never stored, cut out of all that comes back.

Some servers repeat the key in an error message or a reply; what is logged, cached or raised passes
`Key.redact` first.
"""

from __future__ import annotations

import logging
import os

from lsn_eval.judge.errors import JudgeError

VARIABLE = "OPENAI_API_KEY"
SECRET_LENGTH = 12
"""Shorter keys are placeholders for servers that want none; cutting out `x` would spoil text."""

_LOGGERS = ("openai", "httpx", "httpcore")
"""The client's, by the start of their names; at debug level they log what a server sends."""


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
        """`text` without the key."""
        if len(self._value) < SECRET_LENGTH:
            return text
        return text.replace(self._value, "[key]")

    def __repr__(self) -> str:
        return "Key(...)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not stored")


class RedactingFilter(logging.Filter):
    """Cuts a key out of what the client logs, between `attach` and `detach`."""

    def __init__(self, key: Key) -> None:
        super().__init__()
        self._key = key
        self._attached: list[logging.Logger] = []

    def attach(self) -> None:
        """To each logger there is: a filter does not see what a logger below another one logs."""
        for name in list(logging.root.manager.loggerDict):
            if name.startswith(_LOGGERS):
                logger = logging.getLogger(name)
                logger.addFilter(self)
                self._attached.append(logger)

    def detach(self) -> None:
        """From all of them."""
        for logger in self._attached:
            logger.removeFilter(self)
        self._attached.clear()

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record pass, without the key."""
        message = record.getMessage()
        redacted = self._key.redact(message)
        if redacted != message:
            record.msg, record.args = redacted, ()
        return True
