"""`Checkpoint`: the tensors of a folder of safetensors files, and a changed copy of it.

A file is read and written at a time, so that the memory it takes is that of the largest file. Files
without a change are linked, or copied where the file system cannot link.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lsn_eval.baking.edits import Edit
from lsn_eval.baking.pruning import Selection
from lsn_eval.errors import BakingError
from lsn_eval.storage.outside_files import Fields, read_json

_INDEX = "model.safetensors.index.json"
_EXPERT = re.compile(r"\b(layers\.\d+)\.\w+\.experts\.(\d+)\.(gate|up|down)_proj\.weight$")
_MIXTRAL = {"gate": "w1", "up": "w3", "down": "w2"}
"""What the linear layers of an expert are called in checkpoints of Mixtral's kind."""
_GRANITE = {
    "experts.gate_up_proj": "input_linear.weight",
    "experts.down_proj": "output_linear.weight",
}
"""What the tensors that hold all experts of a layer are called in checkpoints of Granite's kind."""
_OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".h5", ".msgpack", ".gguf", ".onnx", ".ot", ".safetensors")


class Checkpoint:
    """A folder with `model.safetensors`, or with its parts and their index.

    Raises:
        BakingError: there is no such file in the folder, or one cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index: dict[str, Any] | None = None
        if (folder / _INDEX).is_file():
            where = str(folder / _INDEX)
            self._index = read_json(folder / _INDEX, BakingError)
            places = Fields(self._index, where, BakingError).fields("weight_map")
            names = sorted({places.text(tensor) for tensor in places})
            if strange := [name for name in names if Path(name).name != name]:
                raise BakingError(f"{where}: {strange[0]!r} is no file beside it")
        else:
            names = ["model.safetensors"]
        self._file_of: dict[str, str] = {}
        for name in names:
            try:
                with safe_open(folder / name, "pt") as file:
                    self._file_of |= dict.fromkeys(file.keys(), name)
            except (OSError, SafetensorError) as error:
                raise BakingError(
                    f"{folder} has no {name} that can be read ({error}). A checkpoint of "
                    "safetensors files was expected: load the model with transformers and "
                    "`save_pretrained` it"
                ) from error

    @property
    def size(self) -> int:
        """Of its files, in bytes."""
        return sum((self.folder / name).stat().st_size for name in set(self._file_of.values()))

    @property
    def merged_experts(self) -> bool:
        """Whether a tensor holds all experts of a layer."""
        return not any(re.search(r"\.experts\.\d+\.", key) for key in self._file_of)

    def read(self, name: str) -> torch.Tensor:
        """The tensor that the model calls `name`."""
        key = self._key(name)
        with safe_open(self.folder / self._file_of[key], "pt") as file:
            return file.get_tensor(key)

    def _key(self, name: str) -> str:
        """What the files call it: where the stack sits in a model, its head and what wraps it, may
        have another name there, and the layer and what is in it has not."""
        if match := _EXPERT.search(name):
            layer, expert, of = match.groups()
            ending = rf"(^|\.){layer}\.\w+\.experts\.{expert}\.({of}_proj|{_MIXTRAL[of]})\.weight$"
            if len(keys := [key for key in self._file_of if re.search(ending, key)]) == 1:
                return keys[0]
        for ours, theirs in _GRANITE.items():
            if (key := name.replace(ours, theirs)) != name and key in self._file_of:
                return key
        words = name.split(".")
        for cut in range(len(words)):
            ending = "." + ".".join(words[cut:])
            if keys := [key for key in self._file_of if f".{key}".endswith(ending)]:
                # Of the stacks of a model with an eye the one whose words are most alike.
                alike = [len(set(key.split(".")) & set(words)) for key in keys]
                if alike.count(max(alike)) == 1:
                    return keys[alike.index(max(alike))]
                break
        raise BakingError(
            f"{self.folder} has no tensor {name}: its tensors are named in another way than "
            "those of the model that is made of them. Load the model with transformers, "
            "`save_pretrained` it, and give that folder"
        )

    def write(
        self,
        folder: Path,
        edits: Sequence[Edit],
        added: Mapping[str, torch.Tensor],
        selections: Mapping[str, Selection] | None = None,
    ) -> None:
        """A copy with `edits` done, and with the biases `added`, on which edits may be, too.

        Args:
            selections: what a tensor keeps, after its edits.
        """
        keys = {name: self._key(f"{name[:-4]}weight")[:-6] + "bias" for name in added}
        added = {keys[name]: tensor for name, tensor in added.items()}
        changes: dict[str, list[Edit | Selection]] = {}
        every: list[tuple[str, Edit | Selection]] = [(edit.tensor, edit) for edit in edits]
        every += (selections or {}).items()
        for name, change in every:
            changes.setdefault(keys.get(name) or self._key(name), []).append(change)
        changed = {self._file_of[key] for key in changes if key not in added}
        names = sorted(set(self._file_of.values()))
        host = min(changed, default=names[0])
        """Which file the added tensors go to."""
        grown = np.zeros(2, int)
        for name in names:
            if name in changed or (added and name == host):
                new = added if name == host else {}
                grown += self._rewrite(name, folder / name, changes, new)
            else:
                _link(self.folder / name, folder / name)
        if self._index is not None:
            metadata = dict(self._index.get("metadata") or {})
            for total, more in zip(("total_parameters", "total_size"), grown.tolist(), strict=True):
                if total in metadata:
                    metadata[total] += more
            places = {**self._index["weight_map"], **dict.fromkeys(added, host)}
            index = {**self._index, "metadata": metadata, "weight_map": places}
            (folder / _INDEX).write_text(json.dumps(index, indent=2), "utf-8")

    def _rewrite(
        self,
        name: str,
        target: Path,
        changes: Mapping[str, Iterable[Edit | Selection]],
        added: Mapping[str, torch.Tensor],
    ) -> NDArray[np.int64]:
        """Writes a file anew; numbers and bytes that it holds more than before."""
        with safe_open(self.folder / name, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in list(file.keys())}
            before = _size(tensors)
            tensors |= added
            for key in tensors.keys() & changes.keys():
                tensors[key] = self._changed(key, tensors[key], changes[key])
            save_file(tensors, target, metadata=file.metadata())
            target.chmod(0o644)  # it is written for its owner alone
            return _size(tensors) - before

    def _changed(
        self, key: str, values: torch.Tensor, changes: Iterable[Edit | Selection]
    ) -> torch.Tensor:
        exact = values.double()
        for change in changes:
            exact = change.apply(exact, self.read)
        rounded = exact.to(values.dtype)
        if not torch.equal(rounded.isfinite(), exact.isfinite()):
            raise BakingError(
                f"{key} would hold infinities: the largest number of its precision is "
                f"{torch.finfo(values.dtype).max:g}. Give smaller values"
            )
        return rounded


def copy_others(source: Path, target: Path, without: Container[str]) -> None:
    """Tokenizer, templates, code: every file at the top that is no weights."""
    for path in source.iterdir():
        skipped = path.name in without or path.name.endswith((*_OTHER_WEIGHTS, _INDEX))
        if path.is_file() and not skipped and not path.name.startswith("."):
            shutil.copy2(path, target / path.name)


def _size(tensors: Mapping[str, torch.Tensor]) -> NDArray[np.int64]:
    """Numbers and bytes."""
    each = [(tensor.numel(), tensor.nbytes) for tensor in tensors.values()]
    return np.sum(each, axis=0, dtype=np.int64)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one that has no links
        shutil.copy2(source, target)
