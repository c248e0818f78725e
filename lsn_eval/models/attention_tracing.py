"""The linear layers of attention, by gradients alone: which outputs move query, key and value.

In one pass every linear layer's output is cut off from what came before it, so that a gradient of
an argument of transformers' attention function ends at the linear layers that make it, at their
very columns; and the result is cut off, so that what takes it is the output projection. No gradient
is taken of a parameter. Wherever more or less than one layer is reached, or layers of a list
differ, attention is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import nn

from lsn_eval.errors import HookpointError
from lsn_eval.models.families import Attention, Family, Linear, Part, Stack, path_of, shape_of
from lsn_eval.models.probing import outside_linears, run


class Attended(NamedTuple):
    """One call of the attention function."""

    arguments: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    """Query, key and value."""
    result: torch.Tensor


@dataclass
class Graph:
    """What the pass left of one layer: by path from it, what linear layers took, and put out as a
    leaf of the graph."""

    taken: dict[str, torch.Tensor] = field(default_factory=dict)
    leaves: dict[str, torch.Tensor] = field(default_factory=dict)
    attended: list[Attended] = field(default_factory=list)
    repeated: bool = False
    """Whether a linear layer ran more than once."""


def with_attention(
    model: nn.Module, given: Mapping[str, torch.Tensor], stacks: list[Stack]
) -> Family:
    """The rows with their attention, where it is beyond doubt."""
    layers = {stack: list(model.get_submodule(stack.layers[0]).children()) for stack in stacks}
    config = model.config.get_text_config()  # type: ignore[union-attr,operator]
    heads = int(getattr(config, "num_attention_heads", 1))
    try:
        graphs = cut_at_linears(model, given, [layer for of in layers.values() for layer in of])
        return tuple(
            _attending(stack, {layer: graphs[layer] for layer in of}, heads)
            for stack, of in layers.items()
        )
    except Exception:  # of autograd, in a model that was not made for it
        return tuple(stacks)


def cut_at_linears(
    model: nn.Module, given: Mapping[str, torch.Tensor], layers: list[nn.Module]
) -> dict[nn.Module, Graph]:
    """One pass, in which the outputs of every linear layer of these layers are leaves."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS as FUNCTIONS

    graphs = {layer: Graph() for layer in layers}
    of_module = {module: graphs[layer] for layer in layers for module in layer.modules()}

    def interface(*args: Any, **kwargs: Any) -> Any:
        function = type(FUNCTIONS).get_interface(FUNCTIONS, *args, **kwargs)

        def attend(module: nn.Module, q: Any, k: Any, v: Any, *more: Any, **named: Any) -> Any:
            with torch.no_grad():
                result, *rest = function(module, q, k, v, *more, **named)
            result.requires_grad_()
            if module in of_module:
                of_module[module].attended.append(Attended((q, k, v), result))
            return result.clone(), *rest

        return attend

    with ExitStack() as hooks, torch.enable_grad():
        for layer, graph in graphs.items():
            for path, module in outside_linears(layer):
                if not shape_of(module):
                    continue

                def cut(
                    module: nn.Module, args: Any, output: Any, at: Any = (graph, path)
                ) -> torch.Tensor:
                    graph, path = at
                    graph.repeated |= path in graph.leaves
                    graph.taken[path] = args[0]
                    leaf = graph.leaves[path] = output.detach().requires_grad_()
                    return leaf.clone()

                hooks.callback(module.register_forward_hook(cut).remove)
        vars(FUNCTIONS)["get_interface"] = interface
        hooks.callback(vars(FUNCTIONS).pop, "get_interface")
        run(model, given)
    return graphs


def _attending(stack: Stack, graphs: Mapping[nn.Module, Graph], heads: int) -> Stack:
    """The row with the attention that all its layers have in common; without, if they differ."""
    kinds: set[tuple[Attention, Attention | None]] = set()
    without = []
    for layer, graph in graphs.items():
        if not graph.attended:
            without.append(layer)
            continue
        found = [_one(graph, call, heads) for call in graph.attended]
        own, cross = ([of for of in found if of and of[0] is crosses] for crosses in (False, True))
        if graph.repeated or len(own) != 1 or len(cross) > 1 or len(own + cross) < len(found):
            return stack
        kinds.add((own[0][1], cross[0][1] if cross else None))
    if len(kinds) != 1:
        return stack
    ((attention, crossing),) = kinds
    paths = {path_of(getattr(attention, of)) for of in "qkvo"}
    if any(path in paths for layer in without for path, _ in layer.named_modules()):
        return stack
    sometimes = tuple(f"attn.{of}" for of in "qkvo") if without else ()
    return replace(stack, attention=attention, cross=crossing, sometimes=sometimes)


def _one(graph: Graph, call: Attended, heads: int) -> tuple[bool, Attention] | None:
    """Whether it attends to tokens of another stack, and its linear layers."""
    outs = [
        path
        for path, taken in graph.taken.items()
        if taken.numel() == call.result.numel() and _reached(taken, {path: call.result})
    ]
    reached = [_reached(of, graph.leaves) for of in call.arguments]
    if len(outs) != 1 or any(len(columns) != 1 for columns in reached):
        return None
    attended = graph.taken[outs[0]].shape[-1]
    linears: list[Linear] = []
    tokens: list[int] = []
    for path, columns in (item for of in reached for item in of.items()):
        leaf = graph.leaves[path]
        linears += _linears(path, columns, leaf.shape[-1], attended, heads)
        tokens.append(leaf[..., 0].numel())
    if len(set(linears)) != 3 or len(linears) != 3:
        return None
    q, k, v = linears
    return tokens[0] != tokens[1], Attention(q, k, v, outs[0])


def _reached(of: torch.Tensor, leaves: Mapping[str, torch.Tensor]) -> dict[str, list[int]]:
    """Columns of the leaves that move a tensor, of each leaf that does."""
    if not of.requires_grad:
        return {}
    gradients = torch.autograd.grad(
        of, [*leaves.values()], torch.randn_like(of), retain_graph=True, allow_unused=True
    )
    moved = {
        path: (gradient.flatten(0, -2) != 0).any(0).nonzero().flatten().tolist()
        for path, gradient in zip(leaves, gradients, strict=True)
        if gradient is not None
    }
    return {path: columns for path, columns in moved.items() if columns}


def _linears(
    path: str, columns: list[int], width: int, attended: int, heads: int
) -> Iterator[Linear]:
    """The whole of a linear layer, or the part of it that these columns are, if there is one."""
    if len(columns) == width:
        yield path
        return
    for of, layout, index in product((3, 2), ("block", "head"), range(3)):
        part = Part(path, index, of=of, layout=layout)  # type: ignore[arg-type]
        try:
            if index < of and sorted(part.columns(width, attended, heads)) == columns:
                yield part
                return
        except HookpointError:  # it does not split like that
            continue
