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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lsn_eval.conditions import Condition
from lsn_eval.storage.folder_lock import only_writer
from lsn_eval.storage.masked_secrets import secret_texts, without
from lsn_eval.storage.outside_files import Fields, read_json
from lsn_eval.storage.whole_files import check_folder, whole_file
from lsn_eval.sweeping.inputs import Digests, file_inputs, input_changes
from lsn_eval.sweeping.settings import SweepError
from lsn_eval.visible_text import shortened

ARGUMENTS = "sweep.json"
FAILED = "failed.json"
UNFINISHED = ".unfinished"
_LONGEST = 120
"""Characters of a folder's name."""


def folder_name(condition: Condition) -> str:
    """`de:zero/random1-ru:x0.5` as `de_zero+random1-ru_x0.5`; a very long one ends in a digest."""
    text = str(condition)
    name = text.replace(":", "_").replace("/", "+")
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 13]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def results_in(path: Path) -> Path | None:
    """A results file of a finished condition in a sweep's folder, or in a condition's."""
    return next((p for p in path.rglob("results_*.json") if UNFINISHED not in p.parts), None)


def stored_arguments(path: Path) -> dict[str, Any]:
    """The arguments of the sweep in the folder `path`; SweepError if they cannot be read."""
    return dict(_stored(path).mapping("arguments"))


def _stored(path: Path) -> Fields:
    file = path / ARGUMENTS
    return Fields(read_json(file, SweepError), str(file), SweepError)


class SweepFolder:
    """The output folder of one sweep, whose arguments are `arguments` (JSON types).

    Raises:
        SweepError: conditions were finished there with other arguments, tasks or data, or it cannot
            be a folder.
    """

    def __init__(self, path: Path, arguments: Mapping[str, Any]) -> None:
        self.path = path
        self._arguments = json.loads(json.dumps(arguments, sort_keys=True, default=str))
        self._check()

    def _check(self, inputs: Digests | None = None) -> None:
        """Hold arguments and inputs against those of finished conditions; without `inputs`, as
        they are on disk now."""
        results = results_in(self.path)
        known = (self.path / ARGUMENTS).is_file()
        check_folder(self.path, SweepError, ours=lambda _: known or not results)
        if results is None:
            return
        earlier = Fields(_stored(self.path).mapping("inputs", {}), "inputs", SweepError)
        digests = {name: earlier.mapping(name, {}) for name in earlier}
        inputs = inputs or file_inputs(digests.get("files", {}))
        changes = [*self._changed_arguments(), *input_changes(inputs, digests)]
        if changes:
            raise SweepError(
                f"{self.path} holds a sweep with other arguments: {'; '.join(changes)}. Give "
                "another --out, or the arguments of then; only conditions can be added"
            )

    def _changed_arguments(self) -> list[str]:
        earlier = _without_repeats(stored_arguments(self.path))
        now = _without_repeats(self._arguments)
        return [
            f"{name} was {_shown(earlier.get(name))} and is {_shown(now.get(name))}"
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
            shutil.rmtree(self.path / UNFINISHED, ignore_errors=True)  # of a sudden end
            try:
                yield
            finally:
                shutil.rmtree(self.path / UNFINISHED, ignore_errors=True)

    def write_arguments(self, inputs: Digests) -> None:
        """Keep the arguments; called once all is loaded, before the first condition.

        Raises:
            SweepError: conditions were finished there with other tasks or data.
        """
        self._check(inputs)
        if (self.path / ARGUMENTS).is_file() and self._changed_arguments():
            for failed in self.path.glob(f"*/{FAILED}"):  # of a sweep that finished nothing
                failed.unlink()
        _write(self.path / ARGUMENTS, {"arguments": self._arguments, "inputs": inputs})

    def finished(self, condition: Condition) -> Path | None:
        """The results file of a finished condition.

        Raises:
            SweepError: what lies there is of another condition, mask or model.
        """
        files = sorted((self.path / folder_name(condition)).rglob("results_*.json"))
        if not files:
            return None
        results = files[-1]
        config = Fields(read_json(results, SweepError), str(results), SweepError).fields("config")
        record = config.fields("lsn")
        model_args = config.mapping("model_args")
        stored_args = {k: v for k, v in model_args.items() if k != "condition"}
        for name, stored, wanted in (
            ("condition", record.text("condition"), str(condition)),
            ("mask", record.fields("mask").text("digest"), self._arguments["mask_digest"]),
            ("model_args", stored_args, self._arguments["model_args"]),
        ):
            if stored != wanted:
                raise SweepError(
                    f"{results} has {name} {_shown(stored)}, not {_shown(wanted)}; remove it, or "
                    "give another --out"
                )
        return results

    def begin(self, condition: Condition) -> Path:
        """An empty folder to write the condition's files into."""
        folder = self.path / UNFINISHED / folder_name(condition)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def finish(self, condition: Condition) -> Path:
        """Give the condition's folder its name; returns the results file."""
        made = self.path / UNFINISHED / folder_name(condition)
        place = self.path / folder_name(condition)
        if not results_in(place):
            shutil.rmtree(place, ignore_errors=True)  # an earlier failure's
        made.rename(place)  # onto results of somebody else it fails
        (results,) = place.rglob("results_*.json")
        return results

    def fail(self, condition: Condition, error: Exception) -> str:
        """Record why a condition failed; returns the reason."""
        reason = without(str(error) or type(error).__name__, secret_texts(self._arguments))
        place = self.path / folder_name(condition)
        if results_in(place):
            return reason
        place.mkdir(parents=True, exist_ok=True)
        record = {"condition": str(condition), "error": type(error).__name__, "reason": reason}
        with suppress(OSError):  # the reason is shown in any case
            _write(place / FAILED, record)
        return reason


def _write(path: Path, document: Mapping[str, Any]) -> None:
    dumped = json.dumps(document, indent=2, ensure_ascii=False)
    with whole_file(path, SweepError) as file:
        file.write(f"{dumped}\n".encode(errors="replace"))  # half characters are none of UTF-8


def _shown(value: Any) -> str:
    return shortened(json.dumps(value), 300)


def _without_repeats(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """lm-eval hands tasks the model's arguments as metadata, too; here each is named once."""
    values = (arguments.get(name) for name in ("model_args", "metadata"))
    model_args, metadata = (value if isinstance(value, dict) else {} for value in values)
    repeated = model_args.items()
    return {**arguments, "metadata": {k: v for k, v in metadata.items() if (k, v) not in repeated}}
