"""`Hook`: one site of a model, written for as long as a block runs, and proof of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch import nn

from lsn_eval.errors import InterventionError
from lsn_eval.interventions.witnesses import Witness
from lsn_eval.interventions.writers import Operands
from lsn_eval.models.hookpoints import ONCE_A_TEXT, ModelHookpoints, Site

SAMPLE = 128
"""One of so many passes of a layer is looked at, besides the first of each kind of shape."""


class Write(Protocol):
    """What is written at a site."""

    operands: Operands
    columns: torch.Tensor
    """[written], what is written along the last axis."""

    def has_changed(self) -> bool:
        """Whether a value that differs from what was there has been counted."""

    def __call__(self, values: torch.Tensor, compare: bool) -> None:
        """Write into `values` [..., extent], and `compare` them with what was there."""


class Hook:
    """Writes the values [..., extent] at one site.

    Every pass of the layer is counted, so that none goes past the site. Some are *looked at*: what
    is written is compared with what was there, and the witness sees whether it arrives. These are
    every pass until a value has changed, then the first of each kind of shape, and one in `SAMPLE`.
    A kind is the power of two that the number of rows is below, and that of positions: another
    kernel may run for one token or for a large batch.
    """

    def __init__(self, hookpoints: ModelHookpoints, site: Site, write: Write) -> None:
        self.site = site
        self.calls = 0
        """Since the last `install`."""
        self.passes = 0
        """Calls of the site's layer since then."""
        self._layer = hookpoints.layers[site.layer]
        self._write = write
        self._witness: Witness | None = None
        if site.hookpoint == "mlp.act":
            self._witness = Witness(hookpoints, site.layer, write.columns.unique())
        self._started_at = 0
        self._passes_ever = 0
        self._calls_before = 0
        self._looks = False
        self._kind: tuple[int, ...] | None = None
        self._kinds: set[tuple[int, ...]] = set()
        """That were looked at."""
        self._shapes: set[tuple[int, ...]] = set()
        """Of these kinds, as far as they were met."""
        self.look_again()

    def look_again(self) -> None:
        """Look at every pass until a value has changed, since counting begins anew."""
        self._changed = False

    def __deepcopy__(self, memo: Any) -> Hook:
        """Reached where somebody copies a model that has this hook."""
        raise InterventionError(
            "a model cannot be copied while an intervention is on it: the hooks of one would write "
            "into the other. Copy it before, or after leaving `intervene`"
        )

    def install(self, stack: ExitStack) -> None:
        """Write until `stack` closes."""
        if getattr(self._layer, "gradient_checkpointing", False) and self._layer.training:
            raise InterventionError(
                "gradient checkpointing runs every layer a second time in the backward pass, in "
                "which hooks count and copy otherwise: call model.gradient_checkpointing_disable() "
                "or model.eval() before intervening"
            )
        self.calls = self.passes = 0
        self._started_at = self._layer_passes()
        module = self.site.module
        if self.site.side == "input":
            stack.callback(module.register_forward_pre_hook(self._before).remove)
        elif self.site.expert or module._forward_hooks or "forward" in vars(module):
            # An expert hears hooks. Where others were first, what they make of it is written into.
            stack.callback(module.register_forward_hook(self._after).remove)
        else:
            # As a hook, without PyTorch's slower way for modules that have hooks.
            vars(module)["forward"] = self._around(module.forward)
            stack.callback(vars(module).pop, "forward")
        stack.callback(self._layer.register_forward_pre_hook(self._begin_pass).remove)
        ended = self._layer.register_forward_hook(self._end_pass, always_call=True)
        stack.callback(ended.remove)
        if self._witness is not None:
            stack.callback(self._witness.close)
        if not self._kinds:
            self._look()  # also where the module is called without its layer

    def check(self) -> None:
        """Raise InterventionError if the layer ran past the site, in one of its calls or in all,
        or called it more than once. An expert need not have been reached by any token."""
        least = 0 if self._layer_passes() > self._started_at else 1
        expected = 1 if self.site.hookpoint in ONCE_A_TEXT else max(self.passes, least)
        if self.calls < expected:
            missed = f"fired in {self.calls} of {self.passes} calls of its layer"
            raise InterventionError(
                f"{self.site} was to be written, and {missed if self.calls else 'never fired'}: "
                "the numbers would be those of an unchanged model. Either the model did not run, "
                "or it does not always call this module (a fused kernel?): load it without one"
            )
        if 0 < self.passes < self.calls:
            raise InterventionError(
                f"{self.site} was to be written, and fired {self.calls} times in {self.passes} "
                "calls of its layer: what was written is more than one thing of the model, and "
                "perhaps not the one that was meant. Use another hookpoint"
            )
        if self._witness is not None:
            self._witness.check_arrived()
        self._write.operands.check_overflow()

    def _layer_passes(self) -> int:
        return 0 if self.site.expert is None else self.site.expert.passes

    def _begin_pass(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self._calls_before = self.calls
        self.passes += 1
        self._passes_ever = number = self._passes_ever + 1
        shape: tuple[int, ...] | None = None
        if args:
            shape = getattr(args[0], "shape", None)
        elif self.site.expert is not None:
            shape = (self.site.expert.of, self.site.extent)
        if shape in self._shapes and number % SAMPLE and self._changed:
            return
        if not self._changed and not number & (number - 1):  # seldom: it waits for the device
            self._changed = self._write.has_changed()
        kind = None if shape is None else tuple(length.bit_length() for length in shape[:-1])
        if shape is not None and kind in self._kinds and self._changed and number % SAMPLE:
            self._shapes.add(shape)
        else:
            self._look(kind)

    def _end_pass(self, module: nn.Module, args: Any, output: Any) -> None:
        """A pass that raised, as one that is tried with less memory afterwards, never was."""
        if output is None and self.site.expert is None:
            self.calls = self._calls_before
            self.passes -= 1
            self._looks = False
            if self._witness is not None:
                self._witness.close()

    def _look(self, kind: tuple[int, ...] | None = None) -> None:
        self._looks, self._kind = True, kind
        if self._witness is not None:
            self._witness.look(self._arrived)

    def _arrived(self) -> None:
        if self._kind is not None:
            self._kinds.add(self._kind)

    def _around(self, forward: Callable[..., Any]) -> Callable[..., torch.Tensor]:
        return lambda *args, **kwargs: self._written(forward(*args, **kwargs), fresh=True)

    def _after(self, module: nn.Module, args: Any, output: Any) -> torch.Tensor:
        return self._written(output)

    def _before(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if not args:
            raise InterventionError(
                f"{self.site} got no positional input, so that it cannot be written; this model's "
                "MLP calls the module in another way than its family does"
            )
        return (self._written(args[0]), *args[1:])

    def _written(self, values: Any, fresh: bool = False) -> torch.Tensor:
        """What the site gives instead of `values`: these, if they are fresh and nobody else holds
        them, else a copy."""
        site = self.site
        if not isinstance(values, torch.Tensor):
            raise InterventionError(f"{site} is a {type(values).__name__}; one tensor was expected")
        if values.shape[-1] != site.extent:
            raise InterventionError(
                f"{site} is {values.shape[-1]} wide and {site.extent} was expected: is the layer "
                "split over devices (tensor parallelism)? Load the model without that"
            )
        if not (
            fresh
            and type(values) is torch.Tensor
            and not values.requires_grad
            and values.is_contiguous()
            and not torch.compiler.is_compiling()
            and _ONE_HOLDER
            and _holders(values) == _ONE_HOLDER
        ):
            values = values.clone(memory_format=torch.contiguous_format)
        self.calls += 1
        looks, self._looks = self._looks, False
        self._write(values, looks)
        if looks:
            if self._witness is not None:
                self._witness.written = values
            else:
                self._arrived()
        return values


def _holders(values: torch.Tensor) -> tuple[int, ...]:
    """How many hold a tensor and how many its memory, each in Python and in C++; and whether
    PyTorch made that: NumPy and others hold what is theirs uncounted."""
    memory = values.untyped_storage()
    return (
        sys.getrefcount(values),
        values._use_count(),  # type: ignore[attr-defined]
        sys.getrefcount(memory),
        torch._C._storage_Use_Count(memory._cdata),
        memory.resizable(),
    )


def _held_by_one(values: torch.Tensor) -> tuple[int, ...]:
    try:
        return _holders(values)
    except AttributeError:  # a PyTorch that does not say: every tensor is copied
        return ()


_ONE_HOLDER = _held_by_one(torch.zeros(2).add(1))
"""Of a tensor that only a function's argument refers to; counted, since it depends on the
interpreter."""


@contextmanager
def installed(hooks: Iterable[Hook]) -> Iterator[None]:
    """Every hook while the block runs; checked on leaving it normally."""
    hooks = list(hooks)
    with ExitStack() as stack:
        for hook in hooks:
            hook.install(stack)
        yield
        for hook in hooks:
            hook.check()
