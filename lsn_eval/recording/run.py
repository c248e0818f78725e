"""What a recording needs while it runs: other processes, a progress bar, a polite end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Processes:
    """The processes of an `accelerate launch` that record together."""

    rank: int = 0
    count: int = 1
    wait: Callable[[], Any] = field(default=lambda: None, compare=False)
    """Returns once every process has called it."""

    @staticmethod
    def launched() -> Processes:
        """Those of this launch; one where there was none."""
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return Processes()
        import torch
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available())
        return Processes(state.process_index, state.num_processes, state.wait_for_everyone)

    def shard(self, number: int, of: int) -> tuple[int, int]:
        """This process's part of shard `number` of `of`, as a shard of its own.

        Batch b is in shard `number` where b % of == number - 1, and the processes take turns.
        """
        return number + of * self.rank, of * self.count


class Progress:
    """A bar with tokens per second and, where it can be told, the time left."""

    def __init__(self, title: str, *, shown: bool, done: int) -> None:
        from tqdm import tqdm

        self._bar: Any = tqdm(
            desc=title, initial=done, unit="tok", unit_scale=True, disable=not shown
        )

    def update(self, tokens: int, total: int | None) -> None:
        """`tokens` more are done, of an estimated `total`."""
        if total is not None:
            self._bar.total = max(total, self._bar.n + tokens)
        self._bar.update(tokens)

    def close(self) -> None:
        self._bar.close()


class Interruption:
    """Whether Ctrl-C was pressed."""

    asked = False


@contextmanager
def deferred_interrupt() -> Iterator[Interruption]:
    """Note the first Ctrl-C instead of raising: half a batch cannot be saved. The second raises."""
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
