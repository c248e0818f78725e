"""One sweep at a time writes into a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lsn_eval.errors import LsnError

LOCK = ".lock"
_WAIT = 0.2
"""Seconds: who held the lock may be removing its file."""


@contextmanager
def only_writer(folder: Path, error: type[LsnError]) -> Iterator[None]:
    """Keeps other sweeps out of `folder` for the time of the block; makes it if need be, and leaves
    nothing of it if nothing was written.

    The operating system lets go of the lock when the process ends, however it ends.

    Raises:
        LsnError: `error`, where another sweep is writing or the folder cannot be written to.
    """
    made = not folder.exists()
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_WAIT, poll_interval=_WAIT / 4)
    except Timeout:
        raise error(f"another sweep is writing to {folder}; wait, or give another --out") from None
    except OSError as cause:
        reason = cause.strerror
        raise error(f"{folder} cannot be written to ({reason}); give another --out") from cause
    try:
        yield
    finally:
        # Removed before it is let go of, so that nobody else's is removed.
        with suppress(OSError):  # Windows removes no open file
            (folder / LOCK).unlink()
        lock.release()
        if made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()
