"""What a condition changed: relative change of perplexity, its interval, its rank among controls.

Log-likelihoods are compared document by document: the same documents under two conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lsn_eval.errors import LsnError

RESAMPLES = 2000
SEED = 0


@dataclass(frozen=True)
class DocumentScores:
    """Log-likelihood and number of tokens scored of each document, both [document]."""

    loglikelihood: NDArray[np.float64]
    tokens: NDArray[np.float64]

    @staticmethod
    def of(pairs: Sequence[tuple[float, int]]) -> DocumentScores:
        """From (log-likelihood, tokens) pairs, one a document."""
        columns = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
        return DocumentScores(columns[:, 0], columns[:, 1])

    @property
    def perplexity(self) -> float:
        """exp of the summed negative log-likelihood over the tokens scored."""
        return float(np.exp(-self.loglikelihood.sum() / self.tokens.sum()))


def relative_change(baseline: DocumentScores, condition: DocumentScores) -> float:
    """Perplexity under the condition over perplexity without, minus 1.

    Raises:
        LsnError: the two do not hold the same documents.
    """
    loss, tokens = _paired_loss(baseline, condition)
    return float(np.expm1(loss.sum() / tokens.sum()))


def relative_change_interval(
    baseline: DocumentScores, condition: DocumentScores, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of `relative_change` over documents, paired and seeded."""
    loss, tokens = _paired_loss(baseline, condition)

    def statistic(loss: NDArray[np.float64], tokens: NDArray[np.float64], axis: int) -> ArrayLike:
        return np.expm1(loss.sum(axis=axis) / tokens.sum(axis=axis))

    result = stats.bootstrap(
        (loss, tokens),
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=level,
        method="percentile",
        paired=True,
        vectorized=True,
        rng=np.random.default_rng(SEED),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def rank_p_value(value: float, controls: Sequence[float]) -> float:
    """Chance that as large a value is drawn from the controls: (1 + number at least as large) /
    (1 + number of controls), so that n controls can show 1 / (n + 1) at best (Phipson and Smyth
    2010, section 3)."""
    return (1 + sum(control >= value for control in controls)) / (1 + len(controls))


def _paired_loss(
    baseline: DocumentScores, condition: DocumentScores
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if baseline.tokens.shape != condition.tokens.shape or (
        (baseline.tokens != condition.tokens).any()
    ):
        raise LsnError(
            f"{baseline.tokens.size} documents of {baseline.tokens.sum():.0f} tokens and "
            f"{condition.tokens.size} of {condition.tokens.sum():.0f} cannot be compared; the same "
            "documents, tokenised alike, were expected under both conditions"
        )
    return baseline.loglikelihood - condition.loglikelihood, baseline.tokens
