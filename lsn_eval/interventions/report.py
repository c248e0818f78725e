"""What an intervention did: counted by the hooks, kept in every results file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from lsn_eval.wording.lists import listed
from lsn_eval.wording.shown import Shown

logger = logging.getLogger(__name__)


class SiteCounts(NamedTuple):
    """What the hook at one site counted over a while; see `SiteReport`."""

    calls: int
    overwritten: int
    compared: int
    changed: int


@dataclass(eq=False)
class SiteReport:
    """What the hook at one hookpoint of one layer saw."""

    hookpoint: str
    layer: str
    module: str
    neurons: int
    routed: bool = False
    """Whether it is an expert's, which a token may reach or not."""
    calls: int = 0
    overwritten: int = 0
    """Values written, in every call: neurons times positions, padding included."""
    compared: int = 0
    """Those of them that were held against what was there: all until one has changed, then those
    of the first pass of each kind of shape, and of one pass in `hooks.SAMPLE`."""
    _changed: int | torch.Tensor = 0

    @property
    def changed(self) -> int:
        """Values compared that differ from what was there; 0 only if nothing written differs."""
        if isinstance(self._changed, torch.Tensor):
            self._changed = int(self._changed.item())
        return self._changed

    @property
    def place(self) -> str:
        return f"{self.hookpoint}/{self.layer}"

    def count(self, overwritten: int, changed: torch.Tensor | None) -> None:
        """Add a call, and how many of its values changed where they were compared."""
        self.calls += 1
        self.overwritten += overwritten
        if changed is not None:
            # Stays on the device: reading it here would wait for the device at every layer.
            self.compared += overwritten
            self._changed = changed + self._changed

    def counts(self) -> SiteCounts:
        return SiteCounts(self.calls, self.overwritten, self.compared, self.changed)

    def add(self, seen: SiteCounts) -> None:
        """Add what was counted elsewhere."""
        self.calls += seen.calls
        self.overwritten += seen.overwritten
        self.compared += seen.compared
        self._changed = self.changed + seen.changed

    def reset(self) -> None:
        self.calls = self.overwritten = self.compared = self._changed = 0

    def __str__(self) -> str:
        return f"{self.hookpoint} of layer {self.layer} ({self.module})"


@dataclass(eq=False, repr=False)
class InterventionReport(Shown):
    """What an intervention did: per site, and in sum. It can go on over several `with` blocks."""

    condition: str
    sites: list[SiteReport] = field(default_factory=list)
    overlaps: Mapping[str, int] = field(default_factory=dict)
    """Neurons that belong to two terms, by "EARLIER/LATER"; the later one wrote them."""
    empty: tuple[str, ...] = ()
    """Languages or controls of the condition that have no neurons in the mask."""
    doubts: tuple[str, ...] = ()
    """What speaks against the mask having been made with this model."""

    @property
    def neurons(self) -> int:
        return sum(site.neurons for site in self.sites)

    @property
    def calls(self) -> int:
        return sum(site.calls for site in self.sites)

    @property
    def overwritten(self) -> int:
        return sum(site.overwritten for site in self.sites)

    @property
    def compared(self) -> int:
        return sum(site.compared for site in self.sites)

    @property
    def changed(self) -> int:
        return sum(site.changed for site in self.sites)

    def summary(self) -> tuple[str, list[list[str]]]:
        """The condition and its sums, and the counts of every site."""
        rows = [["hookpoint", "layer", "neurons", "calls", "overwritten", "changed"]]
        for site in self.sites:
            counts = site.neurons, site.calls, site.overwritten, site.changed
            rows.append([site.hookpoint, site.layer, *(f"{count:,}" for count in counts)])
        return f"{self.condition}: {self.overwritten:,} values, {self.changed:,} changed", rows

    @property
    def unchanged_sites(self) -> list[SiteReport]:
        """Sites where every written value equalled the old one (dead neurons)."""
        return [site for site in self.sites if site.overwritten and not site.changed]

    @property
    def unrouted_sites(self) -> list[SiteReport]:
        """Sites at which nothing was written: of experts that no token was routed to, or with
        `@generated` where nothing was generated."""
        return [site for site in self.sites if site.calls + site.routed and not site.overwritten]

    def warn_of_unchanged(self) -> None:
        """Say so where every written value equalled what was there, or none was written."""
        if self.unrouted_sites:
            logger.warning(
                "condition '%s' wrote nothing at %s, of %d sites: no token came there",
                self.condition,
                listed(self.unrouted_sites, 3),
                len(self.sites),
            )
        if self.unchanged_sites:
            logger.warning(
                "condition '%s' overwrote %s with the values that were there: dead neurons?",
                self.condition,
                listed(self.unchanged_sites, 3),
            )

    def to_json(self) -> dict[str, Any]:
        """Counts in plain types, for a results file."""
        by_hookpoint: dict[str, dict[str, int]] = {}
        for site in self.sites:
            counts = {
                "neurons": site.neurons,
                "calls": site.calls,
                "values_overwritten": site.overwritten,
                "values_compared": site.compared,
                "values_changed": site.changed,
            }
            sums = by_hookpoint.setdefault(site.hookpoint, dict.fromkeys(counts, 0))
            for name, count in counts.items():
                sums[name] += count
        unrouted = self.unrouted_sites
        return {
            "hookpoints": by_hookpoint,
            "unchanged": [site.place for site in self.unchanged_sites],
            "overlaps": dict(self.overlaps),
            "empty": list(self.empty),
            **({"unrouted": [site.place for site in unrouted]} if unrouted else {}),
            **({"doubts": list(self.doubts)} if self.doubts else {}),
        }
