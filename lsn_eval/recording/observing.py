"""Hooks that read a model's neurons while it runs, and never write.

with observer.watching():
    observer.begin(batch)
    model(batch.ids)
    observer.end()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lsn_eval.errors import RecordingError
from lsn_eval.models.hookpoints import Site
from lsn_eval.recording.accumulators import SiteAccumulator, text_means
from lsn_eval.recording.packing import Row
from lsn_eval.statistics.quantiles import FLOAT16_MAX

Place = tuple[str, str]
"""A hookpoint and a layer."""

SAMPLED_ON_DEVICE = 256
"""Sampled tokens of a batch that may stay on the device until its end."""


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
        width = max(row.size for row in rows)
        ids = np.full((len(rows), width), pad, np.int64)
        real = np.zeros(ids.shape, bool)
        for number, row in enumerate(rows):
            ids[number, : row.size] = row
            real[number, : row.size] = True
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


class Observer:
    """Reads every site at every batch.

    Args:
        sites: where to read.
        moments: keep sums, squares and maxima besides counts.
        per_text: keep the mean of every row.
    """

    def __init__(self, sites: Sequence[Site], *, moments: bool, per_text: bool) -> None:
        self.sites = list(sites)
        self.per_text = per_text
        self.accumulators: dict[Place, SiteAccumulator] = {
            (site.hookpoint, site.layer): SiteAccumulator(site.width, moments=moments)
            for site in sites
        }
        self.sampled: dict[Place, NDArray[np.float16]] = {}
        """Values [token, neuron] of the tokens chosen of the last batch."""
        self.responses: dict[Place, NDArray[np.float16]] = {}
        """Means [row, neuron] of the rows of the last batch that have counted tokens."""
        self._pending: dict[Place, torch.Tensor] = {}
        self._means: dict[Place, torch.Tensor] = {}
        self._fired: dict[Place, int] = {}
        self._batch: Batch | None = None
        self._chosen = np.zeros(0, np.int64)
        self._all_count = True
        self._indices: dict[tuple[str, torch.device], torch.Tensor] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Read while the block runs. Leaving it, also by an exception, removes every hook."""
        with ExitStack() as stack:
            for site in self.sites:
                stack.callback(_hook(site, self._see).remove)
            yield

    def begin(self, batch: Batch, chosen: NDArray[np.int64]) -> None:
        """Get ready for `batch`; `chosen` are the counted tokens to sample."""
        self._batch, self._chosen = batch, chosen
        self._all_count = bool(batch.counted.all())
        self._fired = dict.fromkeys(self.accumulators, 0)
        self._indices = {}
        self.sampled, self.responses, self._pending, self._means = {}, {}, {}, {}

    def end(self) -> None:
        """Fetch what was sampled, and check that every site was seen once.

        Raises:
            RecordingError: a site did not fire, or more than once.
        """
        for site in self.sites:
            fired = self._fired[site.hookpoint, site.layer]
            if fired != 1:
                raise RecordingError(
                    f"{site} fired {fired} times in one forward pass and once was expected: this "
                    "model does not call the module in the way of its family (a fused kernel, or "
                    "gradient checkpointing?). Load the model without that"
                )
        self.sampled = {place: values.cpu().numpy() for place, values in self._pending.items()}
        self.responses = {
            place: _as_float16(means).cpu().numpy() for place, means in self._means.items()
        }
        self._pending, self._means, self._batch = {}, {}, None

    def _see(self, site: Site, output: Any) -> None:
        batch, place = self._batch, (site.hookpoint, site.layer)
        if batch is None:
            return
        self._fired[place] += 1
        values = self._counted(_checked(output, site, batch), batch)
        self.accumulators[place].add(values)
        if self._chosen.size:
            chosen = values.index_select(0, self._index("chosen", values.device))
            halves = _as_float16(chosen)
            # The first batches are sampled nearly whole: too much to pile up on the device. The
            # few tokens of later ones wait there until the model is through, as must all copies.
            self._pending[place] = halves.cpu() if len(halves) > SAMPLED_ON_DEVICE else halves
        if self.per_text:
            sizes = [int(size) for size in batch.counted.sum(1) if size]
            self._means[place] = torch.stack(list(text_means(values, sizes)))

    def _counted(self, values: torch.Tensor, batch: Batch) -> torch.Tensor:
        if self._all_count:
            return values
        return values.index_select(0, self._index("counted", values.device))

    def _index(self, which: str, device: torch.device) -> torch.Tensor:
        assert self._batch is not None
        if (which, device) not in self._indices:
            index = self._chosen if which == "chosen" else np.flatnonzero(self._batch.counted)
            self._indices[which, device] = torch.from_numpy(index).to(device)
        return self._indices[which, device]


def _hook(site: Site, see: Any) -> Any:
    if site.side == "output":

        def after(module: nn.Module, args: Any, output: Any) -> None:
            see(site, output)

        return site.module.register_forward_hook(after)

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        see(site, args[0] if args else None)

    return site.module.register_forward_pre_hook(before)


def _as_float16(values: torch.Tensor) -> torch.Tensor:
    """`values`, which are ours to change; what is beyond float16 becomes its largest number."""
    return values.clamp_(-FLOAT16_MAX, FLOAT16_MAX).to(torch.float16)


def _checked(output: Any, site: Site, batch: Batch) -> torch.Tensor:
    """The site's values [token, neuron] at every position of the batch."""
    if not isinstance(output, torch.Tensor):
        raise RecordingError(f"{site} is a {type(output).__name__}; one tensor was expected")
    if output.shape[-1] != site.extent or output.numel() != batch.ids.numel() * site.extent:
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
