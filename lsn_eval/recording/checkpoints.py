"""The folder in which a recording is put together, and from which it goes on after a stop.

Counts and sums are written whole, by renaming, at intervals; sampled values and text responses go
into files as they come. After a stop, batches since the last interval are run again: they write
the same values to the same places, so that the result is that of a run without a stop. For that the
texts must be the same as far as batches were run: of each, what was read by then is noted first.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import RecordingError
from lsn_eval.models.hookpoints import Site
from lsn_eval.storage.mapped_arrays import mapped_array
from lsn_eval.storage.outside_files import Fields, read_bytes, read_json
from lsn_eval.storage.tensor_files import read_tensors
from lsn_eval.storage.whole_files import METADATA_KEY, whole_file

ARGUMENTS, STATE, BATCHES = "arguments.json", "state", "batches"
FORMAT = 3
"""Of the folder; one of another format is refused."""
_DIGEST = 32


def unfinished_folder(out: Path) -> Path:
    """Where the recording for `out` is put together: beside it."""
    return out.with_name(out.name + ".unfinished")


class Checkpoints:
    """One process's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def started(self, arguments: Mapping[str, Any], *, resume: bool) -> dict[str, Any] | None:
        """The arguments that an unfinished recording was started with; None if there is none.

        Raises:
            RecordingError: there is one and `resume` was not asked for, or it was made with other
                arguments or by another version.
        """
        file = self.folder / ARGUMENTS
        if not file.exists():
            return None
        if not resume:
            raise RecordingError(
                f"an unfinished recording is in {self.folder}; go on with it with --resume, or "
                "delete that folder to start anew"
            )
        started = Fields(read_json(file, RecordingError), str(file), RecordingError)
        if started.value.get("format") != FORMAT:
            raise RecordingError(
                f"the unfinished recording in {self.folder} is of another version of lsn_eval; "
                "delete that folder to start anew"
            )
        before = started.mapping("compared")
        changed = [
            f"{name} was {before.get(name)} and is now {value}"
            for name, value in json.loads(json.dumps(arguments["compared"])).items()
            if before.get(name) != value
        ]
        if changed:
            raise RecordingError(
                f"the unfinished recording in {self.folder} was made with other arguments: "
                f"{'; '.join(changed)}. Give the same ones to go on with it, or delete the folder "
                "to start anew"
            )
        return dict(started.value)

    def note(self, arguments: Mapping[str, Any]) -> None:
        """Write down the arguments, again with what has been found out meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"format": FORMAT, **arguments}, indent=1, ensure_ascii=False)
        with whole_file(self.folder / ARGUMENTS, RecordingError) as file:
            file.write(content.encode())

    def finished(self, language: str) -> Path:
        """The file of a language's statistics, once it is finished."""
        return self.folder / f"{language}.safetensors"

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it that a recording could go on from."""
        return not any(self.folder.glob("*.safetensors")) and not (self.folder / STATE).exists()

    def save(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Write the state of the language being recorded."""
        from safetensors.numpy import save

        document = json.dumps({"format": STATE, "format_version": FORMAT, **facts})
        with whole_file(self.folder / STATE, RecordingError) as file:
            file.write(save(dict(arrays), metadata={METADATA_KEY: document}))

    def load(self, language: str) -> tuple[dict[str, NDArray[Any]], Fields] | None:
        """The saved state of `language`, if it is the one that was being recorded."""
        path = self.folder / STATE
        if not path.exists():
            return None
        advice = f"delete {self.folder} to start anew"
        arrays, facts = read_tensors(path, STATE, FORMAT, RecordingError, advice)
        return (arrays, facts) if facts.text("language") == language else None

    def sample(self, hookpoint: str, shape: tuple[int, ...], *, go_on: bool) -> NDArray[np.float16]:
        """The file of sampled values [token, layer, neuron], mapped; anew unless `go_on`."""
        size = 2 * math.prod(shape) if go_on else 0
        with _cut(self.folder / f"sample.{hookpoint}", size) as file:
            return mapped_array(file, np.float16, shape)

    def remove(self) -> None:
        """Delete the folder, and the one of all processes with the last of theirs."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.name.startswith("process-"):
            with suppress(OSError):
                self.folder.parent.rmdir()


class BatchNotes:
    """Digests of the texts as far as they were read when each batch was about to run; anew unless
    `go_on`."""

    def __init__(self, folder: Path, *, go_on: bool) -> None:
        path = folder / BATCHES
        self._noted = read_bytes(path, RecordingError) if go_on else b""
        self.count = len(self._noted) // _DIGEST
        """Batches that were noted before a stop; a kill may have cut the last one."""
        self._file = _cut(path, self.count * _DIGEST)

    def agree(self, number: int, digest: bytes) -> bool:
        """Whether this process's batch `number` is the one it ran before; noted if it ran none."""
        if number < self.count:
            return self._noted[number * _DIGEST :][:_DIGEST] == digest
        self._file.write(digest)
        self._file.flush()
        return True

    def close(self) -> None:
        self._file.close()


class ResponseFiles:
    """Files of text responses [text, neuron], one per hookpoint and layer, that grow."""

    def __init__(self, folder: Path, sites: Sequence[Site], texts: int) -> None:
        self._widths = {(site.hookpoint, site.layer): site.width for site in sites}
        self.texts = texts
        self._files = {
            place: _cut(folder / f"text.{'.'.join(place)}", 2 * width * texts)
            for place, width in self._widths.items()
        }
        self._index_file = _cut(folder / "text.index", 8 * texts)

    def append(
        self, index: NDArray[np.int64], responses: Mapping[tuple[str, str], NDArray[np.float16]]
    ) -> None:
        """Add the texts numbered `index`."""
        self._index_file.write(index.astype("<i8").tobytes())
        for place, values in responses.items():
            self._files[place].write(values.astype("<f2").tobytes())
        self.texts += index.size

    def flush(self) -> None:
        """Hand everything to the operating system, so that a killed process loses nothing."""
        for file in (*self._files.values(), self._index_file):
            file.flush()

    def index(self) -> NDArray[np.int64]:
        """Numbers of the texts."""
        self.flush()
        return np.fromfile(self._index_file.name, "<i8")

    def read(self, hookpoint: str, layer: str) -> NDArray[np.float16]:
        """Responses [text, neuron] at one place, mapped."""
        self.flush()
        shape = (self.texts, self._widths[hookpoint, layer])
        if not self.texts:
            return np.zeros(shape, np.float16)
        return np.memmap(self._files[hookpoint, layer].name, "<f2", "r", shape=shape)

    def close(self) -> None:
        """Close every file, also on a full disk."""
        for file in (*self._files.values(), self._index_file):
            with suppress(OSError):
                file.close()


def _cut(path: Path, size: int) -> BinaryIO:
    """`path` open for writing after its first `size` bytes; what lies beyond is given up."""
    path.touch()
    if path.stat().st_size < size:
        raise RecordingError(
            f"{path} has lost what was recorded; delete {path.parent} to start anew"
        )
    file = open(path, "r+b")  # noqa: SIM115
    file.truncate(size)
    file.seek(size)
    return file
