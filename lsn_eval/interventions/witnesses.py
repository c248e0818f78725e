"""Proof that a write at `mlp.act` arrives: a look at the down projection's input, once a layer."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from lsn_eval.errors import InterventionError
from lsn_eval.interventions.writers import Writer
from lsn_eval.models.hookpoints import ModelHookpoints

WITNESS_TOLERANCE = 1e-2
"""Relative difference allowed between a written value and what reaches the down projection:
rounding in half precision is below it, an intervention that went nowhere is far above."""


class Witness:
    """Checks once that what was written at `mlp.act` of a layer reaches its down projection."""

    def __init__(self, hookpoints: ModelHookpoints, layer: str, writer: Writer) -> None:
        self._act = hookpoints.site("mlp.act", layer)
        self._down = hookpoints.site("mlp.down_in", layer)
        self._up = hookpoints.site("mlp.up", layer) if hookpoints.gated else None
        self._writer = writer
        self._written: torch.Tensor | None = None
        self._factor: torch.Tensor | None = None
        self.done = False

    def install(self, stack: ExitStack) -> None:
        handles = [
            self._act.module.register_forward_hook(self._after_act),
            self._down.module.register_forward_pre_hook(self._before_down, prepend=True),
        ]
        if self._up is not None:
            handles.append(self._up.module.register_forward_hook(self._after_up))
        for handle in handles:
            stack.callback(handle.remove)

    def _after_act(self, module: nn.Module, args: Any, output: torch.Tensor) -> None:
        if not self.done:
            self._written = self._writer.columns(output)

    def _after_up(self, module: nn.Module, args: Any, output: torch.Tensor) -> None:
        if not self.done:
            self._factor = self._writer.columns(output)

    def _before_down(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self.done:
            return
        if self._written is None:
            raise InterventionError(
                f"{self._down.module_name} ran and {self._act.module_name} did not: this model's "
                "MLP goes round its activation module (a fused kernel or a functional call?), so "
                "that mlp.act cannot be written. Load the model without the kernel, or use a mask "
                "at mlp.down_in"
            )
        expected = self._written.float()
        if self._up is not None:
            if self._factor is None:
                raise InterventionError(
                    f"{self._down.module_name} ran and {self._up.module_name} did not: this "
                    "model's MLP is not gated in the way of its family"
                )
            expected = (self._written * self._factor).float()
        arrived = self._writer.columns(args[0]).float()
        if arrived.shape != expected.shape or not torch.allclose(
            arrived, expected, rtol=WITNESS_TOLERANCE, atol=1e-6, equal_nan=True
        ):
            raise InterventionError(
                f"what was written to {self._act} does not arrive at {self._down.module_name}: "
                "this model's MLP does not use the output of its activation module (a fused "
                "kernel?). Load the model without the kernel, or use a mask at mlp.down_in"
            )
        self.done = True
        self._written = self._factor = None
