"""`StackedIntervention`: several conditions in one batch, each on rows of its own.

The batch is `conditions x rows` long: the first `rows` rows are under the first condition, the
next `rows` under the second, and so on. Every site has one hook, which copies the tensor once and
writes all conditions into the copy. What is written, and what is counted, is what each condition
alone would write and count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch

from lsn_eval.conditions import Write
from lsn_eval.errors import InterventionError
from lsn_eval.interventions.intervention import Intervention, SiteCounts, hook_site
from lsn_eval.interventions.writers import new_values
from lsn_eval.models.hookpoints import Site


class _StackedSite:
    """All conditions' writes at one site; a condition that does not write there has None."""

    def __init__(self, site: Site, writes: Sequence[Write | None]) -> None:
        self.site = site
        parts: dict[str, list[torch.Tensor]] = {
            name: [] for name in ("condition", "column", "operand", "set", "scale")
        }
        self._sizes = [0 if write is None else write.indices.size for write in writes]
        for number, write in enumerate(writes):
            if write is None:
                continue
            columns = write.indices if site.columns is None else site.columns[write.indices]
            parts["condition"].append(torch.full((write.indices.size,), number))
            parts["column"].append(torch.as_tensor(columns, dtype=torch.long))
            parts["operand"].append(torch.as_tensor(write.operands))
            parts["set"].append(torch.as_tensor(write.operations == "set"))
            parts["scale"].append(torch.as_tensor(write.operations == "scale"))
        self._parts = {name: torch.cat(tensors) for name, tensors in parts.items()}
        self._only_sets = bool(self._parts["set"].all())
        self._rows = 0
        self._calls = self._positions = 0
        self._changed: torch.Tensor | None = None

    def start(self, rows: int) -> None:
        self._rows = rows
        self._calls = self._positions = 0
        self._changed = None

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """A copy of `values` [conditions * rows, ..., neuron] with every condition's writes."""
        conditions = len(self._sizes)
        if values.ndim < 3 or values.shape[0] != conditions * self._rows:
            raise InterventionError(
                f"{self.site} has the shape {list(values.shape)}; [{conditions} conditions x "
                f"{self._rows} rows, position, neuron] was expected, so that each row is under its "
                "own condition. This model cannot generate for several conditions at once; give "
                "--stack 0"
            )
        parts = self._parts
        if parts["column"].device != values.device:
            parts = self._parts = {name: part.to(values.device) for name, part in parts.items()}
        result = values.clone(memory_format=torch.contiguous_format)
        # [position, condition, neuron]: indexing the last two gives [position, written].
        view = result.view(conditions, -1, values.shape[-1]).transpose(0, 1)
        place = (slice(None), parts["condition"], parts["column"])
        old = view[place]
        kinds = None if self._only_sets else (parts["set"], parts["scale"])
        new = new_values(old, parts["operand"], kinds)
        view[place] = new
        changed = (old != new).sum(0)
        self._changed = changed if self._changed is None else self._changed + changed
        self._calls += 1
        self._positions += old.shape[0]
        return result

    def counts(self, condition: int) -> SiteCounts:
        """What was counted for one condition since `start`."""
        size = self._sizes[condition]
        if self._changed is None:
            return SiteCounts(0, 0, 0)
        first = sum(self._sizes[:condition])
        changed = int(self._changed[first : first + size].sum())
        return SiteCounts(self._calls, self._positions * size, changed)


class StackedIntervention:
    """Conditions on one loaded model, each for rows of its own; None leaves its rows as they are.

    The interventions are only read; their own counts stay as they are.
    """

    def __init__(self, members: Sequence[Intervention | None]) -> None:
        self._members = list(members)
        sites = {
            place: site
            for member in members
            if member is not None
            for place, site in zip(member.plan.writes, member.sites, strict=True)
        }
        self._sites = {
            place: _StackedSite(
                site, [None if one is None else one.plan.writes.get(place) for one in members]
            )
            for place, site in sites.items()
        }
        self._finished: dict[int, list[SiteCounts]] = {}

    @contextmanager
    def active(self, rows: int) -> Iterator[None]:
        """Write while the block runs, with fresh counts; `rows` is the rows of one condition.

        Raises:
            InterventionError: a tensor whose first axis is not `conditions x rows`; or, on leaving
                normally, a site that never fired or wrote nothing for one of the conditions.
        """
        self._finished = {}
        with ExitStack() as stack:
            for site in self._sites.values():
                site.start(rows)
                hook_site(stack, site.site, site)
            yield
        for number, member in enumerate(self._members):
            if member is not None:
                member.check_fired(self.counts(number))

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
        return [self._sites[place].counts(condition) for place in writes]
