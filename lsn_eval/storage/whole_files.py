"""What every file that we write has in common: it appears whole, and says what it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lsn_eval.errors import LsnError

METADATA_KEY = "lsn_eval"
"""Where a safetensors file of ours keeps its JSON document."""


@contextmanager
def whole_file(path: str | os.PathLike[str], error: type[LsnError]) -> Iterator[BinaryIO]:
    """A file to write that takes its place when the block ends, and leaves no trace if it fails."""
    target = Path(path)
    if target.is_dir():
        raise error(f"{target} is a folder; the name of a file to write was expected")
    if target.parent.exists() and not target.parent.is_dir():
        raise error(f"{target.parent} is a file, and {target} cannot be inside it; name a folder")
    if not target.parent.is_dir():
        raise error(f"the folder {target.parent} does not exist; create it first")
    handle, unfinished = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(unfinished, 0o666 & ~umask)
        os.replace(unfinished, target)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise


def check_format(
    document: Mapping[str, Any], expected: str, version: int, error: type[LsnError]
) -> None:
    """Raise `error` unless a JSON document is of this format and version."""
    if document.get("format") != expected:
        raise error(f"format {expected!r} was expected, not {document.get('format')!r}")
    if document.get("format_version") != version:
        raise error(
            f"format version {document.get('format_version')!r} was given and {version} is read; "
            "update lsn_eval"
        )
