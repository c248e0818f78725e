"""The folder in which a recording is put together, and from which it goes on after a stop.

Counts and sums are written whole, by renaming, at intervals; sampled values and text responses go
into files as they come. After a stop, batches since the last interval are run again: they write
the same values to the same places, so that the result is that of a run without a stop.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import RecordingError

ARGUMENTS, STATE = "arguments.json", "state"


def unfinished_folder(out: Path) -> Path:
    """Where the recording for `out` is put together: beside it."""
    return out.with_name(out.name + ".unfinished")


class Checkpoints:
    """One process's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, arguments: Mapping[str, Any], *, resume: bool) -> dict[str, Any]:
        """Start a folder, or go on with one; the arguments that it was started with.

        Raises:
            RecordingError: there is an unfinished recording and `resume` was not asked for, or it
                was made with other arguments.
        """
        file = self.folder / ARGUMENTS
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.note(arguments)
            return dict(arguments)
        if not resume:
            raise RecordingError(
                f"an unfinished recording is in {self.folder}; go on with it with --resume, or "
                "delete that folder to start anew"
            )
        started = json.loads(file.read_text(encoding="utf-8"))
        changed = [
            f"{name} was {started['compared'].get(name)} and is now {value}"
            for name, value in _as_json(arguments["compared"]).items()
            if started["compared"].get(name) != value
        ]
        if changed:
            raise RecordingError(
                f"the unfinished recording in {self.folder} was made with other arguments: "
                f"{'; '.join(changed)}. Give the same ones to go on with it, or delete the folder "
                "to start anew"
            )
        return started

    def note(self, arguments: Mapping[str, Any]) -> None:
        """Write down the arguments again, with what has been found out meanwhile."""
        content = json.dumps(arguments, indent=1, ensure_ascii=False)
        write_whole(self.folder / ARGUMENTS, content.encode())

    def finished(self, language: str) -> Path:
        """The file of a language's statistics, once it is finished."""
        return self.folder / f"{language}.safetensors"

    def save(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Write the state of the language being recorded."""
        from safetensors.numpy import save

        write_whole(self.folder / STATE, save(dict(arrays), metadata={"facts": json.dumps(facts)}))

    def load(self, language: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """The saved state of `language`, if it is the one that was being recorded."""
        from safetensors import safe_open

        if not (self.folder / STATE).exists():
            return None
        with safe_open(self.folder / STATE, framework="numpy") as file:
            facts = json.loads(file.metadata()["facts"])
            if facts["language"] != language:
                return None
            return {key: file.get_tensor(key) for key in file.keys()}, facts  # noqa: SIM118

    def sample(self, hookpoint: str, shape: tuple[int, ...]) -> NDArray[np.float16]:
        """The file of sampled values [token, layer, neuron], mapped."""
        path = self.folder / f"sample.{hookpoint}"
        size = 2 * int(np.prod(shape))
        kept = path.exists() and path.stat().st_size == size
        return np.memmap(path, dtype=np.float16, mode="r+" if kept else "w+", shape=shape)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class ResponseFiles:
    """Files of text responses [text, neuron], one per hookpoint and layer, that grow."""

    def __init__(self, folder: Path, widths: Mapping[tuple[str, str], int], texts: int) -> None:
        self._widths = dict(widths)
        self._paths = {place: folder / f"text.{'.'.join(place)}" for place in widths}
        self._index_path = folder / "text.index"
        self._files: dict[Any, BinaryIO] = {}
        self.texts = texts
        for place, width in self._widths.items():
            self._files[place] = _cut(self._paths[place], 2 * width * texts)
        self._index_file = _cut(self._index_path, 8 * texts)

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
        return np.fromfile(self._index_path, "<i8")

    def read(self, hookpoint: str, layer: str) -> NDArray[np.float16]:
        """Responses [text, neuron] at one place, mapped."""
        self.flush()
        shape = (self.texts, self._widths[hookpoint, layer])
        if not self.texts:
            return np.zeros(shape, np.float16)
        return np.memmap(self._paths[hookpoint, layer], "<f2", "r", shape=shape)

    def close(self) -> None:
        for file in (*self._files.values(), self._index_file):
            file.close()


def _cut(path: Path, size: int) -> BinaryIO:
    """`path` open for writing after its first `size` bytes; what lies beyond is given up."""
    path.touch()
    file = open(path, "r+b")  # noqa: SIM115
    file.truncate(size)
    file.seek(size)
    return file


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or as it was."""
    unfinished = path.with_name(f".{path.name}.new")
    with open(unfinished, "wb") as file:
        file.write(content)
        file.flush()
        # On disk before it takes the place of the old one, in case the machine stops.
        with suppress(OSError):
            os.fsync(file.fileno())
    os.replace(unfinished, path)


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
