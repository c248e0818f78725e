"""What an adapter may change: rows and columns of linear layers, and how the rest stays as it is.

A LoRA update of a weight W [output, input] is s B A, with B [output, rank] and A [rank, input] (Hu
et al. 2022). Rows of the update are rows of B, its columns are columns of A. So that the update
touches some outputs alone, the other rows of B are 0 and their gradients are set to 0 before
anything sees them; for some inputs alone the same with columns of A. Adam's step for a gradient
that was never other than 0 is 0, and weight decay makes 0 of 0: they stay exactly 0, the update
outside is a sum of zeros, and the adapter is an ordinary one that any peft loads and merges.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lsn_eval.errors import TuningError
from lsn_eval.models.families import shape_of
from lsn_eval.models.hookpoints import HOOKPOINTS, ModelHookpoints, expanded
from lsn_eval.models.layout import Place
from lsn_eval.wording.lists import listed

Indices = NDArray[np.signedinteger]
_INSIDE = ("mlp.act", "mlp.down_in")
"""Hookpoints whose neuron is a row of what comes before and a column of the down projection."""
LAYERS = tuple(at for at in HOOKPOINTS if at not in _INSIDE)
"""Hookpoints that are linear layers."""


@dataclass(frozen=True, eq=False)
class Update:
    """Which part of a linear layer's weight [outputs, inputs] an adapter may change; None: all."""

    shape: tuple[int, int]
    rows: Indices | None = None
    columns: Indices | None = None

    def parameters(self, rank: int) -> int:
        """Numbers of A and B that can differ from 0 in the end."""
        outputs = self.shape[0] if self.rows is None else self.rows.size
        inputs = self.shape[1] if self.columns is None else self.columns.size
        if not outputs or not inputs:
            return 0
        return rank * int(outputs + inputs)


Updates = Mapping[str, Update]
"""By the name of the module."""


def updates_of(
    hookpoints: ModelHookpoints,
    neurons: Mapping[Place, Indices],
    layers: Collection[str] = LAYERS,
) -> dict[str, Update]:
    """The rows and columns of these neurons.

    A neuron inside the MLP is a row of its gate and up projections and a column of its down
    projection; a neuron that is the output of a linear layer is a row of that.

    Args:
        layers: hookpoints; other linear layers stay as they are.

    Raises:
        TuningError: a neuron of a routed expert, none of the layers, or a layer of which rows and
            columns would both be some alone, which is no update of low rank.
    """
    rows: dict[str, list[Indices]] = {}
    columns: dict[str, Indices] = {}
    shapes: dict[str, tuple[int, int]] = {}
    for (at, layer), indices in neurons.items():
        inside = at in _INSIDE
        for of in ("mlp.gate", "mlp.up", "mlp.down") if inside else (at,):
            if of not in layers or not hookpoints.has(of, layer):
                continue
            site = hookpoints.site(of, layer)
            if site.expert is not None:
                raise TuningError(
                    f"{site} is of a routed expert, whose weights are no linear layer that an "
                    "adapter could be put on; use a mask of other layers"
                )
            name = site.module_name
            shapes[name] = _shape(site.module)
            if inside and of == "mlp.down":
                columns[name] = np.union1d(columns.get(name, indices), indices)
            else:
                index = indices if site.columns is None else site.columns[indices]
                rows.setdefault(name, []).append(index)
    if both := sorted(rows.keys() & columns.keys()):
        raise TuningError(
            f"of {both[0]} some rows and some columns were to be tuned; name one of them by the "
            "layers, or use a mask of one hookpoint"
        )
    if not shapes:
        raise TuningError(
            f"nothing to tune: there is no neuron at {listed(list(layers), 9)}; give other "
            "layers or another mask"
        )
    united = {name: np.unique(np.concatenate(of)) for name, of in rows.items()}
    return {
        name: Update(shape, united.get(name), columns.get(name)) for name, shape in shapes.items()
    }


def whole_layers(hookpoints: ModelHookpoints, names: Collection[str]) -> dict[str, Update]:
    """All of the linear layers at these hookpoints, or groups of them such as `attn`."""
    sites = [
        site
        for at in expanded(tuple(names), hookpoints.sites)
        for site in hookpoints.at(at).values()
        if at in LAYERS and site.expert is None
    ]
    return {site.module_name: Update(_shape(site.module)) for site in sites}


def _shape(linear: nn.Module) -> tuple[int, int]:
    inputs, outputs = shape_of(linear) or (0, 0)
    return outputs, inputs


def adapted(model: nn.Module, updates: Updates, rank: int, alpha: int, task: str) -> Any:
    """The model with a fresh peft LoRA adapter that can change these parts alone.

    Args:
        task: peft's `TaskType`: `CAUSAL_LM`, `SEQ_CLS`.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=list(updates),
        task_type=task,
        fan_in_fan_out=any(hasattr(model.get_submodule(name), "nf") for name in updates),
    )
    tuned = get_peft_model(model, config)
    for name, update in updates.items():
        layer = model.get_submodule(name)
        _keep(layer.lora_A["default"].weight, update.columns, 1)  # type: ignore[union-attr,index]
        _keep(layer.lora_B["default"].weight, update.rows, 0)  # type: ignore[union-attr,index]
    for module in tuned.modules():
        if isinstance(getattr(module, "modules_to_save", None), nn.ModuleDict):
            _in_float32(module.modules_to_save["default"])  # type: ignore[arg-type,index]
    return tuned


def _in_float32(head: nn.Module) -> None:
    """Train a head in float32 on a model of any precision: small steps are lost in bfloat16."""
    head.float()
    head.register_forward_pre_hook(lambda module, args: (args[0].float(), *args[1:]))


def _keep(weight: Any, indices: Indices | None, axis: int) -> None:
    """Nothing but these rows (axis 0) or columns (1) is other than 0, now and after any step."""
    if indices is None:
        return
    shape = [1, 1]
    shape[axis] = weight.shape[axis]
    kept = torch.zeros(shape)
    kept.view(-1)[torch.as_tensor(indices, dtype=torch.long)] = 1
    with torch.no_grad():
        weight.mul_(kept.to(weight))
    weight.register_hook(lambda gradient: gradient * kept.to(gradient))
