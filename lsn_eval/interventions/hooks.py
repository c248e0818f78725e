"""`Hook`: one site of a model, written for as long as a block runs, and proof of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from lsn_eval.errors import InterventionError
from lsn_eval.interventions.witnesses import Witness
from lsn_eval.interventions.writers import Operands
from lsn_eval.models.hookpoints import ONCE_A_TEXT, ModelHookpoints, Site


class Hook:
    """Puts `write(values)` in the place of the values [..., extent] at one site.

    Args:
        columns: [written], what `write` changes along the last axis.
    """

    def __init__(
        self,
        hookpoints: ModelHookpoints,
        site: Site,
        columns: torch.Tensor,
        write: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        self.site = site
        self.calls = 0
        """Since the last `install`."""
        self.passes = 0
        """Calls of the site's layer since then."""
        self._layer = hookpoints.layers[site.layer]
        self._started_at = 0
        self._write = write
        self._witness: Witness | None = None
        if site.hookpoint == "mlp.act":
            self._witness = Witness(hookpoints, site.layer, columns)

    def install(self, stack: ExitStack) -> None:
        """Write until `stack` closes."""
        self.calls = self.passes = 0
        self._started_at = self._layer_passes()
        if self.site.side == "output":
            handle = self.site.module.register_forward_hook(self._after)
        else:
            handle = self.site.module.register_forward_pre_hook(self._before)
        stack.callback(handle.remove)
        stack.callback(self._layer.register_forward_pre_hook(self._count_pass).remove)

    def watch(self, stack: ExitStack) -> None:
        """Let the witness look until `stack` closes: after whatever else is written."""
        if self._witness is not None:
            self._witness.install(stack)

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

    def _layer_passes(self) -> int:
        return 0 if self.site.expert is None else self.site.expert.passes

    def _count_pass(self, module: nn.Module, args: Any) -> None:
        self.passes += 1

    def _after(self, module: nn.Module, args: Any, output: Any) -> torch.Tensor:
        return self._written(output)

    def _before(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if not args:
            raise InterventionError(
                f"{self.site} got no positional input, so that it cannot be written; this model's "
                "MLP calls the module in another way than its family does"
            )
        return (self._written(args[0]), *args[1:])

    def _written(self, values: Any) -> torch.Tensor:
        site = self.site
        if not isinstance(values, torch.Tensor):
            raise InterventionError(f"{site} is a {type(values).__name__}; one tensor was expected")
        if values.shape[-1] != site.extent:
            raise InterventionError(
                f"{site} is {values.shape[-1]} wide and {site.extent} was expected: is the layer "
                "split over devices (tensor parallelism)? Load the model without that"
            )
        result = self._write(values)
        self.calls += 1
        if self._witness is not None:
            self._witness.written = result
        return result


@contextmanager
def installed(written: Iterable[tuple[Hook, Operands]]) -> Iterator[None]:
    """Every hook with what it writes, while the block runs; checked on leaving it normally."""
    written = list(written)
    with ExitStack() as stack:
        for hook, _ in written:
            hook.install(stack)
        for hook, _ in written:
            hook.watch(stack)
        yield
    for hook, operands in written:
        hook.check()
        operands.check_overflow()
