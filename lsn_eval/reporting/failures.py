"""Conditions of sweeps that failed, as their folders record them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsn_eval.reporting.errors import ReportError
from lsn_eval.reporting.reproduction import sweep_folder
from lsn_eval.results.run_files import RunFile
from lsn_eval.results.settings import mapping
from lsn_eval.storage.masked_secrets import masked

FAILED = "failed.json"
MOST_NAMED = 5
"""Failures that an error names; the rest are counted."""


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
    bare = {path: recorded([path]) for path in paths if path.is_dir() and not _holds_results(path)}
    kept = [path for path in paths if not bare.get(path)]
    if kept or not bare:
        return kept
    failed = [failure for found in bare.values() for failure in found]
    reasons = [f"{failure.condition}: {failure.reason} ({failure.path})" for failure in failed]
    if len(reasons) > MOST_NAMED:
        reasons = [*reasons[:MOST_NAMED], f"{len(reasons) - MOST_NAMED} more"]
    folders = ", ".join(map(str, bare))
    raise ReportError(
        f"there are no results in {folders}, for what was evaluated failed: {'; '.join(reasons)}; "
        "run the sweep again into the same folder once that is mended"
    )


def _holds_results(folder: Path) -> bool:
    return next(folder.rglob("results_*.json"), None) is not None


def failures(paths: Sequence[Path], runs: Sequence[RunFile]) -> list[Failure]:
    """What is recorded in the folders among these paths and by the sweeps of these files."""
    sweeps = dict.fromkeys(filter(None, (sweep_folder(run.path) for run in runs)))
    found = [*recorded(paths), *recorded(sweeps, at="*/")]
    return list({failure.path.resolve(): failure for failure in reversed(found)}.values())[::-1]


def recorded(folders: Sequence[Path] | Mapping[Path, None], at: str = "**/") -> list[Failure]:
    """The failures in folders, at any depth unless `at` says where."""
    return [_read(path) for folder in folders for path in sorted(folder.glob(f"{at}{FAILED}"))]


def _read(path: Path) -> Failure:
    try:
        record = mapping(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        return Failure(path, path.parent.name, f"{path} cannot be read")
    condition = str(record.get("condition") or path.parent.name)
    return Failure(path, condition, str(masked(str(record.get("reason") or "unknown"))))
