"""Proof that a write at `mlp.act` arrives: a look at what the down projection is given."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from lsn_eval.errors import InterventionError
from lsn_eval.models.hookpoints import ModelHookpoints

WITNESS_TOLERANCE = 1e-2
"""Relative difference allowed between a written value and what reaches the down projection:
rounding in half precision is below it, an intervention that went nowhere is far above."""

_REMEDY = "Load the model without the kernel, or use a mask at mlp.down_in"


class Witness:
    """Holds what was written at `mlp.act` of a layer against what reaches its down projection.

    That something was written is looked at whenever the down projection runs, the values once for
    each kind of shape: which kernel runs may depend on how many rows and positions there are. A
    kind is the power of two that each of the two is below.

    Args:
        columns: [written], of the neurons that are compared.
    """

    def __init__(self, hookpoints: ModelHookpoints, layer: str, columns: torch.Tensor) -> None:
        self._act = hookpoints.site("mlp.act", layer)
        self._down = hookpoints.site("mlp.down_in", layer)
        gated = hookpoints.has("mlp.gate", layer)
        self._up = hookpoints.site("mlp.up", layer) if gated else None
        self._columns = self._up_columns = columns
        if self._up is not None and self._up.columns is not None:
            self._up_columns = torch.as_tensor(self._up.columns)[columns]
        self._kinds: set[tuple[int, ...]] = set()
        self.written: torch.Tensor | None = None
        self._factor: torch.Tensor | None = None

    def install(self, stack: ExitStack) -> None:
        """Look until `stack` closes; whoever writes puts the result into `written`."""
        self.written = self._factor = None
        # Prepended: columns that are written at mlp.down_in no longer say what arrived.
        before = self._down.module.register_forward_pre_hook(self._before_down, prepend=True)
        stack.callback(before.remove)
        if self._up is not None:
            stack.callback(self._up.module.register_forward_hook(self._after_up).remove)

    def check_arrived(self) -> None:
        """Raise InterventionError if something was written and the down projection did not run."""
        if self.written is not None:
            raise InterventionError(
                f"{self._act.module_name} ran and {self._down.module_name} did not: this model's "
                f"MLP goes round its down projection (a fused kernel?). {_REMEDY}"
            )

    def _after_up(self, module: nn.Module, args: Any, output: torch.Tensor) -> None:
        self._factor = output

    def _before_down(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        written, factor = self.written, self._factor
        self.written = self._factor = None
        if written is None:
            raise InterventionError(
                f"{self._down.module_name} ran and {self._act.module_name} did not: this model's "
                "MLP goes round its activation module (a fused kernel or a functional call?), so "
                f"that mlp.act cannot be written. {_REMEDY}"
            )
        kind = tuple(length.bit_length() for length in written.shape[:-1])
        if kind in self._kinds:
            return
        expected = _of(written, self._columns)
        if self._up is not None:
            if factor is None:
                raise InterventionError(
                    f"{self._down.module_name} ran and {self._up.module_name} did not: this "
                    "model's MLP is not gated in the way of its family"
                )
            expected = expected * _of(factor, self._up_columns)
        arrived = _of(args[0], self._columns).float()
        if arrived.shape != expected.shape or not torch.allclose(
            arrived, expected.float(), rtol=WITNESS_TOLERANCE, atol=1e-6, equal_nan=True
        ):
            raise InterventionError(
                f"what was written to {self._act} does not arrive at {self._down.module_name} when "
                f"a tensor of shape {list(written.shape)} is computed: this model's MLP does not "
                f"use the output of its activation module there (a fused kernel?). {_REMEDY}"
            )
        self._kinds.add(kind)


def _of(values: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return values.index_select(-1, columns.to(values.device))
