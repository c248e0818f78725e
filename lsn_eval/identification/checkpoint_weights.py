"""Weights of a checkpoint or a loaded model, one tensor at a time, and where its neurons are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lsn_eval.identification.selection import IdentificationError
from lsn_eval.models.families import FAMILIES, Linear, Stack, path_of
from lsn_eval.models.resolving import unwrap
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

    def __post_init__(self) -> None:
        if self.model_type not in FAMILIES:
            raise IdentificationError(
                f"{self.name}: architecture {self.model_type!r} is not supported; supported are "
                f"{', '.join(FAMILIES)}"
            )
        if any(stack.experts for stack in FAMILIES[self.model_type]):
            raise IdentificationError(
                f"{self.name} is a {self.model_type} model, and the weights of experts are not "
                "compared; record activation statistics instead"
            )
        if not self.tensors:
            raise IdentificationError(
                f"{self.name} has no weights; *.safetensors or pytorch_model*.bin was expected in "
                "it"
            )

    def layers(self) -> dict[str, tuple[str, Stack]]:
        """Path and row of every layer by its name, in order."""
        found: dict[str, list[tuple[str, Stack]]] = {}
        for stack in FAMILIES[self.model_type]:
            for path in stack.layers:
                here: list[tuple[str, Stack]] = []
                while f"{path}.{len(here)}.{path_of(stack.up)}.weight" in self.tensors:
                    here.append((f"{path}.{len(here)}", stack))
                if here:
                    found[stack.name] = here
                    break
        if not found:
            paths = [path for stack in FAMILIES[self.model_type] for path in stack.layers]
            raise IdentificationError(
                f"{self.name} has no layers at {' or '.join(paths)}, where a {self.model_type} "
                "checkpoint has them"
            )
        return {
            f"{name}.{number}" if len(found) > 1 else str(number): layer
            for name, layers in found.items()
            for number, layer in enumerate(layers)
        }

    def neuron_weights(self, layer: str, stack: Stack) -> list[torch.Tensor]:
        """Every weight of the neurons of the layer at a path, each float32 [neuron, weight]: the
        rows of the gate and up projections that feed a neuron, and its column of the down
        projection."""
        feeding = [of for of in (stack.up, stack.gate) if of is not None]
        weights = [self._neurons_first(layer, of, of_neurons=False) for of in feeding]
        return [*weights, self.down_weights(layer, stack)]

    def down_weights(self, layer: str, stack: Stack) -> torch.Tensor:
        """Each neuron's column of the down projection, float32 [neuron, hidden]."""
        return self._neurons_first(layer, stack.down, of_neurons=True)

    def _neurons_first(self, layer: str, linear: Linear, *, of_neurons: bool) -> torch.Tensor:
        """The weight of a linear layer whose inputs (`of_neurons`) or outputs are the neurons."""
        name = f"{layer}.{path_of(linear)}.weight"
        if name not in self.tensors:
            raise IdentificationError(f"{self.name} has no weight {name}")
        weight = self.tensors[name]().float()
        weight = weight if (self.model_type in _INPUT_FIRST) == of_neurons else weight.T
        if isinstance(linear, str):
            return weight
        return weight[linear.columns(len(weight), attended=0, heads=1)]


def open_checkpoint(source: str | os.PathLike[str] | nn.Module) -> Checkpoint:
    """A checkpoint folder as `save_pretrained` writes it, or a loaded model.

    Tensors are read from safetensors files one at a time; `.bin` files are read with
    `weights_only=True`.

    Raises:
        IdentificationError: no such folder, an architecture without a row, or no weights in it.
    """
    if not isinstance(source, str | os.PathLike):
        model = unwrap(source)
        config = getattr(model, "config", None)
        return Checkpoint(
            getattr(config, "_name_or_path", None) or type(model).__name__,
            str(getattr(config, "model_type", None)),
            getattr(config, "_commit_hash", None),
            {name: tensor.detach for name, tensor in model.state_dict().items()},
        )
    import torch

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
    tensors: dict[str, Callable[[], torch.Tensor]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= _of_safetensors(file)
    if not tensors:
        for file in sorted(folder.glob("pytorch_model*.bin")):
            content = load_plain_tensors(file, IdentificationError, mmap=True)
            if not isinstance(content, dict) or not all(map(torch.is_tensor, content.values())):
                raise IdentificationError(
                    f"{file} holds no weights by name; convert it to safetensors"
                )
            tensors |= {name: tensor.detach for name, tensor in content.items()}
    model_type, revision = config.text("model_type", None), config.text("_commit_hash", None)
    return Checkpoint(str(source), model_type, revision, tensors)


def _of_safetensors(path: Path) -> dict[str, Callable[[], torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise IdentificationError(f"{path} cannot be read ({error}); download it again") from error
    return {name: partial(file.get_tensor, name) for name in file.keys()}  # noqa: SIM118
