"""The arithmetic of a write: which columns of a tensor get which values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from lsn_eval.conditions import Write
from lsn_eval.errors import InterventionError
from lsn_eval.interventions.report import SiteReport
from lsn_eval.models.hookpoints import Site


class Operands:
    """The operands [written] of writes at one site, on the device and in the precision they meet.

    Scaling and adding are computed in float32 and rounded once; what that turns into an infinity
    is counted on the device, since reading it would wait for the device at every layer.
    """

    def __init__(self, site: Site, writes: Sequence[Write]) -> None:
        self._site = site
        self._operands = torch.cat([torch.as_tensor(write.operands) for write in writes])
        operations = np.concatenate([write.operations for write in writes])
        self._set, self._scale = (torch.as_tensor(operations == name) for name in ("set", "scale"))
        self.only = str(operations[0]) if len(set(operations)) == 1 else None
        """The operation of every write, if it is one for all: "set", "scale" or "add"."""
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

    def meet(self, values: torch.Tensor) -> torch.Tensor:
        """The operands in the precision of `values` and on their device; raises as `check` does."""
        if self._met != (values.device, values.dtype):
            self.check(values.dtype)
            for name in ("_operands", "_set", "_scale"):
                setattr(self, name, getattr(self, name).to(values.device))
            self._rounded = self._operands.to(values.dtype)
            self._met = values.device, values.dtype
            self._can_overflow = not self._stays_finite(values.dtype)
        return self._rounded

    def moved(self, old: torch.Tensor) -> torch.Tensor:
        """What is written in the place of `old` [..., written]; raises as `check` does."""
        self.meet(old)
        exact = old.float()
        if self.only == "scale":
            new = exact * self._operands
        elif self.only == "add":
            new = exact + self._operands
        else:
            moved = torch.where(self._scale, exact * self._operands, exact + self._operands)
            new = torch.where(self._set, self._operands, moved)
        new = new.to(old.dtype)
        if self._can_overflow:
            self._overflowed = (new.isinf() & exact.isfinite()).sum() + self._overflowed
        return new

    def whole(self, values: torch.Tensor, columns: torch.Tensor) -> torch.Tensor | None:
        """The operands among those that change nothing, [extent]; see `Writer`."""
        if self.only not in ("scale", "add") or self._can_overflow or values.itemsize > 4:
            return None
        nothing = 1.0 if self.only == "scale" else -0.0  # 0.0 would make -0.0 a 0.0
        whole = self._operands.new_full(values.shape[-1:], nothing)
        return whole.index_copy_(0, columns, self._operands)

    def _stays_finite(self, dtype: torch.dtype) -> bool:
        """Whether no finite value can become infinite: scaled by 1 at most, or less added than
        half a step of the largest number, so that even that is rounded to itself."""
        computed = min(dtype, torch.float32, key=lambda one: torch.finfo(one).max)
        step = torch.finfo(computed).max * torch.finfo(computed).eps / 2
        bound = torch.where(self._scale, 1.0, step / 4)
        return bool((self._set | (self._operands.abs() <= bound)).all())

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
    """One `Write` at its site, counted in `seen`.

    Args:
        part: the view of what a hook sees that is to be written, None for none of it; by default
            all of it.
    """

    def __init__(
        self,
        site: Site,
        write: Write,
        seen: SiteReport,
        part: Callable[[torch.Tensor], torch.Tensor | None] | None = None,
    ) -> None:
        self.columns = written_columns(site, write)
        self.operands = Operands(site, [write])
        self._extent = site.extent
        self._seen = seen
        self._part = part
        self._met: tuple[Any, ...] | None = None
        self._again: Callable[[torch.Tensor], torch.Tensor] | None = None
        self._overwrites = 0

    def has_changed(self) -> bool:
        """Whether a change was counted; waits for the device."""
        return self._seen.changed > 0

    def __call__(self, values: torch.Tensor, compare: bool) -> None:
        """Write into `values` [..., neuron]; `compare` what is there before and after."""
        if self._part is not None:
            written = self._part(values)
            if written is None:
                return self._seen.count(0, None)
            values = written
        met = values.shape, values.dtype, values.device, values.requires_grad
        if met != self._met:
            self._meet(values)
            self._met = met
        again, columns, changed = self._again, self.columns, None
        old = values.index_select(-1, columns) if compare or again is None else values
        if again is not None:
            again(values)
        else:
            values.index_copy_(-1, columns, self.operands.moved(old))
        if compare:
            changed = (old != values.index_select(-1, columns)).sum()
        self._seen.count(self._overwrites, changed)

    def _meet(self, values: torch.Tensor) -> None:
        """Prepare what is written into tensors like these, one operation each: the same for every
        token, and a token costs as little."""
        columns = self.columns = self.columns.to(values.device)
        self._overwrites = values.numel() // self._extent * self._seen.neurons
        rounded = self.operands.meet(values)
        self._again = None
        if self.operands.only == "set":
            source = rounded.expand(*values.shape[:-1], -1)
            self._again = lambda values: values.index_copy_(-1, columns, source)
        elif not values.requires_grad:
            # Of all neurons: the others stay bit for bit as they are, and float32 is rounded once.
            whole = self.operands.whole(values, columns)
            if whole is not None and self.operands.only == "scale":
                self._again = lambda values: values.mul_(whole)
            elif whole is not None:
                self._again = lambda values: values.add_(whole)


def written_columns(site: Site, write: Write) -> torch.Tensor:
    """Where a write's neurons are along the last axis of its site's tensor."""
    columns = write.indices if site.columns is None else site.columns[write.indices]
    return torch.as_tensor(columns, dtype=torch.long)
