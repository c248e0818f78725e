"""What lm-eval and the libraries below it put on the screen, and what of that a user needs.

`LSN_EVAL_VERBOSE=1` shows all of it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from tqdm import tqdm

_ADVICE = re.compile(
    "Custom kwargs can be passed to `--metadata`|`pretrained` model kwarg is not of type `str`|"
    "Passed an already-initialized model through `pretrained`"
)
"""What lm-eval says of every task that loads its data by a function, and of every loaded model."""
_PROOF = "lm_eval.models.lsn_hf"
"""Whose messages come through whatever their level: the signature, and what the hooks saw."""


def _verbose() -> bool:
    return os.environ.get("LSN_EVAL_VERBOSE") == "1"


def _matters(record: logging.LogRecord) -> bool:
    warning = record.levelno >= logging.WARNING and not _ADVICE.search(record.getMessage())
    return warning or record.name == _PROOF


@contextmanager
def without_chatter() -> Iterator[None]:
    """Within the block lm-eval's command shows its tables, its progress, warnings and the proof,
    but not its steps, nor what `git` says outside a repository."""
    if _verbose() or os.environ.get("LMEVAL_LOG_LEVEL"):
        yield
        return
    from lm_eval import evaluator
    from lm_eval.utils import setup_logging

    def commit_hash() -> Any:
        with _nothing_to_stderr():
            return asked_of_git()

    setup_logging()  # makes the handlers, once a process
    asked_of_git = evaluator.get_git_commit_hash
    with contextlib.ExitStack() as stack:
        for handler in logging.getLogger("lm_eval").handlers:
            handler.addFilter(_matters)
            stack.callback(handler.removeFilter, _matters)
        evaluator.get_git_commit_hash = commit_hash
        stack.callback(setattr, evaluator, "get_git_commit_hash", asked_of_git)
        yield


@contextmanager
def _nothing_to_stderr() -> Iterator[int]:
    """Also of other programs; yields a descriptor of what was there."""
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield terminal
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


class _EachOnce(logging.Handler):
    """Shows a warning the first time."""

    def __init__(self, screen: TextIO) -> None:
        super().__init__(logging.WARNING)
        self._screen = screen
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self._shown and not _ADVICE.search(message):
            self._shown.add(message)
            tqdm.write(f"{record.name}: {message}", file=self._screen)


@contextmanager
def quiet() -> Iterator[TextIO]:
    """Keeps all that lm-eval prints off the screen, its progress bars too; yields the screen.
    Warnings of lm-eval and of ours come through, each once."""
    if _verbose():
        yield sys.stderr
        return
    with contextlib.ExitStack() as stack:
        terminal = stack.enter_context(_nothing_to_stderr())
        screen = stack.enter_context(open(os.dup(terminal), "w", encoding="utf-8"))
        handler = _EachOnce(screen)
        for logger in map(logging.getLogger, ("lm_eval", "lsn_eval")):
            logger.addHandler(handler)
            stack.callback(logger.removeHandler, handler)
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        yield screen
