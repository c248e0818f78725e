"""Facts compared between languages: P@1, what two languages both know, and training data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import isfinite
from statistics import fmean

from lsn_eval.facts.matches import METRICS
from lsn_eval.facts.predictions import FactsError, Prediction

Facts = Mapping[str, Sequence[Prediction]]
"""By language."""
Score = tuple[float | None, int]
"""A value, None where nothing has one, and the facts it is over."""


def precision(facts: Iterable[Prediction], metric: str) -> Score:
    """P@1: matched facts / facts that the metric is of, and the number of the latter.

    Raises:
        FactsError: there is no such metric.
    """
    if metric not in METRICS:
        raise FactsError(f"--metric {metric!r}: one of {', '.join(METRICS)} was expected")
    values = [fact.matches[metric] for fact in facts if metric in fact.matches]
    return (fmean(values) if values else None), len(values)


def by_relation(facts: Iterable[Prediction]) -> dict[str, list[Prediction]]:
    """Facts by relation, sorted by its name."""
    relations: dict[str, list[Prediction]] = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: fact.relation):
        relations[fact.relation].append(fact)
    return relations


def precisions(facts: Sequence[Prediction], metric: str) -> dict[str, Score]:
    """P@1 of `all` facts, by relation, and the `mean` over the relations that have one."""
    found = {name: precision(of, metric) for name, of in by_relation(facts).items()}
    values = [value for value, _ in found.values() if value is not None]
    mean = fmean(values) if values else None
    return {"all": precision(facts, metric), **found, "mean": (mean, len(values))}


def shared_facts(facts: Facts) -> dict[tuple[str, str], Score]:
    """Jaccard similarity of what two languages predict, over the facts that both have.

    |A n B| / |A u B| of the predicted ones A and B (Zhao et al. 2024; the authors'
    `calculate_langsim_by_objectwise_p1_without_rel`). None where neither language predicts any:
    the authors write 0 there.
    """
    every = {language: {fact.uuid for fact in of} for language, of in facts.items()}
    known = {language: {fact.uuid for fact in of if fact.known} for language, of in facts.items()}
    similar = {}
    for one, other in combinations(facts, 2):
        both = every[one] & every[other]
        a, b = known[one] & both, known[other] & both
        similar[one, other] = (len(a & b) / len(a | b) if a | b else None), len(both)
    return similar


def correlation(facts: Facts, sizes: Mapping[str, float], metric: str) -> tuple[float, float, int]:
    """Pearson's r of P@1 with the sizes of training data, its two-sided p, and how many languages.

    Raises:
        FactsError: fewer than three languages have both, or one of the two is the same for all, or
            a size is not finite.
    """
    from scipy.stats import pearsonr

    if no_size := [language for language, size in sizes.items() if not isfinite(size)]:
        raise FactsError(f"the size of {', '.join(no_size)} is no finite number")
    scores = {language: precision(of, metric)[0] for language, of in facts.items()}
    pairs = [
        (sizes[at], score) for at, score in scores.items() if at in sizes and score is not None
    ]
    if len(pairs) < 3 or any(len(set(values)) < 2 for values in zip(*pairs, strict=True)):
        raise FactsError(
            f"{len(pairs)} languages have both a size and a P@1; three at least were expected, of "
            "different sizes and P@1"
        )
    found = pearsonr(*zip(*pairs, strict=True))
    return float(found.statistic), float(found.pvalue), len(pairs)
