"""`StackedIntervention`: several conditions in one batch, each on rows of its own.

The batch is `conditions x rows` long: the first `rows` rows are under the first condition, the
next `rows` under the second, and so on. Every site has one hook, which writes all conditions. What
is written, and what is counted of it, is what each condition alone would write and count; what is
compared is the same kinds of passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from lsn_eval.conditions import Write
from lsn_eval.errors import InterventionError
from lsn_eval.interventions.hooks import Hook, installed
from lsn_eval.interventions.intervention import Intervention
from lsn_eval.interventions.report import SiteCounts
from lsn_eval.interventions.writers import Operands, written_columns
from lsn_eval.models.hookpoints import Site
from lsn_eval.models.layout import Place


class StackedWriter:
    """All conditions' writes at one site; a condition that does not write there has None."""

    def __init__(self, site: Site, writes: Sequence[Write | None]) -> None:
        self._site = site
        self._sizes = [0 if write is None else write.indices.size for write in writes]
        present = [write for write in writes if write is not None]
        self.operands = Operands(site, present)
        self.columns = torch.cat([written_columns(site, write) for write in present])
        self._conditions = torch.arange(len(writes)).repeat_interleave(torch.tensor(self._sizes))
        self.start(0)

    def start(self, rows: int) -> None:
        """Count anew; `rows` is the rows of one condition."""
        self._rows = rows
        self._calls = self._positions = self._compared = 0
        self._changed = torch.zeros((), dtype=torch.long)

    def has_changed(self) -> bool:
        """Whether a change was counted for every condition; waits for the device."""
        return all(self.counts(n).changed for n, size in enumerate(self._sizes) if size)

    def __call__(self, values: torch.Tensor, compare: bool) -> None:
        """Write into `values` [conditions * rows, ..., neuron], and `compare` with what was."""
        conditions = len(self._sizes)
        if values.ndim < 3 or values.shape[0] != conditions * self._rows:
            raise InterventionError(
                f"{self._site} has the shape {list(values.shape)}; [{conditions} conditions x "
                f"{self._rows} rows, position, neuron] was expected, so that each row is under its "
                "own condition. This model cannot generate for several conditions at once; give "
                "--stack 0"
            )
        if self.columns.device != values.device:
            self.columns = self.columns.to(values.device)
            self._conditions = self._conditions.to(values.device)
        # [position, condition, neuron]: indexing the last two gives [position, written].
        view = values.view(conditions, -1, values.shape[-1]).transpose(0, 1)
        place = (slice(None), self._conditions, self.columns)
        sets = self.operands.only == "set"
        old = values[:0] if sets and not compare else view[place]
        view[place] = self.operands.meet(values) if sets else self.operands.moved(old)
        if compare:
            self._changed = old.ne(view[place]).sum(0) + self._changed.to(values.device)
            self._compared += view.shape[0]
        self._calls += 1
        self._positions += view.shape[0]

    def counts(self, condition: int) -> SiteCounts:
        """What was counted for one condition since `start`."""
        size = self._sizes[condition]
        first = sum(self._sizes[:condition])
        changed = int(self._changed[first : first + size].sum()) if self._compared else 0
        return SiteCounts(self._calls, self._positions * size, self._compared * size, changed)


class StackedIntervention:
    """Conditions on one loaded model, each for rows of its own; None leaves its rows as they are.

    The interventions are only read; their own counts stay as they are.
    """

    def __init__(self, members: Sequence[Intervention | None]) -> None:
        self._members = list(members)
        self._written: dict[Place, tuple[Hook, StackedWriter]] = {}
        for member in filter(None, members):
            for place in member.plan.writes:
                if place not in self._written:
                    site = member.hookpoints.site(*place)
                    writes = [one.plan.writes.get(place) if one else None for one in members]
                    writer = StackedWriter(site, writes)
                    hook = Hook(member.hookpoints, site, writer)
                    self._written[place] = hook, writer
        self._finished: dict[int, list[SiteCounts]] = {}

    @contextmanager
    def active(self, rows: int) -> Iterator[None]:
        """Write while the block runs, with fresh counts; `rows` is the rows of one condition.

        Raises:
            InterventionError: a tensor whose first axis is not `conditions x rows`; or as
                `Intervention.active` does.
        """
        self._finished = {}
        for hook, writer in self._written.values():
            writer.start(rows)
            hook.look_again()
        with installed(hook for hook, _ in self._written.values()):
            yield

    def finish(self, condition: int) -> None:
        """What runs from now on is no longer counted for this condition."""
        self._finished[condition] = self._now(condition)

    def counts(self, condition: int) -> list[SiteCounts]:
        """Site by site, what was counted for a condition, until it finished."""
        finished = self._finished.get(condition)
        return self._now(condition) if finished is None else finished

    def _now(self, condition: int) -> list[SiteCounts]:
        member = self._members[condition]
        writes = () if member is None else member.plan.writes
        return [self._written[place][1].counts(condition) for place in writes]
