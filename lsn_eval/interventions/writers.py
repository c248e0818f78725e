"""The arithmetic of a write: which columns of a tensor get which values."""

from __future__ import annotations

import torch

from lsn_eval.conditions import Write
from lsn_eval.models.hookpoints import Site


class Writer:
    """The values of one `Write` on the device and in the precision of the tensors it meets."""

    def __init__(self, site: Site, write: Write) -> None:
        columns = write.indices if site.columns is None else site.columns[write.indices]
        self._columns = torch.as_tensor(columns, dtype=torch.long)
        self._operands = torch.as_tensor(write.operands)
        self._set = torch.as_tensor(write.operations == "set")
        self._scale = torch.as_tensor(write.operations == "scale")
        self._only_sets = bool(self._set.all())
        self._device: torch.device | None = None

    def _move(self, device: torch.device) -> None:
        if device != self._device:
            for name in ("_columns", "_operands", "_set", "_scale"):
                setattr(self, name, getattr(self, name).to(device))
            self._device = device

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A copy of `values` [..., neuron] with the writes done, and how many values changed."""
        self._move(values.device)
        old = values.index_select(-1, self._columns)
        new = new_values(old, self._operands, None if self._only_sets else (self._set, self._scale))
        return values.index_copy(-1, self._columns, new), (old != new).sum()

    def columns(self, values: torch.Tensor) -> torch.Tensor:
        """The written columns of `values`."""
        self._move(values.device)
        return values.index_select(-1, self._columns)


def new_values(
    old: torch.Tensor,
    operands: torch.Tensor,
    kinds: tuple[torch.Tensor, torch.Tensor] | None,
) -> torch.Tensor:
    """What is written in the place of `old` [..., written].

    Scaling and adding are computed in float32 and rounded once.

    Args:
        operands: [written], float32.
        kinds: [written] each, whether a value is set and whether it is scaled; the rest is added
            to. None where all are set.
    """
    if kinds is None:
        return operands.to(old.dtype).expand_as(old)
    is_set, is_scaled = kinds
    exact = old.float()
    moved = torch.where(is_scaled, exact * operands, exact + operands)
    return torch.where(is_set, operands, moved).to(old.dtype)
