"""Where a neuron's value is read or written, for every supported architecture.

A *hookpoint* names one place in a layer; a *site* is that place in one layer of one loaded model.
Where they are in an architecture says its row in `lsn_eval.models.families`.

- `mlp.act`: output of the activation function (Tang et al. 2024's neuron; the default)
- `mlp.down_in`: input of the down projection: gate times up, or `mlp.act` without a gate
- `mlp.gate`, `mlp.up`, `mlp.down`, `attn.q`, `attn.k`, `attn.v`, `attn.o`: output of a linear layer

This module imports no torch: masks and checks use its names alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from lsn_eval.errors import HookpointError
from lsn_eval.models.families import FAMILIES, Family

if TYPE_CHECKING:
    from torch import nn

HOOKPOINTS = (
    "mlp.act",
    "mlp.down_in",
    "mlp.gate",
    "mlp.up",
    "mlp.down",
    "attn.q",
    "attn.k",
    "attn.v",
    "attn.o",
)
"""Every hookpoint, in the order in which a layer's figures are shown."""

HOOKPOINT_GROUPS = {
    "linear": HOOKPOINTS[2:],
    "mlp": tuple(at for at in HOOKPOINTS[2:] if at.startswith("mlp.")),
    "attn": tuple(at for at in HOOKPOINTS[2:] if at.startswith("attn.")),
}
"""Names for the outputs of several linear layers, as many of them as there are."""

DEFAULT_HOOKPOINT = "mlp.act"


def expanded(names: Sequence[str], there: Collection[str]) -> tuple[str, ...]:
    """Hookpoints named one by one or by a group, of which those that are `there`; each once."""
    members = ([at for at in HOOKPOINT_GROUPS.get(name, ()) if at in there] for name in names)
    each = (at for name, of in zip(names, members, strict=True) for at in of or [name])
    return tuple(dict.fromkeys(each))


@dataclass(frozen=True, eq=False)
class Site:
    """One hookpoint in one layer of a loaded model.

    `side` says whether the value is the module's output or its (first) input, a tensor whose last
    axis is `extent` long. `columns` [neuron] are the hookpoint's positions along that axis, or
    None where it is the whole of it.
    """

    hookpoint: str
    layer: str
    module: nn.Module
    module_name: str
    side: Literal["input", "output"]
    width: int
    extent: int
    columns: np.ndarray | None = None

    def __str__(self) -> str:
        return f"{self.hookpoint} of layer {self.layer} ({self.side} of {self.module_name})"


@dataclass(frozen=True, eq=False)
class ModelHookpoints:
    """Every site of a loaded model: `sites[hookpoint][layer]`."""

    model_type: str
    gated: bool
    sites: Mapping[str, Mapping[str, Site]]
    layers: Mapping[str, nn.Module]
    name: str | None = None
    """Name or path that the model was loaded from."""
    revision: str | None = None
    """Commit of the model's repository, where it was loaded from the Hub."""

    @cached_property
    def layer_names(self) -> tuple[str, ...]:
        return tuple(self.sites[DEFAULT_HOOKPOINT])

    def widths(self) -> dict[str, int]:
        """Neurons per layer of each hookpoint."""
        return {
            hookpoint: next(iter(layers.values())).width for hookpoint, layers in self.sites.items()
        }

    def site(self, hookpoint: str, layer: str) -> Site:
        """The site of `hookpoint` in `layer`; an error that lists what there is, if it has none."""
        if hookpoint not in self.sites:
            raise HookpointError(
                f"hookpoint {hookpoint!r} does not exist in this {self.model_type} model; it has "
                f"{', '.join(self.sites)}"
            )
        if layer not in self.sites[hookpoint]:
            raise HookpointError(
                f"layer {layer!r} does not exist in this {self.model_type} model; it has layers "
                f"{self.layer_names[0]} to {self.layer_names[-1]}"
            )
        return self.sites[hookpoint][layer]


def unwrap(model: nn.Module) -> nn.Module:
    """The Hugging Face model inside what wraps it: DDP, `torch.compile`, PEFT."""
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod  # type: ignore[assignment]
        elif hasattr(model, "get_base_model") and hasattr(model, "peft_config"):
            model = model.get_base_model()  # type: ignore[operator]
        elif not hasattr(model, "config") and hasattr(model, "module"):
            model = model.module  # type: ignore[assignment]
        else:
            return model


def resolve(model: nn.Module) -> ModelHookpoints:
    """Find every site of `model` by its family's row, and check the row against its shapes.

    Raises:
        HookpointError: the architecture has no row (the message holds one to fill in), or the
            loaded model differs from its row.
    """
    model = unwrap(model)
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    if model_type is None:
        raise HookpointError(
            f"a Hugging Face model with config.model_type was expected, not {type(model).__name__}"
        )
    if model_type not in FAMILIES:
        raise HookpointError(_missing_row(model, model_type))
    family = FAMILIES[model_type]
    layers_path, layers = _layers(model, model_type, family)
    text_config = model.config.get_text_config()  # type: ignore[union-attr,operator]
    heads = getattr(text_config, "num_attention_heads", 1)

    sites: dict[str, dict[str, Site]] = {hookpoint: {} for hookpoint in HOOKPOINTS}
    owners: dict[int, str] = {}
    for number, layer in enumerate(layers):
        for site in _layer_sites(family, layer, str(number), f"{layers_path}.{number}", heads):
            owner = owners.setdefault(id(site.module), str(number))
            if owner != str(number):
                raise HookpointError(
                    f"layers {owner} and {number} share the module {site.module_name}, so that "
                    f"{site.hookpoint} cannot be told apart between them; give each layer a "
                    "module of its own"
                )
            sites[site.hookpoint][site.layer] = site
    sites = {hookpoint: by_layer for hookpoint, by_layer in sites.items() if by_layer}
    for hookpoint, by_layer in sites.items():
        widths = {site.width for site in by_layer.values()}
        if len(widths) > 1 or len(by_layer) != len(layers):
            raise HookpointError(
                f"{hookpoint} is not alike in every layer of this {model_type} model (widths "
                f"{sorted(widths)}); one width per hookpoint is supported"
            )
    return ModelHookpoints(
        model_type,
        gated=family.gate is not None,
        sites=sites,
        layers={str(number): layer for number, layer in enumerate(layers)},
        name=getattr(model.config, "_name_or_path", None) or None,
        revision=getattr(model.config, "_commit_hash", None),
    )


def _layers(model: nn.Module, model_type: str, family: Family) -> tuple[str, list[nn.Module]]:
    for path in family.layers:
        stack = _submodule(model, path)
        if stack is not None and (layers := list(stack.children())):
            return path, layers
    raise HookpointError(
        f"this {model_type} model ({type(model).__name__}) has no layers at "
        f"{' or '.join(family.layers)}; its row in lsn_eval/models/families.py does not fit it"
    )


def _submodule(module: nn.Module, path: str) -> nn.Module | None:
    try:
        return module.get_submodule(path)
    except AttributeError:
        return None


def _layer_sites(
    family: Family, layer: nn.Module, number: str, prefix: str, heads: int
) -> Iterator[Site]:
    def module(path: str) -> nn.Module:
        found = _submodule(layer, path)
        if found is None:
            raise HookpointError(
                f"this model has no module {prefix}.{path}, which the row of its family in "
                "lsn_eval/models/families.py names; the row does not fit this model"
            )
        return found

    inputs, _ = _shape(module(family.down), f"{prefix}.{family.down}")
    for path in filter(None, (family.up, family.gate)):
        _, outputs = _shape(module(path), f"{prefix}.{path}")
        if outputs != inputs:
            raise HookpointError(
                f"{prefix}.{path} has {outputs} outputs but {prefix}.{family.down} takes {inputs} "
                "inputs: its row in lsn_eval/models/families.py does not fit it"
            )
    act, down = f"{prefix}.{family.act}", f"{prefix}.{family.down}"
    yield Site("mlp.act", number, module(family.act), act, "output", inputs, inputs)
    yield Site("mlp.down_in", number, module(family.down), down, "input", inputs, inputs)
    for hookpoint, place in family.linears().items():
        path = place if isinstance(place, str) else place.module
        name = f"{prefix}.{path}"
        _, outputs = _shape(module(path), name)
        columns = None if isinstance(place, str) else place.columns(outputs, heads)
        width = outputs if columns is None else len(columns)
        yield Site(hookpoint, number, module(path), name, "output", width, outputs, columns)


def _shape(linear: nn.Module, name: str) -> tuple[int, int]:
    """Inputs and outputs of a linear layer: `nn.Linear` and its like, or GPT-2's `Conv1D`."""
    for inputs, outputs in (("in_features", "out_features"), ("nx", "nf")):
        if hasattr(linear, inputs) and hasattr(linear, outputs):
            return int(getattr(linear, inputs)), int(getattr(linear, outputs))
    raise HookpointError(
        f"{name} is a {type(linear).__name__}, which does not say how many inputs and outputs it "
        "has; a linear layer was expected there"
    )


def _missing_row(model: nn.Module, model_type: str) -> str:
    """An error text with a row to fill in, its layers path found by structure where possible."""
    stacks = [
        (name, list(module.children()))
        for name, module in model.named_modules()
        if type(module).__name__ == "ModuleList"
    ]
    path, layers = max(stacks, key=lambda stack: len(stack[1]), default=("PATH.OF.LAYERS", []))
    inside = [name for name, _ in layers[0].named_modules() if name] if layers else []
    return (
        f"architecture {model_type!r} is not supported; supported are "
        f"{', '.join(sorted(FAMILIES))}. To add it, put a row into FAMILIES in "
        "lsn_eval/models/families.py:\n"
        f'    "{model_type}": Family(layers=("{path}",), act=..., gate=... or None, up=..., '
        "down=..., q=..., k=..., v=..., o=...)\n"
        f"where each name is one of the modules of a layer: {', '.join(inside) or 'none found'}"
    )
