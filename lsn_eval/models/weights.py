"""What tells one set of weights from another: of a loaded model, and of a checkpoint on disk.

Of a loaded model every element is read, where it lies, with integer arithmetic: the same number on
every device. The sum of elements times fixed odd numbers modulo 2^64 (multilinear hashing, Carter
and Wegman 1979) is a guard against accidents, not against forgers: one changed element always
changes it, several do but for one chance in a thousand million. `docs/recording.md` says what it
costs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import nn

BLOCK = 4096
"""Elements that share one sum; part of what a fingerprint means."""
_CPU_BLOCKS, _DEVICE_BLOCKS = 16, 8192
"""Blocks at a time: what stays in a CPU's cache, and what keeps a device busy."""

LOADED_SUFFIXES = (
    ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf",
    ".model", ".tiktoken", ".jinja", ".py", ".index.json",
)  # fmt: skip
"""Files that a model may be loaded from, also from folders inside its own."""


def weights_fingerprint(model: nn.Module) -> str:
    """A digest of every element of every parameter and saved buffer, 64 hexadecimal digits.

    The same wherever the weights lie, offloaded ones included, and in any precision that holds the
    same values.
    """
    import torch

    factors = torch.from_numpy(_odd_numbers())
    sha = hashlib.sha256()
    with torch.no_grad():
        for name, tensor in _tensors(model):
            sha.update(f"{name} {list(tensor.shape)}\n".encode())
            sha.update(_block_sums(tensor, factors).astype("<i8").tobytes())
    return sha.hexdigest()


def files_identity(folder: str | os.PathLike[str], subfolder: str | None = None) -> list[Any]:
    """Path, bytes and time of change of every file that a model in `folder` may be loaded from.

    That is everything at the top and in `subfolder`, and in the folders below what ends as weights,
    tokenizers, templates and code do: results that were written into the folder are none of it.
    Empty for what is no folder, such as a name on the Hub, which is told apart by its revision.
    Contents are not read: who changes a file and puts back its size and time is not noticed.
    """
    top = Path(folder)
    files = {
        file
        for file in _files(top, set())
        if file.parent == top or file.name.endswith(LOADED_SUFFIXES)
    }
    if subfolder is not None and top.is_dir():
        files |= set(_files(top / subfolder, set()))
    described = ((os.path.relpath(file, top), file.stat()) for file in files)
    return sorted([Path(name).as_posix(), of.st_size, of.st_mtime_ns] for name, of in described)


def _files(folder: Path, visited: set[Path]) -> Iterator[Path]:
    """Files of a folder and of those in it, linked ones too, but for hidden folders."""
    if not folder.is_dir() or folder.resolve() in visited:
        return
    visited.add(folder.resolve())  # a link may lead back up
    for path in folder.iterdir():
        if path.is_file():
            yield path
        elif not path.name.startswith("."):
            yield from _files(path, visited)


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and saved buffers by name; offloaded ones are fetched, module by module."""
    for path, module in model.named_modules():
        with _fetched(module):
            unsaved = module._non_persistent_buffers_set
            own = {**module._parameters, **module._buffers}
            for name, tensor in own.items():
                if tensor is not None and name not in unsaved:
                    yield from _plain(f"{path}.{name}", tensor)
            if hasattr(module, "_weight_bias"):  # PyTorch's quantised layers keep them packed
                for name, tensor in zip(("weight", "bias"), module._weight_bias(), strict=True):
                    if tensor is not None:
                        yield f"{path}.{name}", tensor.dequantize()


def _plain(name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors that one of another package (torchao's, quantised) is made of; their names say
    how."""
    if type(tensor).__module__.startswith("torch.") or not hasattr(tensor, "__tensor_flatten__"):
        yield name, tensor
        return
    parts, made = tensor.__tensor_flatten__()
    for part in parts:
        yield from _plain(f"{name}.{part} {made}", getattr(tensor, part))


def _fetched(module: nn.Module) -> AbstractContextManager[Any]:
    if not any(parameter.is_meta for parameter in module.parameters(recurse=False)):
        return nullcontext()
    from accelerate.utils import align_module_device

    return align_module_device(module)


def _block_sums(tensor: torch.Tensor, factors: torch.Tensor) -> NDArray[np.int64]:
    """Sum of each block's elements, as 32-bit words, times `factors`, modulo 2^64 [block]."""
    import torch

    if tensor.is_meta:  # without values, as in a model that is described and not loaded
        return np.zeros(0, np.int64)
    if tensor.device.type == "mps":  # its integers are not those of the others
        tensor = tensor.cpu()
    factors = factors.to(tensor.device)
    blocks = _CPU_BLOCKS if tensor.device.type == "cpu" else _DEVICE_BLOCKS
    sums = []
    for part in tensor.detach().flatten().split(blocks * BLOCK):
        if part.is_floating_point():
            words = part.float().view(torch.int32)
        else:
            words = part.view(torch.int32) if part.element_size() >= 4 else part.to(torch.int32)
        words = torch.nn.functional.pad(words, (0, -len(words) % BLOCK)).view(-1, BLOCK)
        sums.append((words * factors).sum(1))
    return torch.cat(sums).cpu().numpy() if sums else np.zeros(0, np.int64)


def _odd_numbers() -> NDArray[np.int64]:
    """The factors [BLOCK]: a generator whose stream NumPy keeps for good."""
    words = np.random.RandomState(0).bytes(8 * BLOCK)
    return np.frombuffer(words, "<i8").astype(np.int64) | 1
