"""Conditions of sweeps that failed, as their folders record them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsn_eval.errors import LsnError
from lsn_eval.results.settings import mapping
from lsn_eval.storage.masked_secrets import masked
from lsn_eval.storage.outside_files import read_json
from lsn_eval.wording.lists import listed

FAILED = "failed.json"
MOST_NAMED = 5
"""Failures that an error names; the rest are counted."""
MOST_BYTES = 1 << 20
"""Of a failed.json, which holds a reason."""


class ReportError(LsnError):
    """A report that cannot be made of what was given, or written where it was asked for."""


@dataclass(frozen=True)
class Failure:
    """A condition without results, and why."""

    path: Path
    condition: str
    reason: str

    @property
    def sweep(self) -> Path:
        """The folder of its sweep: OUT of OUT/CONDITION/failed.json."""
        return self.path.parent.parent


def with_results(paths: Sequence[Path]) -> list[Path]:
    """The paths without folders in which every condition failed.

    A folder without results and without failures stays, to be refused by who reads it.

    Raises:
        ReportError: every path is a folder in which every condition failed.
    """
    bare = {
        path: recorded([path])
        for path in paths
        if path.is_dir() and not any(path.rglob("results_*.json"))
    }
    others = [path for path in paths if not bare.get(path)]
    if others or not bare:
        return others
    reasons = [
        f"{failure.condition}: {failure.reason} ({failure.path})"
        for found in bare.values()
        for failure in found
    ]
    raise ReportError(
        f"there are no results in {listed(bare)}, for what was evaluated failed: "
        f"{listed(reasons, MOST_NAMED, '; ')}; run the sweep again into the same folder once that "
        "is mended"
    )


def failures(paths: Sequence[Path], sweeps: Iterable[Path]) -> list[Failure]:
    """What is recorded in the folders among these paths and in these sweeps' folders, each once."""
    found = [*recorded(paths), *recorded(sweeps, at="*/")]
    return list({failure.path.resolve(): failure for failure in reversed(found)}.values())[::-1]


def recorded(folders: Iterable[Path], at: str = "**/") -> list[Failure]:
    """The failures in folders, at any depth unless `at` says where."""
    return [_read(path) for folder in folders for path in sorted(folder.glob(f"{at}{FAILED}"))]


def _read(path: Path) -> Failure:
    try:
        record = mapping(read_json(path, ReportError, MOST_BYTES))
    except ReportError as error:
        return Failure(path, path.parent.name, str(error))
    condition = str(record.get("condition") or path.parent.name)
    return Failure(path, condition, str(masked(str(record.get("reason") or "unknown"))))
