"""Hooks that read a model's neurons while it runs once, and never write.

with observing(model.sites, accumulators, batch) as seen:
    model.run(batch.ids, batch.attention)
seen.responses
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lsn_eval.errors import RecordingError
from lsn_eval.models.hookpoints import Site
from lsn_eval.recording.packing import Row
from lsn_eval.recording.recorded_model import onto
from lsn_eval.statistics.quantiles import FLOAT16_MAX

Place = tuple[str, str]
"""A hookpoint and a layer."""

WAITING_ROWS = 256
"""Sampled tokens, and means of texts, that may stay on the device until they are fetched."""

NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of tokens, padded on the right, and which of their positions count."""

    ids: torch.Tensor
    """Token ids [row, position]."""
    attention: torch.Tensor | None
    """1 at tokens and 0 at padding [row, position]; None where nothing is padded."""
    counted: NDArray[np.bool_]
    """Positions to record [row, position]."""
    first_row: int
    """Number of the first row in its corpus."""

    @staticmethod
    def of(rows: Sequence[Row], first_row: int, pad: int, skipped: NDArray[np.int64]) -> Batch:
        """A batch of `rows` that does not count the ids `skipped`."""
        sizes = np.array([row.size for row in rows])
        real = np.arange(sizes.max()) < sizes[:, None]
        ids = np.full(real.shape, pad, np.int64)
        ids[real] = np.concatenate(rows)
        return Batch(
            ids=torch.from_numpy(ids),
            attention=None if real.all() else torch.from_numpy(real.astype(np.int64)),
            counted=real & ~np.isin(ids, skipped) if skipped.size else real,
            first_row=first_row,
        )

    @property
    def tokens(self) -> int:
        return int(self.counted.sum())

    def places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row in its corpus, and position, of every counted token."""
        rows, positions = np.nonzero(self.counted)
        return rows + self.first_row, positions


@contextmanager
def observing(
    sites: Sequence[Site],
    accumulators: Mapping[Place, Any],
    batch: Batch,
    *,
    sampled: NDArray[np.int64] = NOTHING,
    per_text: bool = False,
) -> Iterator[Observation]:
    """Read every site at the one forward pass in the block. Every hook goes, also by an exception.

    Args:
        accumulators: the values [token, neuron] of the counted tokens are added to them.
        sampled: numbers of the counted tokens whose values are kept.
        per_text: keep the mean of every row.

    Raises:
        RecordingError: a site did not fire, or more than once.
    """
    observation = Observation(accumulators, batch, sampled, per_text)
    with ExitStack() as stack:
        for site in sites:
            stack.callback(_hook(site, observation).remove)
        yield observation
    observation.check(sites)


class Observation:
    """What one forward pass showed, once it is through."""

    def __init__(
        self,
        accumulators: Mapping[Place, Any],
        batch: Batch,
        sampled: NDArray[np.int64],
        per_text: bool,
    ) -> None:
        self.sampled: dict[Place, Any] = {}
        """Values [token, neuron] of the tokens that were to be sampled, float16."""
        self.responses: dict[Place, Any] = {}
        """Means [row, neuron] of the rows that have counted tokens, float16."""
        self._accumulators, self._batch = accumulators, batch
        self._fired = dict.fromkeys(accumulators, 0)
        self._sizes = [int(size) for size in batch.counted.sum(1) if size] if per_text else []
        counted = torch.from_numpy(np.flatnonzero(batch.counted))
        self._counted = None if len(counted) == batch.ids.numel() else counted
        self._sampled = torch.from_numpy(sampled)
        # For experts: number of every position among the counted ones, and place of every counted
        # one among the sampled; -1 where it is none.
        self._numbers = _places(counted, batch.ids.numel())
        self._places = _places(self._sampled, len(counted))

    def see(self, site: Site, output: Any) -> None:
        """Take in what a module put out."""
        place = site.hookpoint, site.layer
        self._fired[place] += 1
        values = _checked(output, site, self._batch)
        if site.expert is not None:
            self._see_expert(site, values)
            return
        if self._counted is not None:
            self._counted = onto(self._counted, values.device)
            values = values.index_select(0, self._counted)
        if self._sizes:
            means = self._accumulators[place].add(values, self._sizes)
            self.responses[place] = _waiting(means)
        else:
            self._accumulators[place].add(values)
        if len(self._sampled):
            self._sampled = onto(self._sampled, values.device)
            self.sampled[place] = _waiting(values.index_select(0, self._sampled))

    def _see_expert(self, site: Site, values: torch.Tensor) -> None:
        """Take in the values [row, neuron] of the tokens that reached an expert; sampled tokens
        that did not are NaN."""
        assert site.expert is not None
        place, device = (site.hookpoint, site.layer), values.device
        self._numbers, self._places = self._numbers.to(device), self._places.to(device)
        numbers = self._numbers[site.expert.tokens.to(device)]
        values, numbers = values[numbers >= 0], numbers[numbers >= 0]
        if len(values):
            self._accumulators[place].add(values)
        if len(self._sampled):
            places = self._places[numbers]
            halves = values.new_full((len(self._sampled), site.width), torch.nan, dtype=torch.half)
            halves[places[places >= 0]] = _as_float16(values[places >= 0])
            self.sampled[place] = _waiting(halves)

    def check(self, sites: Sequence[Site]) -> None:
        """Check that every site was seen once, an expert that no token reached apart."""
        for site in sites:
            place = site.hookpoint, site.layer
            fired = self._fired[place]
            if site.expert is not None and not fired:
                if len(self._sampled):
                    unseen = torch.full((len(self._sampled), site.width), torch.nan)
                    self.sampled[place] = unseen.half()
            elif fired != 1:
                raise RecordingError(
                    f"{site} fired {fired} times in one forward pass and once was expected: this "
                    "model does not call the module in the way of its family (a fused kernel, or "
                    "gradient checkpointing?). Load the model without that"
                )


def fetched(parts: Sequence[torch.Tensor]) -> NDArray[np.float16]:
    """Rows [row, neuron] of observations, one after the other, from where they wait."""
    return torch.cat([part.cpu() for part in parts]).numpy()


def _waiting(values: torch.Tensor) -> torch.Tensor:
    """Our own `values` in float16, until they are fetched. The first batches are sampled nearly
    whole: too much to pile up on the device. The few tokens of later ones wait there, for a copy
    from it waits until it is through."""
    halves = _as_float16(values)
    return halves.cpu() if len(halves) > WAITING_ROWS else halves


def _places(indices: torch.Tensor, count: int) -> torch.Tensor:
    """The place of each of `count` numbers among `indices`; -1 where it is none of them."""
    places = torch.full((count,), -1)
    places[indices] = torch.arange(len(indices))
    return places


def _hook(site: Site, observation: Observation) -> Any:
    if site.side == "output":
        return site.module.register_forward_hook(
            lambda module, args, output: observation.see(site, output)
        )

    return site.module.register_forward_pre_hook(
        lambda module, args: observation.see(site, args[0] if args else None)
    )


def _as_float16(values: torch.Tensor) -> torch.Tensor:
    """`values`, which are ours to change; what is beyond float16 becomes its largest number."""
    return values.clamp_(-FLOAT16_MAX, FLOAT16_MAX).to(torch.float16)


def _checked(output: Any, site: Site, batch: Batch) -> torch.Tensor:
    """The site's values [token, neuron] at every position of the batch."""
    if not isinstance(output, torch.Tensor):
        raise RecordingError(f"{site} is a {type(output).__name__}; one tensor was expected")
    tokens = batch.ids.numel() if site.expert is None else len(site.expert.tokens)
    if output.shape[-1] != site.extent or output.numel() != tokens * site.extent:
        raise RecordingError(
            f"{site} is {list(output.shape)} for tokens {list(batch.ids.shape)}, and the last axis "
            f"was to be {site.extent}: is the layer split over devices (tensor parallelism)? Load "
            "the model without that"
        )
    values = output.detach().reshape(-1, site.extent)
    if site.columns is None:
        return values
    first, count = int(site.columns[0]), len(site.columns)
    if np.array_equal(site.columns, np.arange(first, first + count)):
        return values.narrow(1, first, count)  # a view
    return values.index_select(1, torch.from_numpy(site.columns).to(values.device))
