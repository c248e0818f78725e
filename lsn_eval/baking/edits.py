"""What a condition is in the weights: which rows, columns and biases change, and how.

A write is h -> a h + b, neuron by neuron: a number has a = 0, scaling b = 0, adding a = 1.

- at the output of a linear layer: rows of its weight times a; its bias times a, plus b
- at what the down projection is given (`mlp.down_in`, and `mlp.act` without a gate): its columns
  times a; its bias plus the columns times b
- at `mlp.act` of a gated MLP, which is multiplied by `mlp.up`: columns times a. For a constant c
  the gate's rows become 0 and its bias some g, and a is c / act(g). No weights can add there: what
  the down projection is given would change by a multiple of `mlp.up`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lsn_eval.conditions import Write
from lsn_eval.errors import BakingError
from lsn_eval.models.hookpoints import ModelHookpoints, Site
from lsn_eval.models.layout import Place

Floats = NDArray[np.float64]
Read = Callable[[str], torch.Tensor]
"""The tensor of the original checkpoint, by the model's name of it."""

_GATE = 4.0
"""What a gate is set to where its activation is to be constant: no activation is near 0 there."""
_INSIDE = ("mlp.act", "mlp.down_in")


@dataclass(frozen=True, eq=False)
class Edit:
    """`tensor` at `index` [n] along `axis` times `scale` [n], plus `shift` [n] (of a bias).

    With `through`, the name of a weight: plus what `shift` at its inputs `index` makes of it.
    With `expert`, its number: `tensor` holds all experts of a layer [expert, ...], and so does the
    weight; the axes are those of one of them.
    """

    tensor: str
    index: NDArray[np.int64]
    scale: Floats
    shift: Floats | None = None
    axis: int = 0
    through: str | None = None
    expert: int | None = None

    def apply(self, values: torch.Tensor, read: Read) -> torch.Tensor:
        """`values` in float64, changed in place."""
        index, scale = torch.as_tensor(self.index), torch.as_tensor(self.scale)
        of = slice(None) if self.expert is None else self.expert
        whole, values = values, values[of]
        if self.through is not None:
            weight = read(self.through)[of].index_select(self.axis, index).double()
            weight = weight if self.axis == 1 else weight.T
            values.add_(weight @ torch.as_tensor(self.shift))
            return whole
        shape = [-1 if axis == self.axis else 1 for axis in range(values.ndim)]
        scale = scale.view(shape)
        # Not a product where it is set: 0 times an infinity is none.
        kept = torch.where(scale == 0, 0.0, values.index_select(self.axis, index) * scale)
        if self.shift is not None:
            kept += torch.as_tensor(self.shift).view(shape)
        values.index_copy_(self.axis, index, kept)
        return whole


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear layer, or a part of one, as it is stored."""

    weight: str
    bias: str
    has_bias: bool
    axis: int
    """Of the weight: where its outputs are. GPT-2's `Conv1D` has them last."""
    columns: NDArray[np.int64] | None = None
    """Which of its outputs; None for all."""
    expert: int | None = None
    """Which one, where a tensor holds all experts of a layer."""

    @staticmethod
    def of(site: Site, merged: bool) -> Linear:
        """That of a hookpoint at the input or output of a linear layer.

        Args:
            merged: the checkpoint holds all experts of a layer in one tensor, as the model does,
                and not one by one.
        """
        name, module = site.module_name, site.module
        if site.expert is None:
            has_bias = getattr(module, "bias", None) is not None
            axis = 1 if hasattr(module, "nf") else 0
            return Linear(f"{name}.weight", f"{name}.bias", has_bias, axis, site.columns)
        down = site.hookpoint in ("mlp.down_in", "mlp.down")
        if not merged:
            name += f".{'down' if down else site.hookpoint.removeprefix('mlp.')}_proj"
            return Linear(f"{name}.weight", f"{name}.bias", False, 0)
        experts: Any = site.expert.module
        path, _, number = name.rpartition(".")
        name = f"{path}.{'down' if down else 'gate_up'}_proj"
        axis = int(experts.is_transposed)
        return Linear(name, f"{name}_bias", experts.has_bias, axis, site.columns, int(number))

    def written(self, neurons: NDArray[np.int32], scale: Floats, shift: Floats) -> Iterator[Edit]:
        """Its outputs times `scale`, plus `shift`, each [neuron]."""
        index = np.asarray(neurons if self.columns is None else self.columns[neurons], np.int64)
        yield Edit(self.weight, index, scale, axis=self.axis, expert=self.expert)
        if shift.any() or self.has_bias:
            yield Edit(self.bias, index, scale, shift, expert=self.expert)


def edits_of(
    hookpoints: ModelHookpoints,
    writes: Mapping[Place, Write],
    dtype: torch.dtype,
    *,
    merged: bool = False,
) -> list[Edit]:
    """The changes that together are `writes`, in the order in which they are made.

    Args:
        dtype: that the weights are stored in.
        merged: as for `Linear.of`.

    Raises:
        BakingError: a write that no weights can do.
    """
    edits: list[Edit] = []
    for layer in hookpoints.layer_names:
        of_layer = {at: write for (at, name), write in writes.items() if name == layer}
        edits += _of_layer(hookpoints, layer, of_layer, dtype, merged)
    return edits


def _of_layer(
    hookpoints: ModelHookpoints,
    layer: str,
    writes: Mapping[str, Write],
    dtype: torch.dtype,
    merged: bool,
) -> Iterator[Edit]:
    def linear(hookpoint: str) -> Linear:
        return Linear.of(hookpoints.site(hookpoint, layer), merged)

    for hookpoint, write in writes.items():
        if hookpoint not in (*_INSIDE, "mlp.down"):
            yield from linear(hookpoint).written(write.indices, *_factors(write))
    if set(writes) & set(_INSIDE):
        width, down = hookpoints.width("mlp.down_in", layer), linear("mlp.down_in")
        scale, shift = np.ones(width), np.zeros(width)
        if act := writes.get("mlp.act"):
            times, plus = _factors(act)
            if hookpoints.has("mlp.gate", layer):
                constant, times[constant] = yield from _constant(
                    linear("mlp.gate"), hookpoints.site("mlp.act", layer), act, dtype
                )
                plus[:] = 0
            scale[act.indices], shift[act.indices] = times, plus
        if into := writes.get("mlp.down_in"):
            times, plus = _factors(into)
            scale[into.indices] *= times
            shift[into.indices] = times * shift[into.indices] + plus
        axis, expert = 1 - down.axis, down.expert
        if (added := np.flatnonzero(shift)).size:
            yield Edit(down.bias, added, scale[added], shift[added], axis, down.weight, expert)
        if (changed := np.flatnonzero(scale != 1)).size:
            yield Edit(down.weight, changed, scale[changed], axis=axis, expert=expert)
    if out := writes.get("mlp.down"):
        yield from linear("mlp.down").written(out.indices, *_factors(out))


def _factors(write: Write) -> tuple[Floats, Floats]:
    """a and b of h -> a h + b, each [neuron]."""
    operands = write.operands.astype(np.float64)
    scale = np.select(
        [write.operations == "set", write.operations == "scale"], [0.0, operands], 1.0
    )
    return scale, np.where(write.operations == "scale", 0.0, operands)


def _constant(
    gate: Linear, act: Site, write: Write, dtype: torch.dtype
) -> Generator[Edit, None, tuple[NDArray[np.bool_], Floats]]:
    """The gate of neurons whose activation is set to a number that is not 0; returns which these
    are, and what their columns of the down projection are multiplied by, in place of the number."""
    if (write.operations == "add").any():
        raise BakingError(
            f"adding at mlp.act of layer {act.layer} cannot be written into weights: mlp.up "
            "multiplies the sum, so that what is added differs from token to token. Use a mask at "
            "mlp.down_in, or a condition that sets or scales"
        )
    chosen = (write.operations == "set") & (write.operands != 0)
    if not chosen.any():
        return chosen, np.zeros(0)
    try:
        reached = float(act.module(torch.tensor([_GATE], dtype=dtype)))
    except Exception:
        reached = 0.0
    if not np.isfinite(reached) or reached == 0:
        raise BakingError(
            f"{act} has no value that its gate can be set to ({type(act.module).__name__}), so "
            "that a number at mlp.act cannot be written into weights; use zero, a scale, or "
            "mlp.down_in"
        )
    count = int(chosen.sum())
    yield from gate.written(write.indices[chosen], np.zeros(count), np.full(count, _GATE))
    return chosen, write.operands[chosen].astype(np.float64) / reached
