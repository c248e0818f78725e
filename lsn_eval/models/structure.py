"""A row for a model type that has none, by what its tensors do: module names are not looked at.

A few random tokens are run through the loaded model:

- The MLP of a layer is the one linear layer whose input equals, element for element, what an
  activation module put out, or that times what a linear layer put out. There has to be one in every
  layer, each module of it called once, and nothing unexplained beside it: no tensor or linear layer
  that may be an expert's.
- Neurons that are set to zero at every activation have to arrive as zeros at its down projection.
- Attention is found by `lsn_eval.models.attention_tracing`, or left out.

Anything else is refused with the candidates. The result is a row like those in
`lsn_eval.models.families`, and held against the model's shapes like them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from lsn_eval.errors import HookpointError
from lsn_eval.models.attention_tracing import cut_at_linears, with_attention
from lsn_eval.models.families import Family, Linear, Part, Stack, path_of, shape_of
from lsn_eval.models.probing import (
    DECODER_TOKENS,
    TOKENS,
    outside_linears,
    random_tokens,
    run,
    undisturbed,
)

_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}
_HALF_TOLERANCE = 1e-2
"""Relative, for what has to be the same number."""

_PLACE = re.compile(r"(?P<layers>.*?)\.(?P<number>\d+)\.(?P<path>.+)")
"""The outermost number in a module's name is its layer's."""


class Layer(NamedTuple):
    """The path of a list of layers and a number in it."""

    layers: str
    number: int

    def __str__(self) -> str:
        return f"{self.layers}.{self.number}"


class Call(NamedTuple):
    """What one call of a module took first and put out."""

    path: str
    """From its layer."""
    module: nn.Module
    taken: torch.Tensor
    put_out: torch.Tensor


class MLP(NamedTuple):
    """A candidate: paths from its layer."""

    act: str
    gate: Linear | None
    up: Linear
    down: str

    def __str__(self) -> str:
        return f"{self.act} -> {self.down}"


@dataclass
class Seen:
    """One pass: calls of every layer's modules in order, and how often each was called."""

    calls: dict[Layer, list[Call]] = field(default_factory=lambda: defaultdict(list))
    count: Counter[tuple[Layer, str]] = field(default_factory=Counter)

    def linears(self, layer: Layer) -> list[Call]:
        return [call for call in self.calls[layer] if shape_of(call.module)]


def family_of(model: nn.Module) -> Family:
    """The row that fits this model.

    Raises:
        HookpointError: there is none, or more than one; the message says what was found.
    """
    with undisturbed(model):
        given = random_tokens(model)
        seen = _observed(model, given)
        found = _one_each(seen)
        for layer, mlp in found.items():
            _check_explained(model.get_submodule(str(layer)), seen, layer, mlp)
        stacks = _stacks(model, seen, found)
        _check_writes(model, given, found)
        _check_alone(model, given, found)
        return with_attention(model, given, stacks)


def _observed(model: nn.Module, given: Mapping[str, torch.Tensor]) -> Seen:
    seen = Seen()
    with ExitStack() as hooks, torch.no_grad():
        for name, module in outside_linears(model):
            if not (place := _PLACE.fullmatch(name)):
                continue
            layer, path = Layer(place["layers"], int(place["number"])), place["path"]

            def keep(of: nn.Module, args: Any, output: Any, at: Any = (layer, path)) -> None:
                seen.count[at] += 1
                taken = args[0] if args else None
                if not (isinstance(taken, torch.Tensor) and isinstance(output, torch.Tensor)):
                    return
                if shape_of(of) or output.shape == taken.shape:
                    seen.calls[at[0]].append(Call(at[1], of, taken.clone(), output.clone()))

            hooks.callback(module.register_forward_hook(keep).remove)
        run(model, given)
    return seen


# The MLP of a layer ---------------------------------------------------------------------------


def _one_each(seen: Seen) -> dict[Layer, MLP]:
    """The MLP of every layer that ran and has linear layers."""
    found = {layer: _candidates(seen, layer) for layer in seen.calls if seen.linears(layer)}
    if not any(found.values()):
        raise HookpointError(
            "in none of its layers is the input of a linear layer what an activation module put "
            "out, alone or times the output of another linear layer"
        )
    for layer, mlps in found.items():
        if len(mlps) != 1:
            candidates = f": {'; '.join(map(str, mlps))}" if mlps else ""
            found_so_many = f"{len(mlps)} MLPs" if mlps else "no MLP"
            raise HookpointError(f"{layer} has {found_so_many}; one was expected{candidates}")
    return {layer: mlps[0] for layer, mlps in found.items()}


def _candidates(seen: Seen, layer: Layer) -> list[MLP]:
    linears = seen.linears(layer)
    acts = [call for call in seen.calls[layer] if not shape_of(call.module)]
    found: list[MLP] = []
    for act, down in product(acts, linears):
        if act.put_out.shape != down.taken.shape or not _varies(down.taken):
            continue
        parts = list(_parts(linears, act.put_out))
        # What the activation takes may be scaled by a constant of the config.
        first = [part for part, value in parts if _proportional(value, act.taken)]
        times = [part for part, value in parts if _close(act.put_out * value, down.taken)]
        alone = _close(act.put_out, down.taken)
        if not (first and (times or alone) and _is_activation(act)):
            continue
        found += [MLP(act.path, gate, up, down.path) for gate, up in product(first, times)]
        found += [MLP(act.path, None, up, down.path) for up in first if alone]
    return list(dict.fromkeys(found))


def _parts(linears: list[Call], like: torch.Tensor) -> Iterator[tuple[Linear, torch.Tensor]]:
    """Outputs of linear layers, and halves of outputs, that have a shape."""
    for call in linears:
        if call.put_out.shape == like.shape:
            yield call.path, call.put_out
        elif call.put_out.shape == (*like.shape[:-1], 2 * like.shape[-1]):
            for index, half in enumerate(call.put_out.chunk(2, -1)):
                yield Part(call.path, index, of=2), half


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    tolerance = _TOLERANCE.get(one.dtype, _HALF_TOLERANCE)
    one, other = one.float(), other.float()
    return torch.allclose(one, other, tolerance, tolerance * float(other.abs().mean()))


def _proportional(one: torch.Tensor, other: torch.Tensor) -> bool:
    largest = one.abs().argmax()
    factor = float(other.flatten()[largest]) / (float(one.flatten()[largest]) or 1.0)
    return factor != 0 and _close(one * factor, other)


def _varies(values: torch.Tensor) -> bool:
    """Whether positions differ: what is equal everywhere agrees with anything."""
    rows = values.flatten(0, -2).float()
    return bool((rows - rows[:1]).abs().max() > 1e-3 * rows.abs().max())


def _is_activation(act: Call) -> bool:
    """Whether the module is a function of each element by itself, and no straight line."""
    order = torch.randperm(act.taken.numel()).to(act.taken.device)

    def shuffled(values: torch.Tensor) -> torch.Tensor:
        return values.flatten()[order].view_as(values)

    one = torch.randn_like(act.taken) * 3
    other = shuffled(one)
    try:
        with torch.no_grad():
            of_one, of_other, between = map(
                act.module, (one.clone(), other.clone(), (one + other) / 2)
            )
    except Exception:  # no module that takes any tensor
        return False
    return _close(of_other, shuffled(of_one)) and not _close(between, (of_one + of_other) / 2)


def _check_explained(inside: nn.Module, seen: Seen, layer: Layer, mlp: MLP) -> None:
    """Raise if a site runs more than once, or the layer has what may belong to experts."""
    linears = {path_of(of) for of in (mlp.gate, mlp.up, mlp.down) if of}
    for path in (mlp.act, *sorted(linears)):
        if (times := seen.count[layer, path]) != 1:
            raise HookpointError(f"{layer}.{path} is called {times} times in one pass")
    takes, _ = shape_of(inside.get_submodule(path_of(mlp.up))) or (0, 0)
    _, gives = shape_of(inside.get_submodule(mlp.down)) or (0, 0)
    if takes != gives:
        raise HookpointError(
            f"{layer}.{path_of(mlp.up)} takes {takes} values and {mlp.down} gives {gives}; as many "
            "were expected. Is the down projection made of several linear layers?"
        )
    shapes = {shape_of(inside.get_submodule(path)) for path in linears}
    tokens = {call.path: call.taken[..., 0].numel() for call in seen.linears(layer)}
    for path, module in outside_linears(inside):
        if shape_of(module):
            if path not in tokens and shape_of(module) in shapes:
                raise HookpointError(f"{layer}.{path} did not run: is it one of many experts?")
            if tokens.get(path, TOKENS) not in (TOKENS, DECODER_TOKENS, tokens[mlp.down]):
                raise HookpointError(
                    f"{layer}.{path} was given {tokens[path]} tokens and {mlp.down} "
                    f"{tokens[mlp.down]}: does it see some tokens alone, as an expert does?"
                )
        elif not isinstance(module, (nn.Embedding, nn.modules.conv._ConvNd)):
            large = np.prod(shape_of(inside.get_submodule(mlp.down)) or 0)
            for name, of in module.named_parameters(recurse=False):
                if of.ndim > 2 or of.numel() >= large:
                    raise HookpointError(
                        f"{layer}.{path}.{name} {list(of.shape)} is a weight of no linear layer: "
                        "are there experts in it?"
                    )


# All layers -----------------------------------------------------------------------------------


def _stacks(model: nn.Module, seen: Seen, found: Mapping[Layer, MLP]) -> list[Stack]:
    """One row for each list of layers; all layers of a list have to be alike."""
    lists: dict[str, list[MLP]] = defaultdict(list)
    for layer in sorted(found):
        lists[layer.layers].append(found[layer])
    stacks: dict[int, Stack] = {}
    for path, mlps in lists.items():
        if len(set(mlps)) > 1:
            raise HookpointError(
                f"layers of {path} are not alike: {', '.join(map(str, dict.fromkeys(mlps)))}"
            )
        if (there := len(list(model.get_submodule(path).children()))) != len(mlps):
            raise HookpointError(f"{path} has {there} layers, of which {len(mlps)} have an MLP")
        up = path_of(mlps[0].up)
        taken = [
            next(call.taken for call in seen.calls[layer] if call.path == up)
            for layer in found
            if layer.layers == path
        ]
        if any(one.shape == taken[0].shape and one.equal(taken[0]) for one in taken[1:]):
            raise HookpointError(
                f"modules of {path} take the same values, and layers were expected, one of which "
                "takes what another gives: are they experts?"
            )
        downs = (call for call in seen.calls[Layer(path, 0)] if call.path == mlps[0].down)
        tokens = next(downs).taken[..., 0].numel()
        stacks[tokens] = Stack(layers=(path,), **mlps[0]._asdict(), attention=None)
    if len(lists) == 1:
        return [*stacks.values()]
    if {*stacks} != {TOKENS, DECODER_TOKENS} or len(lists) != 2:
        raise HookpointError(f"lists of layers with MLPs are {', '.join(lists)}: which is which?")
    return [replace(stacks[TOKENS], name="encoder"), stacks[DECODER_TOKENS]]


def _check_writes(
    model: nn.Module, given: Mapping[str, torch.Tensor], found: Mapping[Layer, MLP]
) -> None:
    """Set every other neuron to zero at every activation, and see that at the down projections."""
    arrived: set[Layer] = set()
    with ExitStack() as hooks, torch.no_grad():
        for layer, mlp in found.items():

            def write(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
                return output * (torch.arange(output.shape[-1], device=output.device) % 2)

            def look(module: nn.Module, args: tuple[torch.Tensor, ...], at: Any = layer) -> None:
                if args[0][..., 1::2].any() and not args[0][..., ::2].any():
                    arrived.add(at)

            inside = model.get_submodule(str(layer))
            act, down = inside.get_submodule(mlp.act), inside.get_submodule(mlp.down)
            hooks.callback(act.register_forward_hook(write).remove)
            hooks.callback(down.register_forward_pre_hook(look).remove)
        run(model, given)
    for layer, mlp in found.items():
        if layer not in arrived:
            message = f"what is written to {layer}.{mlp.act} does not arrive at {mlp.down}"
            raise HookpointError(message)


def _check_alone(
    model: nn.Module, given: Mapping[str, torch.Tensor], found: Mapping[Layer, MLP]
) -> None:
    """Raise if a layer has another MLP, whose activation is no module of its own."""
    layers = {model.get_submodule(str(layer)): layer for layer in found}
    for inside, graph in cut_at_linears(model, given, [*layers]).items():
        layer, mlp = layers[inside], found[layers[inside]]
        leaves, attended = [*graph.leaves.values()], [call.result for call in graph.attended]
        width = graph.leaves[mlp.down].shape[-1]
        for path, taken in graph.taken.items():
            like = path != mlp.down and graph.leaves[path].shape[-1] == width
            if like and _is_bent(taken, leaves, attended):
                raise HookpointError(
                    f"{layer}.{path} is given a function of each output of another linear layer, "
                    f"as a down projection is, beside {mlp}: which is the MLP?"
                )


def _is_bent(taken: torch.Tensor, leaves: list[torch.Tensor], attended: list[torch.Tensor]) -> bool:
    """Whether each element of `taken` is a function of one or two elements of the leaves, at its
    own position, and no straight line; and of nothing that was attended."""
    if not taken.requires_grad:
        return False
    last = taken.flatten(0, -2)[-1]

    def gradients(of: torch.Tensor, by: list[torch.Tensor]) -> list[torch.Tensor]:
        found = torch.autograd.grad(of, by, retain_graph=True, allow_unused=True) if by else ()
        return [one for one in found if one is not None and one.any()]

    alone = gradients(last[last.abs().argmax()], leaves)
    # Two, where gate and up are one linear layer.
    if gradients(last.sum(), attended) or any(int((of != 0).sum()) > 2 for of in alone):
        return False
    slopes = [of[of != 0] for of in gradients(last.sum(), leaves)]
    if len(slopes) == 1:
        like = [of for of in leaves if of.shape == taken.shape and gradients(last.sum(), [of])]
        if like and not _is_function(taken.detach(), like[0].detach()):
            return False
    return any(not _close(of, of[:1].expand_as(of)) for of in slopes)


def _is_function(taken: torch.Tensor, of: torch.Tensor) -> bool:
    """Whether the same function of each element, and of nothing else, as an embedding: in the order
    of the elements it goes up and down a few times, and anything else with every element."""
    ordered = taken.flatten()[of.flatten().argsort()].float()
    return bool(ordered.diff().abs().mean() < 0.3 * ordered.std())
