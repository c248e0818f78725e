"""Where a neuron's value is read or written, for every supported architecture.

A *hookpoint* names one place in a layer; a *site* is that place in one layer of one loaded model.
Where they are in a loaded model says `lsn_eval.models.resolving`.

- `mlp.act`: output of the activation function (Tang et al. 2024's neuron; the default)
- `mlp.down_in`: input of the down projection: gate times up, or `mlp.act` without a gate
- `mlp.gate`, `mlp.up`, `mlp.down`, `attn.q`, `attn.k`, `attn.v`, `attn.o`: output of a linear layer
- `cross.q`, `cross.k`, `cross.v`, `cross.o`: the same of a decoder's attention to its encoder

This module imports no torch: masks and checks use its names alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import HookpointError
from lsn_eval.models.layout import ModelLayout

if TYPE_CHECKING:
    from torch import nn

    from lsn_eval.models.experts import Expert
    from lsn_eval.models.families import Family

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
