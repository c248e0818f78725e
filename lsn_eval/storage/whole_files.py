"""What every file that we write has in common: it appears whole, and says what it is."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lsn_eval.errors import LsnError

METADATA_KEY = "lsn_eval"
"""Where a safetensors file of ours keeps its JSON document."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk, the quota, or the largest file that is allowed."""


@contextmanager
def whole_file(path: str | os.PathLike[str], error: type[LsnError]) -> Iterator[BinaryIO]:
    """A file to write that takes its place when the block ends, and leaves no trace if it fails.

    Raises:
        LsnError: `error`, where no file can be at `path` or the disk is full.
    """
    target = Path(path)
    check_place(target, error)
    try:
        handle, unfinished = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as cause:
        raise error(
            f"{target} cannot be written ({cause.strerror}); make room, or name another folder"
        ) from cause
    try:
        with full_disk_reported(target.parent, error), os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            try:
                os.fsync(handle)  # before it takes the place of an old one
            except OSError as cause:
                if cause.errno != errno.EINVAL:  # a file system that cannot
                    raise
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(unfinished, 0o666 & ~umask)
        os.replace(unfinished, target)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(target: Path, error: type[LsnError], *, force: bool = False) -> Iterator[Path]:
    """The same of a folder; those above it are made.

    Args:
        force: it takes the place of one that is there.

    Raises:
        LsnError: `error`, where the disk is full, or where one is there in the end.
    """
    target = Path(os.path.realpath(target))  # a link stays, and what it leads to is replaced
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with full_disk_reported(target.parent, error):
            yield unfinished
        unfinished.chmod(0o755)
        if target.exists():
            if not force:
                raise error(f"another run made {target} meanwhile; give another folder")
            shutil.rmtree(target)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def check_place(target: Path, error: type[LsnError], *, force: bool = True) -> None:
    """Raise where no file can be written; to be asked before the work that makes it.

    Args:
        force: False where what is there may have taken hours to make: then it is not replaced.
    """
    if target.is_dir():
        raise error(f"{target} is a folder; the name of a file to write was expected")
    check_folder(target.parent, error)
    if not target.parent.is_dir():
        raise error(f"the folder {target.parent} does not exist; create it first")
    _check_free(target, error, force)


def check_folder(
    folder: Path,
    error: type[LsnError],
    *,
    ours: Callable[[Path], object] = Path.exists,
    force: bool = True,
) -> None:
    """Raise where no folder can be made, or one is there that is not to be touched.

    Args:
        ours: of a folder, whether the command wrote it: no other is gone on with or replaced.
    """
    places = (folder, *folder.parents)
    if file := next((place for place in places if place.exists() and not place.is_dir()), None):
        raise error(f"{file} is a file, and a folder was expected there; give another name")
    if folder.exists() and not ours(folder):
        raise error(f"{folder} holds what this command did not write; give another --out")
    _check_free(folder, error, force)


def _check_free(place: Path, error: type[LsnError], force: bool) -> None:
    if place.exists() and not force:
        raise error(
            f"{place} is there already and would be lost; give another name, or --force "
            "(force=True) to write over it"
        )


@contextmanager
def full_disk_reported(folder: Path, error: type[LsnError]) -> Iterator[None]:
    """Within the block a full disk is `error`, which says how much room is left."""
    try:
        yield
    except OSError as cause:
        if cause.errno not in NO_ROOM:
            raise
        free = shutil.disk_usage(folder).free / 2**20
        raise error(
            f"{folder} has no room for what is to be written ({cause.strerror}; {free:,.0f} MiB "
            "are free); make room, or write to another disk"
        ) from cause
