"""Experts: the parts of a layer of which a token runs through a few.

transformers keeps the experts of a layer in one module and computes them together, by a function
that it looks up by name (`transformers.integrations.moe`). While somebody listens to an expert,
these names lead to functions that run the model's own implementation, with its own kernels, on a
stand-in for the module: it hands out the module's weights, and stops at the values between them,
where the rows of each expert that is listened to go through a `Point`. When nobody listens any
more, the names lead where they led before.

Points are modules, so that what reads and writes an expert are the hooks that read and write every
other layer; they are no part of the model. A point is called once a pass if a token reached its
expert, with the values [row, neuron] of these tokens alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lsn_eval.errors import HookpointError

STOPS = ("gate_up", "act", "down_in", "down")
"""What is stopped at, in the order in which a forward pass comes to it."""


class Point(nn.Module):
    """One value of one expert, on its way through the layer. Whoever hooks it listens."""

    def __init__(self, experts: Experts) -> None:
        super().__init__()
        self._experts = experts

    def forward(self, values: Any = None) -> Any:
        return values

    def register_forward_hook(self, *args: Any, **options: Any) -> Any:
        return self._experts.listening(super().register_forward_hook(*args, **options))

    def register_forward_pre_hook(self, *args: Any, **options: Any) -> Any:
        return self._experts.listening(super().register_forward_pre_hook(*args, **options))

    @property
    def heard(self) -> bool:
        """Whether somebody listens."""
        return bool(self._forward_hooks or self._forward_pre_hooks)


class Expert(Point):
    """One expert: it is called, without a value, in every pass in which a token reached it."""

    def __init__(self, experts: Experts) -> None:
        super().__init__(experts)
        self.points = {name: Point(experts) for name in STOPS}
        self.tokens = torch.zeros(0, dtype=torch.long)
        """Which tokens [row] the rows are of, while a point is called: numbers of [row x position]
        of the batch."""

    @property
    def passes(self) -> int:
        """Passes through its layer since somebody listened to an expert of it."""
        return self._experts.passes

    @property
    def of(self) -> int:
        """Tokens in the batch."""
        return self._experts.tokens

    @property
    def module(self) -> nn.Module:
        """The module of the model that it is a part of."""
        return self._experts.module


class _Handle:
    """Removes a hook, and ends the listening with the last."""

    def __init__(self, handle: Any, ended: Callable[[], None]) -> None:
        self._handle, self._ended = handle, ended

    def remove(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
            self._ended()


class Experts:
    """The routed experts of one layer.

    Args:
        module: transformers' module of them.
        layer: the layer they are in.
        name: where the module is, for messages.

    Raises:
        HookpointError: they cannot be reached one by one.
    """

    def __init__(self, module: nn.Module, layer: nn.Module, name: str) -> None:
        self.module, self.name = module, name
        self._layer = layer
        self.width, self.hidden, self.interleaved, self.has_act = _read(module, name)
        self.each = [Expert(self) for _ in range(int(module.num_experts))]  # type: ignore[arg-type]
        self.passes = self.tokens = 0
        self._ran = self._listeners = 0
        self._guards: list[Any] = []

    def listening(self, handle: Any) -> _Handle:
        """The handle of a hook at one of the points; removing it ends the listening."""
        if not self._listeners:
            _LISTENING.setdefault(id(self.module), []).append(self)
            self.passes = 0
            self._guards = [
                self._layer.register_forward_pre_hook(self._begin),
                self._layer.register_forward_hook(self._end),
            ]
            _connect()
        self._listeners += 1
        return _Handle(handle, self._ended)

    def _ended(self) -> None:
        self._listeners -= 1
        if not self._listeners:
            for guard in self._guards:
                guard.remove()
            _LISTENING[id(self.module)].remove(self)
            if not _LISTENING[id(self.module)]:
                del _LISTENING[id(self.module)]
            _disconnect()

    def _begin(self, module: nn.Module, args: Any) -> None:
        self._ran = 0

    def _end(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._ran != 1:
            chosen = getattr(self.module.config, "_experts_implementation", None)
            raise HookpointError(
                f"{self.name} ran {self._ran} times through the registered experts functions in a "
                f"pass of its layer, and once was expected: experts_implementation {chosen!r}, or "
                "a kernel in the place of the module, goes round them, so that no expert can be "
                "read or written. Load the model with another experts_implementation: "
                f"{', '.join(_ROWS)}"
            )

    def arrive(self, tokens: int, reached: list[int]) -> None:
        """A pass through the layer has come to its experts."""
        self._ran += 1
        self.passes += 1
        self.tokens = tokens
        for number in reached:
            if self.each[number].heard:
                self.each[number]()


def _read(experts: nn.Module, name: str) -> tuple[int, int, bool, bool]:
    """Neurons and outputs of an expert; whether gate and up alternate; whether its activation is a
    module whose output is multiplied by up."""
    try:
        from transformers.integrations import moe
        from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS  # noqa: F401
    except ImportError as error:
        from transformers import __version__

        raise HookpointError(
            f"transformers {__version__} has no experts functions to register, without which no "
            "single expert can be reached; install a newer one (5.23 is tested)"
        ) from error
    flags = ("has_gate", "is_transposed", "is_concatenated", "gate_up_proj", "down_proj")
    missing = [flag for flag in flags if not hasattr(experts, flag)]
    if missing or not experts.has_gate or not hasattr(type(experts).forward, "__wrapped__"):
        raise HookpointError(
            f"{name} is a {type(experts).__name__} without the experts interface of transformers "
            f"({', '.join(missing) or 'no gate'}): a quantised model, or another library's? Its "
            "experts cannot be reached one by one; load the model unquantised"
        )
    weights: list[Any] = [experts.gate_up_proj, experts.down_proj]
    if any(not of.is_floating_point() or of.element_size() < 2 for of in weights):
        raise HookpointError(
            f"the weights of {name} are {weights[0].dtype}, which no experts function computes "
            "whose values can be read; load the model unquantised"
        )
    out, into = (1, 2) if not experts.is_transposed else (2, 1)
    width = int(weights[1].shape[into])
    if weights[0].shape[out] != 2 * width:
        raise HookpointError(
            f"{name} has {weights[0].shape[out]} outputs of gate and up for {width} inputs of the "
            "down projection; twice as many were expected"
        )
    # A family with a gate of its own may clamp or shift what it multiplies.
    own_gate = type(experts)._apply_gate is not moe._default_apply_gate  # type: ignore[attr-defined]
    return width, int(weights[1].shape[out]), not experts.is_concatenated, not own_gate


# While somebody listens --------------------------------------------------------------------------

_LISTENING: dict[int, list[Experts]] = {}
"""By the module's identity, whoever listens to an expert of it, the first first."""
_CONNECTED: dict[str, Any] = {}
"""What was registered under each name, and is meanwhile replaced."""
_ABSENT = object()


def _connect() -> None:
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS as functions

    if not _CONNECTED:
        for name in _ROWS:
            _CONNECTED[name] = functions._local_mapping.get(name, _ABSENT)
            usual = functions.get(name, _eager)
            functions[name] = _through_points(name, usual)


def _disconnect() -> None:
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS as functions

    if not _LISTENING:
        for name, before in _CONNECTED.items():
            if before is _ABSENT:
                del functions[name]
            else:
                functions[name] = before
        _CONNECTED.clear()


def _through_points(name: str, usual: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def experts_forward(
        module: Any,
        hidden_states: torch.Tensor,
        top_k_index: torch.Tensor,
        top_k_weights: torch.Tensor,
    ) -> torch.Tensor:
        listeners = _LISTENING.get(id(module))
        if listeners is None:
            run = type(module).forward.__wrapped__ if usual is _eager else usual
            return run(module, hidden_states, top_k_index, top_k_weights)
        if module._is_expert_parallel:
            raise HookpointError(
                f"{listeners[0].name} is split over devices (expert parallelism); load the model "
                "without that"
            )
        experts = _Stopping(module, listeners)
        experts.rows = _ROWS[name](top_k_index, int(module.num_experts))
        for listener in listeners:
            listener.arrive(len(hidden_states), top_k_index.unique().tolist())
        return usual(experts, hidden_states, top_k_index, top_k_weights)

    return experts_forward


class _Rows:
    """Which rows of a tensor belong to which expert, and which token each is of.

    Args:
        sizes: rows of each expert, by its number.
        tokens: token [row] of the rows, expert by expert.
        order: [row], where the rows of each expert are, one after the other; None where they are.
    """

    def __init__(
        self, sizes: Mapping[int, int], tokens: torch.Tensor, order: torch.Tensor | None = None
    ) -> None:
        self.sizes, self.tokens, self.order = sizes, tokens, order


def _sorted_rows(top_k_index: torch.Tensor, experts: int) -> _Rows:
    # The same call on the same numbers as transformers' own: rows of one expert stay in its order.
    numbers, order = torch.sort(top_k_index.reshape(-1))
    return _Rows(_sizes(numbers, experts), order // top_k_index.shape[-1])


def _unsorted_rows(top_k_index: torch.Tensor, experts: int) -> _Rows:
    numbers, order = torch.sort(top_k_index.reshape(-1), stable=True)
    return _Rows(_sizes(numbers, experts), order // top_k_index.shape[-1], order)


def _sizes(numbers: torch.Tensor, experts: int) -> dict[int, int]:
    sizes = torch.bincount(numbers, minlength=experts).tolist()
    return {number: size for number, size in enumerate(sizes) if size}


_ROWS: Mapping[str, Callable[[torch.Tensor, int], _Rows]] = {
    "grouped_mm": _sorted_rows,
    "batched_mm": _unsorted_rows,
    "eager": _unsorted_rows,
}
"""The implementations that can be listened to, and how each lays out its rows."""


class _Stopping:
    """A layer's experts as its implementation sees them: the module, with a stop at every value."""

    has_post_expert_norm = True
    rows: _Rows

    def __init__(self, module: Any, listeners: list[Experts]) -> None:
        self._module, self._listeners = module, listeners

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def _apply_gate(self, gate_up: torch.Tensor) -> torch.Tensor:
        gate_up = self._stop("gate_up", gate_up)
        return self._stop("down_in", type(self._module)._apply_gate(self, gate_up))

    def act_fn(self, gate: torch.Tensor) -> torch.Tensor:
        return self._stop("act", self._module.act_fn(gate))

    def post_expert_norm(self, down: torch.Tensor) -> torch.Tensor:
        down = self._stop("down", down)
        return self._module.post_expert_norm(down) if self._module.has_post_expert_norm else down

    def _stop(self, name: str, values: torch.Tensor) -> torch.Tensor:
        """The values [row, ...], after those who listen had the rows of their experts."""
        for experts in self._listeners:
            if not any(experts.each[number].points[name].heard for number in self.rows.sizes):
                continue
            order, sizes = self.rows.order, list(self.rows.sizes.values())
            rows = list((values if order is None else values[order]).split(sizes))
            tokens = self.rows.tokens.split(sizes)
            changed = False
            for place, number in enumerate(self.rows.sizes):
                expert = experts.each[number]
                if expert.points[name].heard:
                    expert.tokens = tokens[place]
                    seen = rows[place]
                    rows[place] = expert.points[name](seen)
                    changed |= rows[place] is not seen
            if changed:
                values = torch.cat(rows)
                if order is not None:
                    values = torch.empty_like(values).index_copy_(0, order, values)
        return values


def _eager(
    experts: Any,
    hidden_states: torch.Tensor,
    top_k_index: torch.Tensor,
    top_k_weights: torch.Tensor,
) -> torch.Tensor:
    """Expert by expert, added up in the order of the modelling files, whose own loops do not stop
    between gate and down projection."""

    def linear(rows: torch.Tensor, of: str, number: int) -> torch.Tensor:
        weight = getattr(experts, of)[number]
        bias = getattr(experts, f"{of}_bias")[number] if experts.has_bias else None
        if not experts.is_transposed:
            return functional.linear(rows, weight, bias)
        return rows @ weight if bias is None else rows @ weight + bias

    result = torch.zeros_like(hidden_states)
    for number, place, token in _by_expert(top_k_index):
        experts.rows = _Rows({number: len(token)}, token)
        inside = experts._apply_gate(linear(hidden_states[token], "gate_up_proj", number))
        out = experts.post_expert_norm(linear(inside, "down_proj", number))
        weighted = out * top_k_weights[token, place, None]
        result.index_add_(0, token, weighted.to(result.dtype))
    return result


def _by_expert(top_k_index: torch.Tensor) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Number of every expert that a token reached, and which choice [row] of which token [row]."""
    for number in top_k_index.unique().tolist():
        place, token = torch.where((top_k_index == number).T)
        yield number, place, token
