"""Where a neuron's value is read or written, for every supported architecture.

A *hookpoint* names one place in a layer; a *site* is that place in one layer of one loaded model.
Where they are in an architecture says its row in `lsn_eval.models.families`.

- `mlp.act`: output of the activation function (Tang et al. 2024's neuron; the default)
- `mlp.down_in`: input of the down projection: gate times up, or `mlp.act` without a gate
- `mlp.gate`, `mlp.up`, `mlp.down`, `attn.q`, `attn.k`, `attn.v`, `attn.o`: output of a linear layer
- `cross.q`, `cross.k`, `cross.v`, `cross.o`: the same of a decoder's attention to its encoder

This module imports no torch: masks and checks use its names alone.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import HookpointError
from lsn_eval.models.families import FAMILIES, REFUSED, Family, Linear, Stack, path_of, shape_of
from lsn_eval.models.layout import ModelLayout

if TYPE_CHECKING:
    from torch import nn

    from lsn_eval.models.experts import Expert

logger = logging.getLogger(__name__)

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
    "cross.q",
    "cross.k",
    "cross.v",
    "cross.o",
)
"""Every hookpoint, in the order in which a layer's figures are shown."""

HOOKPOINT_GROUPS = {
    "linear": tuple(at for at in HOOKPOINTS[2:] if not at.startswith("cross.")),
    **{
        group: tuple(at for at in HOOKPOINTS[2:] if at.startswith(f"{group}."))
        for group in ("mlp", "attn", "cross")
    },
}
"""Names for the outputs of several linear layers, as many of them as there are."""

DEFAULT_HOOKPOINT = "mlp.act"

ONCE_A_TEXT = frozenset({"cross.k", "cross.v"})
"""Hookpoints that a decoder may compute once and keep, while its layers run for each new token."""


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
    columns: NDArray[np.int64] | None = None
    expert: Expert | None = None
    """Whose value it is: of an expert, `module` is called with the rows of its tokens alone."""

    def __str__(self) -> str:
        return f"{self.hookpoint} of layer {self.layer} ({self.side} of {self.module_name})"


@dataclass(frozen=True, eq=False)
class ModelHookpoints:
    """Every site of a loaded model: `sites[hookpoint][layer]`."""

    model_type: str
    sites: Mapping[str, Mapping[str, Site]]
    layers: Mapping[str, nn.Module]
    name: str | None = None
    """Name or path that the model was loaded from."""
    revision: str | None = None
    """Commit of the model's repository, where it was loaded from the Hub."""
    structure: Family | None = None
    """The row that the model's own tensors gave, where its type has none in `families`."""

    @cached_property
    def layer_names(self) -> tuple[str, ...]:
        return tuple(self.layers)

    def layers_with(self, hookpoints: Iterable[str]) -> tuple[str, ...]:
        """Layers that have any of these hookpoints, in the model's order."""
        having = set(chain.from_iterable(self.sites.get(at, ()) for at in hookpoints))
        return tuple(name for name in self.layers if name in having)

    def has(self, hookpoint: str, layer: str) -> bool:
        return layer in self.sites.get(hookpoint, {})

    def width(self, hookpoint: str, layer: str | None = None) -> int:
        """Neurons of a hookpoint in a layer, 0 where it has none; without a layer in the widest."""
        sites = self.at(hookpoint)
        if layer is None:
            return max(site.width for site in sites.values())
        return sites[layer].width if layer in sites else 0

    def layout(self, hookpoints: Sequence[str]) -> ModelLayout:
        """The layers that have any of these hookpoints, and how wide they are."""
        layers, sites = self.layers_with(hookpoints), {at: self.at(at) for at in hookpoints}
        return ModelLayout.of(
            layers,
            {at: tuple(self.width(at, layer) for layer in layers) for at in sites},
            type=self.model_type,
            name=self.name,
            revision=self.revision,
            resolved="structure" if self.structure else None,
        )

    def site(self, hookpoint: str, layer: str) -> Site:
        """The site of `hookpoint` in `layer`; an error that lists what there is, if it has none."""
        sites = self.at(hookpoint)
        if layer not in self.layers:
            raise HookpointError(
                f"layer {layer!r} does not exist in this {self.model_type} model; it has layers "
                f"{self.layer_names[0]} to {self.layer_names[-1]}"
            )
        if layer not in sites:
            raise HookpointError(
                f"layer {layer} of this {self.model_type} model has no {hookpoint}; it is in "
                f"layers {', '.join(sites)}"
            )
        return sites[layer]

    def at(self, hookpoint: str) -> Mapping[str, Site]:
        """The sites of a hookpoint by layer; an error that lists hookpoints, if there are none."""
        if hookpoint not in self.sites:
            raise HookpointError(
                f"hookpoint {hookpoint!r} does not exist in this {self.model_type} model; it has "
                f"{', '.join(self.sites)}"
            )
        return self.sites[hookpoint]


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


def needs_weights(model: nn.Module) -> bool:
    """Whether its type has no row and is not refused, so that the loaded model alone can say."""
    model_type = getattr(getattr(unwrap(model), "config", None), "model_type", None)
    return model_type not in FAMILIES and model_type not in REFUSED


def resolve(model: nn.Module) -> ModelHookpoints:
    """Find every site of `model` by its type's row, and check the row against its shapes.

    A type without a row is resolved by structure, see `lsn_eval.models.structure`: that takes the
    weights, and is said in the log.

    Raises:
        HookpointError: the type has no row and its structure gives none (the message holds one to
            fill in), or the loaded model differs from its row.
    """
    model = unwrap(model)
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    if model_type is None:
        raise HookpointError(
            f"a Hugging Face model with config.model_type was expected, not {type(model).__name__}"
        )
    if model_type in REFUSED:
        raise HookpointError(
            f"architecture {model_type!r} is not supported: {REFUSED[model_type]}; supported are "
            f"{', '.join(FAMILIES)}"
        )
    if model_type in FAMILIES:
        return _resolved(model, model_type, FAMILIES[model_type])
    family = _by_structure(model, model_type)
    return replace(_resolved(model, model_type, family), structure=family)


_BY_STRUCTURE: WeakKeyDictionary[nn.Module, Family] = WeakKeyDictionary()


def _by_structure(model: nn.Module, model_type: str) -> Family:
    """The row that a model's tensors give; looked for, and said, once for each loaded model."""
    from lsn_eval.models.structure import family_of

    if model in _BY_STRUCTURE:
        return _BY_STRUCTURE[model]
    try:
        family = family_of(model)
        _resolved(model, model_type, family)
    except HookpointError as error:
        raise HookpointError(
            f"architecture {model_type!r} has no row, and what its tensors do gives none: {error}. "
            + _row_to_fill_in(model, model_type)
        ) from error
    left_out = sorted(stack.name for stack in family if stack.attention is None)
    logger.warning(
        "architecture %r has no row: where its hookpoints are was found by what its tensors do%s; "
        "results and masks say resolved:structure. `lsn-eval models inspect` shows the row to add",
        model_type,
        f" (attention of the {' and '.join(left_out)} is left out)" if left_out else "",
    )
    return _BY_STRUCTURE.setdefault(model, family)


def _row_to_fill_in(model: nn.Module, model_type: str) -> str:
    lists = [
        (name, [*of.children()])
        for name, of in model.named_modules()
        if type(of).__name__ == "ModuleList"
    ]
    path, layers = max(lists, key=lambda named: len(named[1]), default=("PATH.OF.LAYERS", []))
    inside = [name for layer in layers[:1] for name, _ in layer.named_modules() if name]
    return (
        "To support it, put a row into FAMILIES in lsn_eval/models/families.py:\n"
        f'    "{model_type}": (Stack(layers=("{path}",), act=..., gate=... or None, up=..., '
        "down=..., attention=Attention(q=..., k=..., v=..., o=...) or None),)\n"
        f"where each name is one of the modules of a layer: {', '.join(inside) or 'none found'}"
    )


def _resolved(model: nn.Module, model_type: str, family: Family) -> ModelHookpoints:
    stacks = _stacks(model, model_type, family)
    text_config = model.config.get_text_config()  # type: ignore[union-attr,operator]
    heads = getattr(text_config, "num_attention_heads", 1)

    sites: dict[str, dict[str, Site]] = {hookpoint: {} for hookpoint in HOOKPOINTS}
    layers: dict[str, nn.Module] = {}
    owners: dict[int, str] = {}
    for path, stack, modules in stacks:
        for number, layer in enumerate(modules):
            name = f"{stack.name}.{number}" if len(stacks) > 1 else str(number)
            for site in _layer_sites(stack, layer, name, f"{path}.{number}", heads):
                layers.setdefault(site.layer, site.expert or layer)
                owner = owners.setdefault(id(site.module), site.layer)
                if owner != site.layer:
                    raise HookpointError(
                        f"layers {owner} and {site.layer} share the module {site.module_name}, so "
                        f"that {site.hookpoint} cannot be told apart between them; give each "
                        "layer a module of its own"
                    )
                sites[site.hookpoint][site.layer] = site
    return ModelHookpoints(
        model_type,
        sites={hookpoint: by_layer for hookpoint, by_layer in sites.items() if by_layer},
        layers=layers,
        name=getattr(model.config, "_name_or_path", None) or None,
        revision=getattr(model.config, "_commit_hash", None),
    )


def _stacks(
    model: nn.Module, model_type: str, family: Family
) -> list[tuple[str, Stack, list[nn.Module]]]:
    """The stacks of the family that this model has: path, row and layers of each."""
    found: dict[str, tuple[str, Stack, list[nn.Module]]] = {}
    for stack in family:
        for path in stack.layers:
            module = _submodule(model, path)
            if module is None or not (layers := list(module.children())):
                continue
            if stack.name not in found or _submodule(layers[0], path_of(stack.up)) is not None:
                found[stack.name] = path, stack, layers
            break
    if not found:
        raise HookpointError(
            f"this {model_type} model ({type(model).__name__}) has no layers at "
            f"{' or '.join(path for stack in family for path in stack.layers)}; its row in "
            "lsn_eval/models/families.py does not fit it"
        )
    return list(found.values())


def _submodule(module: nn.Module, path: str) -> nn.Module | None:
    try:
        return module.get_submodule(path)
    except AttributeError:
        return None


def _layer_sites(
    stack: Stack, layer: nn.Module, name: str, prefix: str, heads: int
) -> Iterator[Site]:
    if stack.experts is None or _submodule(layer, stack.experts) is None:
        yield from _dense_sites(stack, layer, name, prefix, heads)
        return
    yield from _dense_sites(stack, layer, name, prefix, heads, ("attn.",))
    yield from _expert_sites(layer, stack.experts, name, prefix)
    if stack.shared is not None and _submodule(layer, stack.shared) is not None:
        shared = f"{name}.shared"
        yield from _dense_sites(stack.of_shared(), layer, shared, prefix, heads, ("mlp.",))


def _expert_sites(layer: nn.Module, path: str, name: str, prefix: str) -> Iterator[Site]:
    """Every site of the routed experts of a layer: expert 17 of layer 3 is the layer "3.17"."""
    from lsn_eval.models.experts import Experts

    experts = Experts(layer.get_submodule(path), layer, f"{prefix}.{path}")
    width, both = experts.width, np.arange(2 * experts.width)
    gate, up = (both[::2], both[1::2]) if experts.interleaved else (both[:width], both[width:])
    of_expert = [
        ("mlp.down_in", "down_in", width, None),
        ("mlp.gate", "gate_up", width, gate),
        ("mlp.up", "gate_up", width, up),
        ("mlp.down", "down", experts.hidden, None),
    ]
    if experts.has_act:
        of_expert.insert(0, ("mlp.act", "act", width, None))
    for number, expert in enumerate(experts.each):
        for hookpoint, stop, neurons, columns in of_expert:
            yield Site(
                hookpoint,
                f"{name}.{number}",
                expert.points[stop],
                f"{experts.name}.{number}",
                "input" if stop == "down_in" else "output",
                neurons,
                neurons if columns is None else len(both),
                columns,
                expert,
            )


def _dense_sites(
    stack: Stack,
    layer: nn.Module,
    name: str,
    prefix: str,
    heads: int,
    kinds: tuple[str, ...] = ("mlp.", "attn.", "cross."),
) -> Iterator[Site]:
    def module(path: str) -> nn.Module:
        found = _submodule(layer, path)
        if found is None:
            raise HookpointError(
                f"this model has no module {prefix}.{path}, which the row of its family in "
                "lsn_eval/models/families.py names; the row does not fit this model"
            )
        return found

    def output(hookpoint: str, linear: Linear) -> Site:
        path = path_of(linear)
        _, outputs = _shape(module(path), f"{prefix}.{path}")
        columns = None
        if not isinstance(linear, str):
            attended = outputs
            if stack.attention is not None:
                attended, _ = _shape(module(stack.attention.o), f"{prefix}.{stack.attention.o}")
            columns = linear.columns(outputs, attended, heads)
        width = outputs if columns is None else len(columns)
        full = f"{prefix}.{path}"
        return Site(hookpoint, name, module(path), full, "output", width, outputs, columns)

    act, down = f"{prefix}.{stack.act}", f"{prefix}.{stack.down}"
    inputs = 0
    if "mlp." in kinds:
        inputs, _ = _shape(module(stack.down), down)
        yield Site("mlp.act", name, module(stack.act), act, "output", inputs, inputs)
        yield Site("mlp.down_in", name, module(stack.down), down, "input", inputs, inputs)
    for hookpoint, linear in stack.linears().items():
        if not hookpoint.startswith(kinds):
            continue
        if hookpoint in stack.sometimes and _submodule(layer, path_of(linear)) is None:
            continue
        site = output(hookpoint, linear)
        if hookpoint in ("mlp.up", "mlp.gate") and site.width != inputs:
            raise HookpointError(
                f"{site.module_name} has {site.width} outputs but {down} takes {inputs} inputs: "
                "its row in lsn_eval/models/families.py does not fit it"
            )
        yield site


def _shape(linear: nn.Module, name: str) -> tuple[int, int]:
    """Inputs and outputs of a linear layer: `nn.Linear` and its like, or GPT-2's `Conv1D`."""
    if shape := shape_of(linear):
        return shape
    raise HookpointError(
        f"{name} is a {type(linear).__name__}, which does not say how many inputs and outputs it "
        "has; a linear layer was expected there"
    )
