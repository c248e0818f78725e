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

import numpy as np
import torch
from numpy.typing import NDArray

from lsn_eval.conditions import Write
from lsn_eval.errors import BakingError
from lsn_eval.models.experts import Point
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
    """

    tensor: str
    index: NDArray[np.int64]
    scale: Floats
    shift: Floats | None = None
    axis: int = 0
    through: str | None = None

    def apply(self, values: torch.Tensor, read: Read) -> torch.Tensor:
        """`values` in float64, changed in place."""
        index, scale = torch.as_tensor(self.index), torch.as_tensor(self.scale)
        if self.through is not None:
            weight = read(self.through).index_select(self.axis, index).double()
            weight = weight if self.axis == 1 else weight.T
            return values.add_(weight @ torch.as_tensor(self.shift))
        shape = [-1 if axis == self.axis else 1 for axis in range(values.ndim)]
        scale = scale.view(shape)
        # Not a product where it is set: 0 times an infinity is none.
        kept = torch.where(scale == 0, 0.0, values.index_select(self.axis, index) * scale)
        if self.shift is not None:
            kept += torch.as_tensor(self.shift).view(shape)
        return values.index_copy_(self.axis, index, kept)


def edits_of(
    hookpoints: ModelHookpoints, writes: Mapping[Place, Write], dtype: torch.dtype
) -> list[Edit]:
    """The changes that together are `writes`, in the order in which they are made.

    Args:
        dtype: that the weights are stored in.

    Raises:
        BakingError: a write that no weights can do.
    """
    edits: list[Edit] = []
    for layer in hookpoints.layer_names:
        of_layer = {at: write for (at, name), write in writes.items() if name == layer}
        edits += _of_layer(hookpoints, layer, of_layer, dtype)
    return edits


def _of_layer(
    hookpoints: ModelHookpoints, layer: str, writes: Mapping[str, Write], dtype: torch.dtype
) -> Iterator[Edit]:
    for hookpoint, write in writes.items():
        if hookpoint not in (*_INSIDE, "mlp.down"):
            yield from _outputs(hookpoints.site(hookpoint, layer), write.indices, *_factors(write))
    if set(writes) & set(_INSIDE):
        down = hookpoints.site("mlp.down_in", layer)
        scale, shift = np.ones(down.width), np.zeros(down.width)
        if act := writes.get("mlp.act"):
            times, plus = _factors(act)
            if hookpoints.has("mlp.gate", layer):
                times[plus != 0] = yield from _constant(hookpoints, layer, act, dtype)
                plus[:] = 0
            scale[act.indices], shift[act.indices] = times, plus
        if into := writes.get("mlp.down_in"):
            times, plus = _factors(into)
            scale[into.indices] *= times
            shift[into.indices] = times * shift[into.indices] + plus
        weight, axis = _weight(down), 1 - _axis(down)
        if (added := np.flatnonzero(shift)).size:
            bias = f"{down.module_name}.bias"
            yield Edit(bias, added, scale[added], shift[added], axis, through=weight)
        if (changed := np.flatnonzero(scale != 1)).size:
            yield Edit(weight, changed, scale[changed], axis=axis)
    if out := writes.get("mlp.down"):
        yield from _outputs(hookpoints.site("mlp.down", layer), out.indices, *_factors(out))


def _factors(write: Write) -> tuple[Floats, Floats]:
    """a and b of h -> a h + b, each [neuron]."""
    operands = write.operands.astype(np.float64)
    scale = np.select(
        [write.operations == "set", write.operations == "scale"], [0.0, operands], 1.0
    )
    return scale, np.where(write.operations == "scale", 0.0, operands)


def _outputs(
    site: Site, indices: NDArray[np.int32], scale: Floats, shift: Floats
) -> Iterator[Edit]:
    """Outputs of a linear layer, or of its part."""
    columns = None if isinstance(site.module, Point) else site.columns
    index = np.asarray(indices if columns is None else columns[indices], np.int64)
    yield Edit(_weight(site), index, scale, axis=_axis(site))
    if shift.any() or getattr(site.module, "bias", None) is not None:
        yield Edit(f"{site.module_name}.bias", index, scale, shift)


def _constant(
    hookpoints: ModelHookpoints, layer: str, write: Write, dtype: torch.dtype
) -> Generator[Edit, None, Floats]:
    """The gate of neurons whose activation is set to a number that is not 0; returns what their
    columns of the down projection are multiplied by, in place of the number."""
    if (write.operations == "add").any():
        raise BakingError(
            f"adding at mlp.act of layer {layer} cannot be written into weights: mlp.up "
            "multiplies the sum, so that what is added differs from token to token. Use a mask at "
            "mlp.down_in, or a condition that sets or scales"
        )
    chosen = (write.operations == "set") & (write.operands != 0)
    if not chosen.any():
        return np.zeros(0)
    gate, act = hookpoints.site("mlp.gate", layer), hookpoints.site("mlp.act", layer)
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
    yield from _outputs(gate, write.indices[chosen], np.zeros(count), np.full(count, _GATE))
    return write.operands[chosen].astype(np.float64) / reached


def _weight(site: Site) -> str:
    """Of one expert of a layer it is the name that checkpoints have, which keep them apart."""
    if isinstance(site.module, Point):
        of = "down" if site.hookpoint == "mlp.down_in" else site.hookpoint.removeprefix("mlp.")
        return f"{site.module_name}.{of}_proj.weight"
    return f"{site.module_name}.weight"


def _axis(site: Site) -> int:
    """Of a linear layer's weight: where its outputs are. GPT-2's `Conv1D` has them last."""
    return 1 if hasattr(site.module, "nf") else 0
