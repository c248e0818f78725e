"""The arithmetic of a write: which columns of a tensor get which values."""

from __future__ import annotations

import torch

from lsn_eval.conditions import Write
from lsn_eval.hookpoints import Site


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
        """A copy of `values` [..., neuron] with the writes done, and how many values changed.

        Scaling and adding are computed in float32 and rounded once.
        """
        self._move(values.device)
        old = values.index_select(-1, self._columns)
        if self._only_sets:
            new = self._operands.to(old.dtype).expand_as(old)
        else:
            exact = old.float()
            moved = torch.where(self._scale, exact * self._operands, exact + self._operands)
            new = torch.where(self._set, self._operands, moved).to(old.dtype)
        return values.index_copy(-1, self._columns, new), (old != new).sum()

    def columns(self, values: torch.Tensor) -> torch.Tensor:
        """The written columns of `values`."""
        self._move(values.device)
        return values.index_select(-1, self._columns)
