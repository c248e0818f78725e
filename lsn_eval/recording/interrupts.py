"""Ctrl-C that waits for the end of a batch: half of one cannot be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interruption:
    """Whether Ctrl-C was pressed."""

    asked = False


@contextmanager
def deferred_interrupt() -> Iterator[Interruption]:
    """Note the first Ctrl-C instead of raising. The second raises."""
    interruption = Interruption()
    before = signal.getsignal(signal.SIGINT)
    # A job in the background ignores Ctrl-C, and goes on doing so.
    if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
        yield interruption
        return

    def note(number: int, frame: Any) -> None:
        interruption.asked = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)
