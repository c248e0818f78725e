"""Weights of a checkpoint or a loaded model, one tensor at a time, and where its neurons are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsn_eval.identification.selection import IdentificationError
from lsn_eval.models.families import FAMILIES, Family
from lsn_eval.models.hookpoints import unwrap
from lsn_eval.storage.outside_files import Fields, read_json
from lsn_eval.storage.tensor_files import load_plain_tensors

if TYPE_CHECKING:
    import torch
    from torch import nn

# Families whose linear layers are `Conv1D`, which keeps its weight as [input, output].
_INPUT_FIRST = frozenset({"gpt2"})


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Feed-forward weights of a model that need not be loaded."""

    name: str
    model_type: str
    revision: str | None
    tensors: Mapping[str, Callable[[], torch.Tensor]]
    """Weights by name, read when called."""

    @property
    def family(self) -> Family:
        return FAMILIES[self.model_type]

    def layers(self) -> tuple[str, ...]:
        """Paths of the layers, in order."""
        for path in self.family.layers:
            found: list[str] = []
            while f"{path}.{len(found)}.{self.family.down}.weight" in self.tensors:
                found.append(f"{path}.{len(found)}")
            if found:
                return tuple(found)
        raise IdentificationError(
            f"{self.name} has no layers at {' or '.join(self.family.layers)}, where a "
            f"{self.model_type} checkpoint has them"
        )

    def neuron_weights(self, layer: str) -> list[torch.Tensor]:
        """Every weight of the neurons of a layer, each float32 [neuron, weight]: the rows of the
        gate and up projections that feed a neuron, and its column of the down projection."""
        feeding = [self.family.up] + ([self.family.gate] if self.family.gate else [])
        weights = [self._weight(f"{layer}.{path}", outputs_first=True) for path in feeding]
        return [*weights, self._weight(f"{layer}.{self.family.down}", outputs_first=False)]

    def _weight(self, module: str, *, outputs_first: bool) -> torch.Tensor:
        name = f"{module}.weight"
        if name not in self.tensors:
            raise IdentificationError(f"{self.name} has no weight {name}")
        weight = self.tensors[name]().float()
        stored_outputs_first = self.model_type not in _INPUT_FIRST
        return weight if stored_outputs_first == outputs_first else weight.T


def open_checkpoint(source: str | os.PathLike[str] | nn.Module) -> Checkpoint:
    """A checkpoint folder as `save_pretrained` writes it, or a loaded model.

    Tensors are read from safetensors files one at a time; `.bin` files are read with
    `weights_only=True`.

    Raises:
        IdentificationError: no such folder, an architecture without a row, or no weights in it.
    """
    if not isinstance(source, str | os.PathLike):
        return _of_module(source)
    folder = Path(source).expanduser()
    if not (folder / "config.json").is_file():
        adapter = (folder / "adapter_config.json").is_file()
        raise IdentificationError(
            f"{folder} is an adapter; merge it into its model and save that (merge_and_unload)"
            if adapter
            else f"{folder} is no folder with a config.json; a checkpoint folder was expected "
            "(download one from the Hub with 'hf download')"
        )
    where = str(folder / "config.json")
    config = Fields(read_json(where, IdentificationError), where, IdentificationError)
    files = sorted(folder.glob("*.safetensors"))
    tensors: dict[str, Callable[[], torch.Tensor]] = {}
    for file in files:
        tensors.update(_of_safetensors(file))
    if not files:
        for file in sorted(folder.glob("pytorch_model*.bin")):
            tensors.update(_of_bin(file))
    model_type, revision = config.text("model_type", None), config.text("_commit_hash", None)
    return _checked(str(source), model_type, revision, tensors)


def _of_module(model: nn.Module) -> Checkpoint:
    model = unwrap(model)
    config = getattr(model, "config", None)

    def reader(tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        return lambda: tensor.detach()

    return _checked(
        getattr(config, "_name_or_path", None) or type(model).__name__,
        getattr(config, "model_type", None),
        getattr(config, "_commit_hash", None),
        {name: reader(tensor) for name, tensor in model.state_dict().items()},
    )


def _checked(
    name: str,
    model_type: Any,
    revision: str | None,
    tensors: Mapping[str, Callable[[], torch.Tensor]],
) -> Checkpoint:
    if model_type not in FAMILIES:
        raise IdentificationError(
            f"{name}: architecture {model_type!r} is not supported; supported are "
            f"{', '.join(sorted(FAMILIES))}"
        )
    if not tensors:
        raise IdentificationError(
            f"{name} has no weights; *.safetensors or pytorch_model*.bin was expected in it"
        )
    return Checkpoint(name, model_type, revision, tensors)


def _of_safetensors(path: Path) -> dict[str, Callable[[], torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise IdentificationError(f"{path} cannot be read ({error}); download it again") from error

    def reader(name: str) -> Callable[[], torch.Tensor]:
        return lambda: file.get_tensor(name)

    return {name: reader(name) for name in file.keys()}  # noqa: SIM118


def _of_bin(path: Path) -> dict[str, Callable[[], torch.Tensor]]:
    import torch

    content = load_plain_tensors(path, IdentificationError, mmap=True)
    if not isinstance(content, dict) or not all(map(torch.is_tensor, content.values())):
        raise IdentificationError(f"{path} holds no weights by name; convert it to safetensors")

    def reader(tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        return lambda: tensor

    return {name: reader(tensor) for name, tensor in content.items()}
