"""Masks held against each other: what languages share, and what two masks of a model share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.masks.algebra import combine
from lsn_eval.masks.content import MaskContent
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.hookpoints import HOOKPOINTS

# Within one mask ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LanguageOverlap:
    """Neurons that pairs of languages share; a language's own count is on the diagonal."""

    languages: tuple[str, ...]
    counts: NDArray[np.int64]
    """[language, language]"""

    @property
    def jaccard(self) -> NDArray[np.float64]:
        """Jaccard index [language, language]; NaN between two languages without neurons."""
        own = np.diagonal(self.counts).astype(np.float64)
        either = own[:, None] + own[None, :] - self.counts
        return np.divide(
            self.counts, either, out=np.full(self.counts.shape, np.nan), where=either > 0
        )


def language_overlap(mask: NeuronMask, hookpoint: str | None = None) -> LanguageOverlap:
    """Which neurons the languages of a mask share, at all of its hookpoints or one."""
    sets = [positions(mask, language, hookpoint) for language in mask.languages]
    counts = [[np.intersect1d(a, b, assume_unique=True).size for b in sets] for a in sets]
    return LanguageOverlap(mask.languages, np.array(counts, np.int64))


def layer_distribution(mask: NeuronMask, hookpoint: str) -> NDArray[np.int64]:
    """Neurons [language, layer] at a hookpoint, layers in the model's order."""
    nowhere = [0] * len(mask.model.layers)
    counts = [mask.layer_counts(language).get(hookpoint, nowhere) for language in mask.languages]
    return np.array(counts, np.int64)


def positions(mask: MaskContent, language: str, hookpoint: str | None = None) -> NDArray[np.int64]:
    """Sorted numbers that tell the neurons of a mask apart over hookpoints and layers."""
    widest = max(mask.model.widths.values())
    start = {at: widest * n for n, at in enumerate(product(HOOKPOINTS, mask.model.layers))}
    at_places = [
        start[place] + mask.indices(language, *place).astype(np.int64)
        for place in mask.places(language)
        if hookpoint in (None, place[0])
    ]
    return np.concatenate([np.zeros(0, np.int64), *at_places])


# Between two masks ----------------------------------------------------------------------------


@dataclass(frozen=True)
class LanguageDifference:
    """Neurons of one language in two masks, at one hookpoint or at all ("all")."""

    language: str
    hookpoint: str
    first: int
    second: int
    shared: int

    @property
    def only_first(self) -> int:
        return self.first - self.shared

    @property
    def only_second(self) -> int:
        return self.second - self.shared

    @property
    def jaccard(self) -> float:
        """Neurons of both masks over neurons of either; NaN where neither has any."""
        either = self.first + self.second - self.shared
        return self.shared / either if either else float("nan")

    def as_json(self) -> dict[str, Any]:
        """Every figure in plain types, the derived ones too."""
        return asdict(self) | {
            "only_first": self.only_first,
            "only_second": self.only_second,
            "jaccard": None if np.isnan(self.jaccard) else self.jaccard,
        }


@dataclass(frozen=True, eq=False)
class MaskDifference:
    """What two masks of one model have in common. A language in one mask alone counts as having
    no neurons in the other."""

    by_language: tuple[LanguageDifference, ...]
    by_hookpoint: tuple[LanguageDifference, ...]
    """For each language and hookpoint; empty where the masks have one and the same hookpoint."""
    only_in_first: tuple[str, ...]
    """Languages that the second mask does not name."""
    only_in_second: tuple[str, ...]
    same: bool
    """Neurons, controls and stored values are all equal."""

    def as_json(self) -> dict[str, Any]:
        """Everything in plain types."""
        return {
            "same": self.same,
            "languages": [entry.as_json() for entry in self.by_language],
            "hookpoints": [entry.as_json() for entry in self.by_hookpoint],
            "languages_only_in_first": list(self.only_in_first),
            "languages_only_in_second": list(self.only_in_second),
        }


def mask_difference(first: NeuronMask, second: NeuronMask) -> MaskDifference:
    """Compare two masks language by language.

    Raises:
        MaskError: they are of different models.
    """
    both = combine(first, second, "overlap")
    languages = list(dict.fromkeys([*first.languages, *second.languages]))
    hookpoints = [at for at in HOOKPOINTS if at in {*first.hookpoints, *second.hookpoints}]

    def entry(language: str, hookpoint: str | None) -> LanguageDifference:
        counts = [
            positions(mask, language, hookpoint).size if language in mask.languages else 0
            for mask in (first, second, both)
        ]
        return LanguageDifference(language, hookpoint or "all", *counts)

    return MaskDifference(
        tuple(entry(language, None) for language in languages),
        tuple(
            entry(language, at)
            for language in languages
            for at in hookpoints
            if len(hookpoints) > 1
        ),
        tuple(language for language in first.languages if language not in second.languages),
        tuple(language for language in second.languages if language not in first.languages),
        first.digest == second.digest,
    )
