"""`Pair`: what a condition that steers did to text of one language: how many answers came in the
language that it steers to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

from lsn_eval.comparing.answer_languages import answer_languages
from lsn_eval.comparing.panels import Change, Panel
from lsn_eval.conditions import steering
from lsn_eval.errors import LsnError
from lsn_eval.results.languages import LANGUAGE_ACCURACY, target_of


@dataclass(frozen=True)
class Pair:
    """A condition that steers, on text of one language that it steers away from."""

    condition: str
    source: str
    """Of the text."""
    target: str
    change: Change
    """Of the accuracy against the target: the success rate is its value."""

    @property
    def succeeded(self) -> bool | None:
        """Whether the rate rose, and further than under any control; None where that cannot be
        told."""
        change = self.change
        if change.shift is None or change.interval is None:
            return None
        return change.interval[0] > 0 and change.shift > max(change.controls.values(), default=0.0)

    def interval(self, level: float) -> tuple[float, float] | None:
        """Of the success rate: the score interval of Wilson (1927), which holds for rates of 0 and
        1 and for few documents, too. None where the number of documents is not known."""
        rate, count = self.change.row.value, self.change.documents or self.change.row.documents
        if not count:
            return None
        z = NormalDist().inv_cdf((1 + level) / 2)
        centre = (rate + z * z / (2 * count)) / (1 + z * z / count)
        half = z / (1 + z * z / count)
        half *= math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
        return max(0.0, centre - half), min(1.0, centre + half)


def pairs(panel: Panel) -> list[Pair]:
    """The pairs of a panel of accuracy against a target: from the languages whose neurons a
    condition weakens, where it says which, else from every other language of the text."""
    target = target_of(panel.metric)
    found = []
    for condition in panel.conditions if target else ():
        steered = steering(condition)
        if steered is None or target not in steered.targets:
            continue
        for source in panel.languages:
            change = panel.change(condition, source)
            if source != target and source in (steered.sources or panel.languages) and change:
                found.append(Pair(condition, source, target, change))
    return found


def answer_counts(panel: Panel) -> Iterator[tuple[str, str, Counter[str]]]:
    """Condition, language of the text, and how many answers are in which language; of a panel of
    language accuracy, controls left out, as far as answers were logged."""
    for condition in panel.conditions if panel.metric == LANGUAGE_ACCURACY else ():
        for language in panel.languages:
            change = panel.change(condition, language)
            try:
                labels = answer_languages(change.row) if change else ()
            except LsnError:  # which `with_targets` says, and the change has no test for it
                labels = ()
            if labels:
                yield condition, language, Counter(labels)
