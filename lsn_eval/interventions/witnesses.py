"""Proof that a write at `mlp.act` arrives: a look at what the down projection is given."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
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

    It looks at one pass, from `look` to the down projection's call, and is then gone from the
    model.

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
        self.written: torch.Tensor | None = None
        self._factor: torch.Tensor | None = None
        self._handles = ExitStack()

    def look(self, arrived: Callable[[], None]) -> None:
        """Look at the pass that begins; whoever writes puts the result into `written`, and
        `arrived` is called when it has arrived."""
        self.check_arrived()
        self.close()
        # Registered now, so that it sees what others write, too; but before what is written at
        # mlp.down_in, where columns no longer say what arrived.
        self._handles.callback(
            self._down.module.register_forward_pre_hook(
                partial(self._before_down, arrived), prepend=True
            ).remove
        )
        if self._up is not None:
            self._handles.callback(self._up.module.register_forward_hook(self._after_up).remove)

    def close(self) -> None:
        """Look no longer."""
        self.written = self._factor = None
        self._handles.close()

    def check_arrived(self) -> None:
        """Raise InterventionError if something was written and the down projection did not run."""
        if self.written is not None:
            raise InterventionError(
                f"{self._act.module_name} ran and {self._down.module_name} did not: this model's "
                f"MLP goes round its down projection (a fused kernel?). {_REMEDY}"
            )

    def _after_up(self, module: nn.Module, args: Any, output: torch.Tensor) -> None:
        self._factor = output

    def _before_down(
        self, arrived_there: Callable[[], None], module: nn.Module, args: tuple[Any, ...]
    ) -> None:
        written, factor = self.written, self._factor
        self.close()
        if written is None:
            raise InterventionError(
                f"{self._down.module_name} ran and {self._act.module_name} did not: this model's "
                "MLP goes round its activation module (a fused kernel or a functional call?), so "
                f"that mlp.act cannot be written. {_REMEDY}"
            )
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
        arrived_there()


def _of(values: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return values.index_select(-1, columns.to(values.device))
