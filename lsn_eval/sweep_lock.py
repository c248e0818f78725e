"""One sweep at a time writes into a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lsn_eval.sweep_settings import SweepError

LOCK = ".lock"
_TRIES = 100


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keeps other sweeps out of `folder` for the time of the block; makes it if need be, and leaves
    nothing of it if nothing was written.

    The operating system lets go of the lock when the process ends, however it ends. Where files
    cannot be locked (Windows, some network file systems), nobody is kept out.

    Raises:
        SweepError: another sweep is writing there, or the folder cannot be made or written to.
    """
    made = not folder.exists()
    try:
        handle = _lock(folder)
    except OSError as error:
        raise SweepError(
            f"{folder} cannot be written to ({error.strerror}); give another --out"
        ) from error
    try:
        yield
    finally:
        if handle is not None:
            # Removed before it is let go of, so that nobody else's is removed.
            (folder / LOCK).unlink(missing_ok=True)
            os.close(handle)
        if made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def _lock(folder: Path) -> int | None:
    for _ in range(_TRIES):
        folder.mkdir(parents=True, exist_ok=True)
        if sys.platform == "win32":
            return None
        try:
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # another sweep has just removed the folder
            continue
        if _is_ours(handle, folder):
            return handle
        os.close(handle)
    raise _busy(folder)


def _is_ours(handle: int, folder: Path) -> bool:
    """Lock the file; False if it was removed by the sweep that held it."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise _busy(folder) from None
    except OSError:  # a file system without locks
        return True
    try:
        return os.path.samestat(os.fstat(handle), os.stat(folder / LOCK))
    except FileNotFoundError:
        return False


def _busy(folder: Path) -> SweepError:
    return SweepError(f"another sweep is writing to {folder}; wait, or give another --out")
