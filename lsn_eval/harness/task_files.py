"""What lm-eval reads of its task files, remembered from run to run.

To know the name of every task, lm-eval parses every YAML file of its own folder, some 14,000, and
of ours in every process, whatever task is asked for. What came of it is kept in the user's cache
folder, and holds as long as path, size and time of every file below such a folder do.
`LSN_EVAL_TASK_CACHE=0` does without.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from lsn_eval.errors import LsnError
from lsn_eval.storage.outside_files import Fields, read_json
from lsn_eval.storage.whole_files import whole_file

SWITCH = "LSN_EVAL_TASK_CACHE"
DAYS = 60
"""After which what was kept is dropped, when something is kept anew: up to 20 MB an environment."""


@contextmanager
def remembered(index: Any, folder: Path) -> Iterator[None]:
    """Within the block, `index.load_yaml` parses no file below `folder` that was parsed before.

    Args:
        index: lm-eval's module with the index of tasks. What its `load_yaml` returns is the same as
            without this, and new in every block.
    """
    place = _place(folder)
    # Without a home `~` stays `~`: that would be a folder in the one where somebody happens to be.
    off = os.environ.get(SWITCH) == "0" or not place.is_absolute()
    if off or not hasattr(index, "load_yaml"):
        yield
        return
    state = _state(folder)
    known = _read(place, state)
    parsed: dict[str, Any] = {}
    load = index.load_yaml
    below = f"{folder}{os.sep}"

    def load_yaml(path: Path, **options: Any) -> Any:
        name = str(path)
        if options != {"resolve_func": False, "recursive": True} or not name.startswith(below):
            return load(path, **options)
        if name in known:
            return known[name]
        content = load(path, **options)
        with suppress(TypeError, ValueError):  # dates and the like: parsed every time
            copy = json.loads(json.dumps(content))
            if copy == content:
                parsed[name] = copy
        return content

    index.load_yaml = load_yaml
    try:
        yield
    finally:
        index.load_yaml = load
    if parsed and not known:
        # A home that cannot be written to costs the time again, and nothing else.
        with suppress(OSError, LsnError):
            place.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(place, LsnError) as file:
                file.write(json.dumps({"state": state, "files": parsed}).encode())
            for other in place.parent.glob("task_files-*.json"):  # of environments that are gone
                if other.stat().st_mtime < time.time() - DAYS * 86400:
                    other.unlink()


def _place(folder: Path) -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(caches, "lsn_eval", f"task_files-{name}.json")


def _state(folder: Path) -> str:
    """A digest of path, size and time of every file below `folder`, and of what parses them."""
    digest = hashlib.sha256(f"2 {folder} {yaml.__version__}".encode(errors="surrogateescape"))
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            line = f"{parent}/{name}\n"
            with suppress(OSError):  # a link to nothing, as editors leave beside an open file
                status = os.stat(os.path.join(parent, name))
                line = f"{parent}/{name} {status.st_size} {status.st_mtime_ns}\n"
            digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _read(place: Path, state: str) -> Mapping[str, Any]:
    """Contents by path as they were kept, if they are of `state`; else none."""
    try:
        kept = Fields(read_json(place, LsnError), str(place), LsnError)
        contents = kept.mapping("files") if kept.text("state") == state else {}
    except LsnError:
        return {}
    return contents if all(isinstance(content, dict) for content in contents.values()) else {}
