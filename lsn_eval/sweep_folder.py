"""`SweepFolder`: what a sweep leaves on disk, and what of it is finished.

    OUT/sweep.json                                     the arguments that every condition shares
    OUT/de_zero/MODEL/results_DATE.json, samples_*     one condition, as lm-eval writes it
    OUT/fr_zero/failed.json                            one that failed, with the reason

A condition's folder is made beside these and takes its name when it is whole, so that what an
interrupted run leaves is never taken for finished.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsn_eval.conditions import Condition
from lsn_eval.sweep_settings import SweepError

ARGUMENTS = "sweep.json"
FAILED = "failed.json"
_UNFINISHED = ".unfinished"
_LONGEST = 120
"""Characters of a folder's name."""


def folder_name(condition: Condition) -> str:
    """`de:zero/random1-fr:x0.5` as `de_zero+random1-fr_x0.5`; a very long one ends in a digest."""
    text = str(condition)
    name = text.replace(":", "_").replace("/", "+")
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 13]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class SweepFolder:
    """The output folder of one sweep, whose arguments are `arguments` (JSON types)."""

    def __init__(self, path: Path, arguments: Mapping[str, Any]) -> None:
        self.path = path
        self._arguments = json.loads(json.dumps(arguments, sort_keys=True, default=str))
        self._check()

    def _check(self) -> None:
        kept = self.path / ARGUMENTS
        if not kept.is_file():
            if found := next(self.path.rglob("results_*.json"), None):
                raise SweepError(
                    f"{self.path} holds results that no sweep wrote ({found}); give another --out"
                )
            return
        try:
            earlier = json.loads(kept.read_text("utf-8"))["arguments"]
        except (ValueError, KeyError, TypeError) as error:
            raise SweepError(
                f"{kept} cannot be read ({error!r}); give another --out, or remove the folder"
            ) from error
        names = sorted({*earlier, *self._arguments})
        changed = [
            f"{name} was {json.dumps(earlier.get(name))} and is "
            f"{json.dumps(self._arguments.get(name))}"
            for name in names
            if earlier.get(name) != self._arguments.get(name)
        ]
        if changed:
            raise SweepError(
                f"{self.path} holds a sweep with other arguments: {'; '.join(changed)}. Give "
                "another --out, or the arguments of then; only conditions can be added"
            )

    def write_arguments(self) -> None:
        """Keep the arguments; called before the first condition."""
        self.path.mkdir(parents=True, exist_ok=True)
        dumped = json.dumps({"arguments": self._arguments}, indent=2, ensure_ascii=False)
        (self.path / ARGUMENTS).write_text(dumped + "\n", "utf-8")

    def finished(self, condition: Condition) -> Path | None:
        """The results file of a finished condition.

        Raises:
            SweepError: what lies there is of another condition, mask or model.
        """
        found = sorted((self.path / folder_name(condition)).rglob("results_*.json"))
        if not found:
            return None
        try:
            config = json.loads(found[-1].read_text("utf-8"))["config"]
            there = {
                "condition": config["lsn"]["condition"],
                "mask": config["lsn"]["mask"]["digest"],
                "model_args": {k: v for k, v in config["model_args"].items() if k != "condition"},
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SweepError(
                f"{found[-1]} is no results file of lsn_hf ({error!r}); remove it"
            ) from error
        wanted = {
            "condition": str(condition),
            "mask": self._arguments["mask_digest"],
            "model_args": self._arguments["model_args"],
        }
        for name, value in wanted.items():
            if there[name] != value:
                raise SweepError(
                    f"{found[-1]} has {name} {there[name]!r}, not {value!r}; remove it, or give "
                    "another --out"
                )
        return found[-1]

    def begin(self, condition: Condition) -> Path:
        """An empty folder to write the condition's files into."""
        folder = self.path / _UNFINISHED / folder_name(condition)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def finish(self, condition: Condition) -> Path:
        """Give the condition's folder its name; returns the results file."""
        made = self.path / _UNFINISHED / folder_name(condition)
        place = self.path / folder_name(condition)
        shutil.rmtree(place, ignore_errors=True)  # an earlier failure's
        made.rename(place)
        (results,) = place.rglob("results_*.json")
        return results

    def fail(self, condition: Condition, error: Exception) -> str:
        """Record why a condition failed; returns the reason."""
        reason = str(error) or type(error).__name__
        place = self.path / folder_name(condition)
        place.mkdir(parents=True, exist_ok=True)
        record = {"condition": str(condition), "error": type(error).__name__, "reason": reason}
        dumped = json.dumps(record, indent=2, ensure_ascii=False)
        (place / FAILED).write_text(dumped + "\n", "utf-8")
        return reason

    def tidy(self) -> None:
        """Remove what was not finished."""
        shutil.rmtree(self.path / _UNFINISHED, ignore_errors=True)
