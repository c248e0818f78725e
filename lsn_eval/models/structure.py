"""A row for a model type that has none, by what its tensors do: module names are not looked at.

A few random tokens are run through the loaded model, three times:

- The MLP of a layer is the one linear layer whose input equals, element for element, what an
  activation module put out, or that times what a linear layer put out. There has to be one in every
  layer, each module of it called once, and nothing unexplained beside it: no tensor or linear layer
  that may be an expert's.
- What is written at every activation has to arrive at its down projection.
- Query, key and value are the outputs of linear layers that reach these arguments of the attention
  function with a gradient; the output projection is what its result reaches. Where that leaves a
  doubt, attention is left out.

Anything else is refused with the candidates. The result is a row like those in
`lsn_eval.models.families`, checked against the model's shapes like them. The model is left as it
was: no gradient is taken of a parameter.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from lsn_eval.errors import HookpointError
from lsn_eval.models.families import Attention, Family, Linear, Part, Stack, path_of, shape_of

ROWS, POSITIONS, DECODER_POSITIONS = 2, 7, 5
_IDS = 1000
"""Tokens are drawn from the first of the vocabulary."""
_KEPT_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}
_HALF_TOLERANCE = 1e-2

_PLACE = re.compile(r"(?P<stack>.*?)\.(?P<number>\d+)\.(?P<path>.+)")


class Layer(NamedTuple):
    """The path of a list of layers and a number in it."""

    stack: str
    number: int


class Call(NamedTuple):
    """What one call of a module took first and put out."""

    path: str
    """From its layer."""
    module: nn.Module
    taken: torch.Tensor
    put_out: torch.Tensor


class MLP(NamedTuple):
    """One candidate: paths from its layer."""

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
    with _undisturbed(model):
        given = _tokens(model)
        seen = _observed(model, given)
        found = _one_each(model, seen)
        for layer, mlp in found.items():
            _check_explained(model, seen, layer, mlp)
        stacks = _stacks(model, seen, found)
        _check_writes(model, given, found)
        return _with_attention(model, given, stacks)


# The probe ------------------------------------------------------------------------------------


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """In evaluation mode, with random numbers put back; an error if running the model changes it."""

    def state() -> dict[str, Any]:
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        marks: dict[str, Any] = {name: (id(of), of._version) for name, of in tensors.items()}
        return marks | {f"{name}()": id(module) for name, module in model.named_modules()}

    if any(of.is_meta for of in model.parameters()) and not hasattr(model, "hf_device_map"):
        raise HookpointError("its weights are not loaded, and a type without a row has to be run")
    before, modes = state(), [(module, module.training) for module in model.modules()]
    devices = {of.device for of in model.parameters() if of.device.type == "cuda"}
    model.eval()
    try:
        with torch.random.fork_rng([*devices]):
            yield
    finally:
        for module, training in modes:
            module.training = training
    if changed := [name for name, mark in state().items() if before.get(name) != mark]:
        raise HookpointError(f"running it changes its own {', '.join(changed[:3])}")


def _tokens(model: Any) -> dict[str, torch.Tensor]:
    """Random tokens [row, position], none with a meaning of its own."""
    config = model.config.get_text_config()
    special = {
        value
        for of in (model.config, config)
        for name, value in of.to_dict().items()
        if name.endswith(("_id", "_index")) and isinstance(value, int)
    }
    device = next(of.device for of in model.parameters() if not of.is_meta)
    usual = [token for token in range(min(config.vocab_size, _IDS)) if token not in special]
    generator = torch.Generator().manual_seed(0)

    def drawn(positions: int) -> torch.Tensor:
        places = torch.randint(len(usual), (ROWS, positions), generator=generator)
        return torch.tensor(usual)[places].to(device)

    given = {"input_ids": drawn(POSITIONS)}
    if getattr(model.config, "is_encoder_decoder", False):
        given["decoder_input_ids"] = drawn(DECODER_POSITIONS)
    return given


def _run(model: nn.Module, given: Mapping[str, torch.Tensor]) -> None:
    try:
        model(**given)
    except Exception as error:  # whatever the code of an unknown type raises
        reason = " ".join(str(error).split())[:200]
        message = f"it does not run on tokens alone ({type(error).__name__}: {reason})"
        raise HookpointError(message) from error


def _in_layers(model: nn.Module) -> Iterator[tuple[Layer, str, nn.Module]]:
    """Every module inside of a numbered one: the outermost number is the layer's."""
    for name, module in model.named_modules():
        if place := _PLACE.fullmatch(name):
            yield Layer(place["stack"], int(place["number"])), place["path"], module


def _observed(model: nn.Module, given: Mapping[str, torch.Tensor]) -> Seen:
    seen = Seen()
    with ExitStack() as hooks, torch.no_grad():
        for layer, path, module in _in_layers(model):

            def keep(module: nn.Module, args: Any, output: Any, at=layer, path=path) -> None:  # type: ignore[no-untyped-def]
                seen.count[at, path] += 1
                if not (args and isinstance(args[0], torch.Tensor)):
                    return
                if isinstance(output, torch.Tensor) and output.is_floating_point():
                    if shape_of(module) or output.shape == args[0].shape:
                        call = Call(path, module, args[0].clone(), output.clone())
                        seen.calls[at].append(call)

            hooks.callback(module.register_forward_hook(keep).remove)
        _run(model, given)
    return seen


# The MLP --------------------------------------------------------------------------------------


def _one_each(model: nn.Module, seen: Seen) -> dict[Layer, MLP]:
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
            where = f"{layer.stack}.{layer.number}"
            raise HookpointError(f"{where} has {len(mlps) or 'no'} MLPs and not one{candidates}")
    return {layer: mlps[0] for layer, mlps in found.items()}


def _candidates(seen: Seen, layer: Layer) -> list[MLP]:
    linears = seen.linears(layer)
    acts = [call for call in seen.calls[layer] if not shape_of(call.module)]
    found = []
    for act, down in product(acts, linears):
        if act.put_out.shape != down.taken.shape or not _varies(down.taken):
            continue
        ups: list[Linear | None] = [None] if _close(act.put_out, down.taken) else []
        ups += [
            up for up, value in _parts(linears, act) if _close(act.put_out * value, down.taken)
        ]
        if not ups or not _is_activation(act):
            continue
        # What the activation takes may be scaled by a constant of the config.
        first = [up for up, value in _parts(linears, act) if _proportional(value, act.taken)]
        for gate, up in product(first, ups):
            found.append(
                MLP(act.path, None if up is None else gate, gate if up is None else up, down.path)
            )
    return list(dict.fromkeys(found))


def _parts(linears: list[Call], like: Call) -> Iterator[tuple[Linear, torch.Tensor]]:
    """Outputs of linear layers, and halves of outputs, that are shaped like an activation's."""
    width = like.put_out.shape[-1]
    for call in linears:
        if call.put_out.shape == like.put_out.shape:
            yield call.path, call.put_out
        elif call.put_out.shape == (*like.put_out.shape[:-1], 2 * width):
            for index, half in enumerate(call.put_out.split(width, -1)):
                yield Part(call.path, index, of=2), half


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    tolerance = _KEPT_TOLERANCE.get(one.dtype, _HALF_TOLERANCE)
    one, other = one.float(), other.float()
    return torch.allclose(one, other, tolerance, tolerance * float(other.abs().mean()))


def _proportional(one: torch.Tensor, other: torch.Tensor) -> bool:
    largest = one.float().abs().argmax()
    factor = float(other.flatten()[largest]) / (float(one.flatten()[largest]) or 1.0)
    return factor != 0 and _close(one * factor, other)


def _varies(values: torch.Tensor) -> bool:
    """Whether positions differ: what is equal everywhere agrees with anything."""
    rows = values.flatten(0, -2).float()
    return bool((rows - rows[:1]).abs().max() > 1e-3 * rows.abs().max())


def _is_activation(act: Call) -> bool:
    """Whether the module is a function of each element by itself, and no straight line."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(act.taken.numel(), generator=generator).to(act.taken.device)

    def shuffled(values: torch.Tensor) -> torch.Tensor:
        return values.flatten()[order].view_as(values)

    other = shuffled(act.taken)
    try:
        with torch.no_grad():
            after, between = act.module(other.clone()), act.module((act.taken + other) / 2)
        return _close(after, shuffled(act.put_out)) and not _close(
            between, (act.put_out + after) / 2
        )
    except Exception:  # no module that takes any tensor
        return False


def _check_explained(model: nn.Module, seen: Seen, layer: Layer, mlp: MLP) -> None:
    """Raise if a site runs more than once, or the layer has what may belong to experts."""
    where = f"{layer.stack}.{layer.number}"
    sites = {mlp.act, mlp.down, path_of(mlp.up), *([path_of(mlp.gate)] if mlp.gate else [])}
    for path in sites:
        if (times := seen.count[layer, path]) != 1:
            raise HookpointError(f"{where}.{path} is called {times} times in one pass")
    inside = model.get_submodule(where)
    rows = {call.path: call.taken[..., 0].numel() for call in seen.linears(layer)}
    shapes = {shape_of(inside.get_submodule(path)) for path in sites - {mlp.act}}
    large = int(np.prod(shape_of(inside.get_submodule(mlp.down)) or ()))
    usual = {ROWS * POSITIONS, ROWS * DECODER_POSITIONS, rows[mlp.down]}
    for path, module in inside.named_modules():
        if shape_of(module):
            if path not in rows and shape_of(module) in shapes:
                raise HookpointError(f"{where}.{path} did not run: is it one of many experts?")
            if path in rows and rows[path] not in usual:
                raise HookpointError(
                    f"{where}.{path} was given {rows[path]} tokens and {mlp.down} "
                    f"{rows[mlp.down]}: does it see some tokens alone, as an expert does?"
                )
        elif not isinstance(module, (nn.Embedding, nn.modules.conv._ConvNd)):
            for name, of in module.named_parameters(recurse=False):
                if of.ndim > 2 or of.numel() >= large:
                    raise HookpointError(
                        f"{where}.{path}.{name} {list(of.shape)} is a weight of no linear layer: "
                        "are there experts in it?"
                    )


def _stacks(model: nn.Module, seen: Seen, found: Mapping[Layer, MLP]) -> list[Stack]:
    """One row for each list of layers; all layers of a list have to be alike."""
    rows: dict[str, list[MLP]] = defaultdict(list)
    for layer in sorted(found):
        rows[layer.stack].append(found[layer])
    stacks = []
    for path, mlps in rows.items():
        if len(set(mlps)) > 1:
            raise HookpointError(
                f"layers of {path} are not alike: {', '.join(map(str, dict.fromkeys(mlps)))}"
            )
        if (there := len(list(model.get_submodule(path).children()))) != len(mlps):
            raise HookpointError(f"{path} has {there} layers, of which {len(mlps)} have an MLP")
        stacks.append(Stack(layers=(path,), **mlps[0]._asdict(), attention=None))
    if len(stacks) == 1:
        return stacks
    by_tokens = {_tokens_at(seen, stack): stack for stack in stacks}
    if len(stacks) != 2 or {*by_tokens} != {ROWS * POSITIONS, ROWS * DECODER_POSITIONS}:
        raise HookpointError(f"lists of layers with MLPs are {', '.join(rows)}: which is which?")
    encoder, decoder = (by_tokens[ROWS * of] for of in (POSITIONS, DECODER_POSITIONS))
    return [replace(encoder, name="encoder"), decoder]


def _tokens_at(seen: Seen, stack: Stack) -> int:
    downs = (call for call in seen.calls[Layer(stack.layers[0], 0)] if call.path == stack.down)
    return next(downs).taken[..., 0].numel()


def _check_writes(
    model: nn.Module, given: Mapping[str, torch.Tensor], found: Mapping[Layer, MLP]
) -> None:
    """Write noise at every activation at once, and see it at the down projections."""
    written: dict[Layer, torch.Tensor] = {}
    factor: dict[Layer, torch.Tensor] = {}
    arrived: dict[Layer, bool] = {}

    def watch(hooks: ExitStack, layer: Layer, mlp: MLP) -> None:
        def write(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
            written[layer] = output + torch.randn_like(output)
            return written[layer].clone()

        def keep(module: nn.Module, args: Any, output: torch.Tensor) -> None:
            factor[layer] = output.clone()

        def look(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            expected = written[layer]
            if mlp.gate is not None:
                width, half = expected.shape[-1], isinstance(mlp.up, Part) and mlp.up.index
                expected = expected * factor[layer][..., half * width :][..., :width]
            arrived[layer] = _close(expected, args[0])

        inside = model.get_submodule(f"{layer.stack}.{layer.number}")
        act, up, down = map(inside.get_submodule, (mlp.act, path_of(mlp.up), mlp.down))
        hooks.callback(act.register_forward_hook(write).remove)
        hooks.callback(up.register_forward_hook(keep).remove)
        hooks.callback(down.register_forward_pre_hook(look).remove)

    with ExitStack() as hooks, torch.no_grad():
        for layer, mlp in found.items():
            watch(hooks, layer, mlp)
        _run(model, given)
    for layer, mlp in found.items():
        if not arrived.get(layer):
            raise HookpointError(
                f"what is written to {layer.stack}.{layer.number}.{mlp.act} does not arrive at "
                f"{mlp.down}"
            )


# Attention ------------------------------------------------------------------------------------


class Attended(NamedTuple):
    """One call of the attention function: its arguments, and what is made of its result."""

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    result: torch.Tensor


@dataclass
class Graph:
    """One pass cut at every linear layer: what each took, and the leaf that each put out."""

    taken: dict[Layer, dict[str, torch.Tensor]] = field(default_factory=lambda: defaultdict(dict))
    leaves: dict[Layer, dict[str, torch.Tensor]] = field(default_factory=lambda: defaultdict(dict))
    attended: dict[Layer, list[Attended]] = field(default_factory=lambda: defaultdict(list))
    repeated: set[Layer] = field(default_factory=set)
    """Layers of which a linear layer ran more than once."""


def _with_attention(
    model: nn.Module, given: Mapping[str, torch.Tensor], stacks: list[Stack]
) -> Family:
    """The rows with attention, where it is beyond doubt."""
    try:
        graph = _cut(model, given)
        return tuple(_attending(model, graph, stack) for stack in stacks)
    except Exception:  # of autograd or of a model that was not made for it: attention is left out
        return tuple(stacks)


def _cut(model: nn.Module, given: Mapping[str, torch.Tensor]) -> Graph:
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS as FUNCTIONS

    graph = Graph()
    places = {}

    def leaf_of(output: torch.Tensor) -> torch.Tensor:
        return output.detach().requires_grad_()

    def interface(*args: Any, **kwargs: Any) -> Any:
        function = type(FUNCTIONS).get_interface(FUNCTIONS, *args, **kwargs)

        def attend(module: nn.Module, query: Any, key: Any, value: Any, *more: Any, **named: Any):  # type: ignore[no-untyped-def]
            with torch.no_grad():
                result, *rest = function(module, query, key, value, *more, **named)
            result = leaf_of(result)
            if id(module) in places:
                graph.attended[places[id(module)]].append(Attended(query, key, value, result))
            return result.clone(), *rest

        return attend

    with ExitStack() as hooks, torch.enable_grad():
        for layer, path, module in _in_layers(model):
            places[id(module)] = layer
            if not shape_of(module):
                continue

            def cut(module: nn.Module, args: Any, output: Any, at=layer, path=path) -> torch.Tensor:  # type: ignore[no-untyped-def]
                if path in graph.leaves[at]:
                    graph.repeated.add(at)
                leaf = graph.leaves[at][path] = leaf_of(output)
                graph.taken[at][path] = args[0]
                return leaf.clone()

            hooks.callback(module.register_forward_hook(cut).remove)
        FUNCTIONS.get_interface = interface
        hooks.callback(FUNCTIONS.__dict__.pop, "get_interface")
        _run(model, given)
    return graph


def _attending(model: nn.Module, graph: Graph, stack: Stack) -> Stack:
    """The row with the attention that all its layers have in common; without, if they differ."""
    (path,) = stack.layers
    numbers = range(len(list(model.get_submodule(path).children())))
    config = model.config.get_text_config()  # type: ignore[union-attr,operator]
    heads = int(getattr(config, "num_attention_heads", 1))
    own, cross, without = set(), set(), []
    for layer in (Layer(path, number) for number in numbers):
        calls = graph.attended[layer]
        found = [_one_attention(graph, layer, call, heads) for call in calls]
        if layer in graph.repeated or len(calls) > 2 or any(of is None for of in found):
            return stack
        if not calls:
            without.append(layer)
            continue
        kinds = sorted(filter(None, found), key=itemgetter(0))
        if [crossing for crossing, _ in kinds] not in ([False], [False, True]):
            return stack
        own.add(kinds[0][1])
        cross.add(kinds[1][1] if len(kinds) == 2 else None)
    if len(own) != 1 or len(cross) != 1:
        return stack
    attention = own.pop()
    lacking = {linear for layer in without for linear in _present(model, layer, attention)}
    if lacking:
        return stack
    sometimes = tuple(f"attn.{of}" for of in "qkvo") if without else ()
    return replace(stack, attention=attention, cross=cross.pop(), sometimes=sometimes)


def _present(model: nn.Module, layer: Layer, attention: Attention) -> Iterator[str]:
    """Linear layers of the attention that a layer has though it does not attend."""
    inside = dict(model.get_submodule(f"{layer.stack}.{layer.number}").named_modules())
    for linear in (attention.q, attention.k, attention.v, attention.o):
        if path_of(linear) in inside:
            yield path_of(linear)


def _one_attention(
    graph: Graph, layer: Layer, call: Attended, heads: int
) -> tuple[bool, Attention] | None:
    """Whether it attends to other positions than its own stack's, and its linear layers."""
    taken, leaves = graph.taken[layer], graph.leaves[layer]
    outs = [
        path
        for path, given in taken.items()
        if given.numel() == call.result.numel() and _reached(given, {"": call.result})
    ]
    reached = [_reached(of, leaves) for of in (call.query, call.key, call.value)]
    if len(outs) != 1 or any(len(columns) != 1 for columns in reached):
        return None
    attended = taken[outs[0]].shape[-1]
    linears = [
        _linear(path, columns, leaves[path].shape[-1], attended, heads)
        for of in reached
        for path, columns in of.items()
    ]
    if None in linears or len(set(linears)) != 3:
        return None
    tokens = [leaves[path][..., 0].numel() for of in reached for path in of]
    return tokens[0] != tokens[1], Attention(*linears, outs[0])  # type: ignore[arg-type]


def _reached(
    of: torch.Tensor, leaves: Mapping[str, torch.Tensor]
) -> dict[str, tuple[int, ...]]:
    """Columns of each leaf that move `of`, of those of which any do."""
    if not of.requires_grad:
        return {}
    gradients = torch.autograd.grad(
        of, [*leaves.values()], torch.randn_like(of), retain_graph=True, allow_unused=True
    )
    moved = {
        path: tuple((gradient.flatten(0, -2) != 0).any(0).nonzero().flatten().tolist())
        for path, gradient in zip(leaves, gradients, strict=True)
        if gradient is not None
    }
    return {path: columns for path, columns in moved.items() if columns}


def _linear(
    path: str, columns: tuple[int, ...], width: int, attended: int, heads: int
) -> Linear | None:
    """The whole of a linear layer, or the part of it that these columns are."""
    if len(columns) == width:
        return path
    for of, layout in product((3, 2), ("block", "head")):
        for index in range(of):
            part = Part(path, index, of=of, layout=layout)  # type: ignore[arg-type]
            try:
                if sorted(part.columns(width, attended, heads)) == list(columns):
                    return part
            except HookpointError:
                continue
    return None
