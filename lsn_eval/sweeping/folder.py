"""`SweepFolder`: what a sweep leaves on disk, and what of it is finished.

    OUT/sweep.json                                     the arguments that every condition shares
    OUT/de_zero/MODEL/results_DATE.json, samples_*     one condition, as lm-eval writes it
    OUT/ru_zero/failed.json                            one that failed, with the reason

A condition's folder is made beside these and takes its name when it is whole, so that what an
interrupted run leaves is never taken for finished.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsn_eval.conditions import Condition
from lsn_eval.storage.folder_lock import only_writer
from lsn_eval.storage.whole_files import whole_file
from lsn_eval.sweeping.settings import SweepError

ARGUMENTS = "sweep.json"
FAILED = "failed.json"
_UNFINISHED = ".unfinished"
_LONGEST = 120
"""Characters of a folder's name."""


def folder_name(condition: Condition) -> str:
    """`de:zero/random1-ru:x0.5` as `de_zero+random1-ru_x0.5`; a very long one ends in a digest."""
    text = str(condition)
    name = text.replace(":", "_").replace("/", "+")
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 13]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def refuse_file(path: Path) -> None:
    """Raise `SweepError` if a folder cannot be at `path`, because it or one above it is a file."""
    for place in (path, *path.parents):
        if place.exists():
            if not place.is_dir():
                raise SweepError(
                    f"{place} is a file; a folder for the results was expected, give another --out"
                )
            return


def results_in(path: Path) -> Path | None:
    """A results file of a finished condition in a sweep's folder, or in a condition's."""
    found = (file for file in path.rglob("results_*.json") if _UNFINISHED not in file.parts)
    return next(found, None)


def kept_arguments(path: Path) -> dict[str, Any]:
    """The arguments of the sweep in the folder `path`.

    Raises:
        SweepError: they cannot be read.
    """
    kept = path / ARGUMENTS
    try:
        return dict(json.loads(kept.read_text("utf-8"))["arguments"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SweepError(
            f"{kept} cannot be read ({error!r}); give another --out, or remove the folder"
        ) from error


class SweepFolder:
    """The output folder of one sweep, whose arguments are `arguments` (JSON types).

    Raises:
        SweepError: conditions were finished there with other arguments, or it cannot be a folder.
    """

    def __init__(self, path: Path, arguments: Mapping[str, Any]) -> None:
        self.path = path
        self._arguments = json.loads(json.dumps(arguments, sort_keys=True, default=str))
        self._check()

    def _check(self) -> None:
        refuse_file(self.path)
        found = results_in(self.path)
        if not (self.path / ARGUMENTS).is_file():
            if found:
                raise SweepError(
                    f"{self.path} holds results that no sweep wrote ({found}); give another --out"
                )
            return
        changed = self._changed()
        if changed and found:
            raise SweepError(
                f"{self.path} holds a sweep with other arguments: {'; '.join(changed)}. Give "
                "another --out, or the arguments of then; only conditions can be added"
            )

    def _changed(self) -> list[str]:
        """How the arguments differ from those kept."""
        earlier, now = (
            _without_repeats(kept_arguments(self.path)),
            _without_repeats(self._arguments),
        )
        return [
            f"{name} was {json.dumps(earlier.get(name))} and is {json.dumps(now.get(name))}"
            for name in sorted({*earlier, *now})
            if earlier.get(name) != now.get(name)
        ]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else writes into the folder inside the block; what is unfinished then is removed.

        Raises:
            SweepError: another sweep is writing, or has finished conditions with other arguments.
        """
        with only_writer(self.path, SweepError):
            self._check()
            try:
                yield
            finally:
                shutil.rmtree(self.path / _UNFINISHED, ignore_errors=True)

    def write_arguments(self) -> None:
        """Keep the arguments; called once all is loaded, before the first condition."""
        if (
            self.path / ARGUMENTS
        ).is_file() and self._changed():  # of a sweep that finished nothing
            for failed in self.path.glob(f"*/{FAILED}"):
                failed.unlink()
        dumped = json.dumps({"arguments": self._arguments}, indent=2, ensure_ascii=False)
        with whole_file(self.path / ARGUMENTS, SweepError) as file:
            file.write(f"{dumped}\n".encode())

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
        if not results_in(place):
            shutil.rmtree(place, ignore_errors=True)  # an earlier failure's
        made.rename(place)  # onto results of somebody else it fails
        (results,) = place.rglob("results_*.json")
        return results

    def fail(self, condition: Condition, error: Exception) -> str:
        """Record why a condition failed; returns the reason."""
        reason = str(error) or type(error).__name__
        place = self.path / folder_name(condition)
        if results_in(place):
            return reason
        place.mkdir(parents=True, exist_ok=True)
        record = {"condition": str(condition), "error": type(error).__name__, "reason": reason}
        dumped = json.dumps(record, indent=2, ensure_ascii=False)
        (place / FAILED).write_text(dumped + "\n", "utf-8")
        return reason


def _without_repeats(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """lm-eval hands tasks the model's arguments as metadata, too; here each is named once."""
    repeated = (arguments.get("model_args") or {}).items()
    own = {k: v for k, v in (arguments.get("metadata") or {}).items() if (k, v) not in repeated}
    return {**arguments, "metadata": own}
