"""The arithmetic of a write: which columns of a tensor get which values."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lsn_eval.conditions import Write
from lsn_eval.errors import InterventionError
from lsn_eval.models.hookpoints import Site


class Operands:
    """The operands [written] of writes at one site, on the device and in the precision they meet.

    Scaling and adding are computed in float32 and rounded once; what that turns into an infinity
    is counted on the device, since reading it would wait for the device at every layer.
    """

    def __init__(self, site: Site, writes: Sequence[Write]) -> None:
        self._site = site
        self._operands = torch.cat([torch.as_tensor(write.operands) for write in writes])
        self._set, self._scale = (
            torch.cat([torch.as_tensor(write.operations == name) for write in writes])
            for name in ("set", "scale")
        )
        self._only_sets = bool(self._set.all())
        self._met: tuple[torch.device, torch.dtype] | None = None
        self._rounded = self._operands
        self._overflowed: torch.Tensor | int = 0

    def check(self, dtype: torch.dtype) -> None:
        """Raise InterventionError if a value to be set is beyond the largest number of `dtype`."""
        beyond = self._set & ~self._operands.to(dtype).isfinite()
        if beyond.any():
            raise InterventionError(
                f"{self._operands[beyond][0].item():g} was to be written to {self._site}, and the "
                f"largest number of {_name(dtype)} is {torch.finfo(dtype).max:g}: infinity would "
                "be written. Give a smaller value, or load the model with another dtype"
            )

    def new_values(self, old: torch.Tensor) -> torch.Tensor:
        """What is written in the place of `old` [..., written]; raises as `check` does."""
        if self._met != (old.device, old.dtype):
            self.check(old.dtype)
            for name in ("_operands", "_set", "_scale"):
                setattr(self, name, getattr(self, name).to(old.device))
            self._rounded = self._operands.to(old.dtype)
            self._met = old.device, old.dtype
        if self._only_sets:
            return self._rounded.expand_as(old)
        exact = old.float()
        moved = torch.where(self._scale, exact * self._operands, exact + self._operands)
        new = torch.where(self._set, self._operands, moved).to(old.dtype)
        self._overflowed = (new.isinf() & exact.isfinite()).sum() + self._overflowed
        return new

    def check_overflow(self) -> None:
        """Raise InterventionError if scaling or adding has made an infinity of a finite value."""
        count, self._overflowed = int(self._overflowed), 0
        if count:
            assert self._met is not None
            dtype = self._met[1]
            raise InterventionError(
                f"scaling or adding made {count} finite values of {self._site} infinite: the "
                f"largest number of {_name(dtype)} is {torch.finfo(dtype).max:g}. Give smaller "
                "values, or load the model with another dtype"
            )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class Writer:
    """One `Write` at its site."""

    def __init__(self, site: Site, write: Write) -> None:
        self.columns = written_columns(site, write)
        self.operands = Operands(site, [write])

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A copy of `values` [..., neuron] with the writes done, and how many values changed."""
        if self.columns.device != values.device:
            self.columns = self.columns.to(values.device)
        old = values.index_select(-1, self.columns)
        new = self.operands.new_values(old)
        return values.index_copy(-1, self.columns, new), (old != new).sum()


def written_columns(site: Site, write: Write) -> torch.Tensor:
    """Where a write's neurons are along the last axis of its site's tensor."""
    columns = write.indices if site.columns is None else site.columns[write.indices]
    return torch.as_tensor(columns, dtype=torch.long)
