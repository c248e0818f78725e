"""`--prune`: neurons that no longer reach the down projection are left out of an MLP.

A config has one width for all layers, and at most others for encoders and experts. The new one is
that of the layer that keeps most, rounded up; the others are filled up with zeros, which is exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lsn_eval.baking.biases import with_settings
from lsn_eval.baking.edits import Edit, Linear, Read
from lsn_eval.errors import BakingError
from lsn_eval.models.hookpoints import ModelHookpoints
from lsn_eval.models.loading import empty_of
from lsn_eval.models.resolving import resolve
from lsn_eval.wording.lists import listed

ALIGN = 8
"""Neurons that a width is a multiple of: 16 bytes in bfloat16, as matrix units of GPUs read."""
_WIDTH = re.compile("inner|inter|ffn")
"""In names of settings that may be None for a width that follows from another."""


@dataclass(frozen=True, eq=False)
class Selection:
    """What a tensor keeps along `axis`: positions [n] of the original, -1 for zeros; [expert, n]
    where it holds all experts of a layer."""

    axis: int
    positions: NDArray[np.int64]

    def apply(self, values: torch.Tensor, read: Read) -> torch.Tensor:
        if self.positions.ndim == 2:
            parts = zip(self.positions, values, strict=True)
            return torch.stack([Selection(self.axis, at).apply(part, read) for at, part in parts])
        at = torch.as_tensor(self.positions)
        selected = values.index_select(self.axis, at.clamp(min=0))
        return selected.index_fill_(self.axis, (at < 0).nonzero().flatten(), 0)


@dataclass(frozen=True, eq=False)
class Pruning:
    """What is left out of a model."""

    settings: Mapping[str, Any]
    """Of its config, with their new values."""
    selections: Mapping[str, Selection]
    """By tensor."""
    removed: int
    """Neurons of all layers."""


def pruning_of(config: Any, edits: Sequence[Edit], *, merged: bool, align: int) -> Pruning:
    """The narrowest model of this type that does what `edits` do.

    Args:
        merged: as for `Linear.of`.
        align: what every width is to be a multiple of.

    Raises:
        BakingError: every neuron has an effect, or no setting makes the model narrower.
    """
    if align < 1:
        raise BakingError(f"--align {align}: a number of neurons of 1 or more was expected")
    found = resolve(empty_of(config))
    kept = _kept(found, edits, merged)
    widths = {layer: found.width("mlp.down_in", layer) for layer in kept}
    if all(len(kept[layer]) == widths[layer] for layer in kept):
        raise BakingError(
            "--prune: under this condition no neuron is without effect, so that none can be "
            "removed: zero at mlp.act or mlp.down_in makes some. Leave --prune out"
        )
    settings: dict[str, Any] = {}
    full: list[str] = []
    for name, value, layers in _settings_of_width(config, found):
        old = value or widths[layers[0]]
        needed = {layer: -(-len(kept[layer]) * old // widths[layer]) for layer in layers}
        most = max(needed, key=needed.__getitem__)
        new = -(-needed[most] // align) * align
        if new < old:
            settings[name] = new
        else:
            full.append(f"{name} stays {old}, since layer {most} keeps {needed[most]} neurons")
    if not settings:
        raise BakingError(
            f"--prune: {listed(full, 3) or f'a {config.model_type!r} model has no width to set'}. "
            "All layers have the width of the one that keeps most neurons, in multiples of "
            f"{align} (--align). Leave --prune out"
        )
    narrow = resolve(empty_of(with_settings(config, settings)))
    selections: dict[str, Selection] = {}
    for layer, neurons in kept.items():
        if (width := narrow.width("mlp.down_in", layer)) == widths[layer]:
            continue
        filled = np.append(neurons, np.full(width - len(neurons), -1))
        axes = (_axes(of, layer, merged) for of in (found, narrow))
        for before, after in zip(*axes, strict=True):
            empty = Selection(after.axis, np.full(after.shape, -1))
            at = selections.setdefault(after.tensor, empty).positions
            at = at if after.expert is None else at[after.expert]
            at[after.columns] = np.where(filled < 0, -1, before.columns[filled])
    removed = sum(widths[layer] - narrow.width("mlp.down_in", layer) for layer in kept)
    return Pruning(settings, selections, removed)


def _kept(
    found: ModelHookpoints, edits: Sequence[Edit], merged: bool
) -> dict[str, NDArray[np.int64]]:
    """Neurons of every layer whose value reaches the down projection."""
    gone = {
        (edit.tensor, edit.axis, edit.expert): edit.index[edit.scale == 0]
        for edit in edits
        if edit.through is None
    }
    kept = {}
    for layer, site in found.at("mlp.down_in").items():
        down = Linear.of(site, merged)
        of_layer = gone.get((down.weight, 1 - down.axis, down.expert), [])
        kept[layer] = np.setdiff1d(np.arange(site.width), of_layer)
    return kept


def _settings_of_width(
    config: Any, found: ModelHookpoints
) -> Iterator[tuple[str, int | None, list[str]]]:
    """Settings of a config that make MLPs narrower and change nothing else, what they are, and
    the layers that they do it to: what one does is seen on a model without weights."""
    before = _shapes(config)
    widths = {layer: site.width for layer, site in found.at("mlp.down_in").items()}
    inside = {axis.tensor for layer in widths for axis in _axes(found, layer, merged=True)}
    for name, value in config.get_text_config().to_dict().items():
        derived = value is None and _WIDTH.search(name)
        if not derived and (type(value) is not int or value not in widths.values()):
            continue
        try:
            other = with_settings(config, {name: (value or min(widths.values())) - 1})
            after, narrow = _shapes(other), resolve(empty_of(other))
        except Exception:  # no such value is possible there
            continue
        changed = {of for of in before | after if before.get(of) != after.get(of)}
        layers = [layer for layer in widths if narrow.width("mlp.down_in", layer) < widths[layer]]
        if layers and changed <= inside:
            yield name, value, layers


def _shapes(config: Any) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in empty_of(config).state_dict().items()}


class _Axis(NamedTuple):
    """Where the neurons of an MLP are in a tensor: at `columns` [neuron] of an axis."""

    tensor: str
    axis: int
    columns: NDArray[np.int64]
    shape: tuple[int, ...]
    """Of the axis, with the experts before it."""
    expert: int | None


def _axes(found: ModelHookpoints, layer: str, merged: bool) -> Iterator[_Axis]:
    for hookpoint in ("mlp.gate", "mlp.up", "mlp.down_in"):
        if not found.has(hookpoint, layer):
            continue
        site = found.site(hookpoint, layer)
        of, inputs = Linear.of(site, merged), hookpoint == "mlp.down_in"
        columns = np.arange(site.width) if of.columns is None else of.columns
        shape: tuple[int, ...] = (site.width if of.columns is None else site.extent,)
        if of.expert is not None and site.expert is not None:
            shape = (int(site.expert.module.num_experts), *shape)  # type: ignore[arg-type]
        yield _Axis(of.weight, abs(int(inputs) - of.axis), columns, shape, of.expert)
        if of.has_bias and not inputs:
            yield _Axis(of.bias, 0, columns, shape, of.expert)
