"""What lm-eval looks up by name: the metric `lsn_language_accuracy`, the aggregation `lsn_ratio`.

In anybody's YAML, without further code:

    metric_list:
      - metric: lsn_language_accuracy
        language: de
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lm_eval.api.metrics  # noqa: F401 - fills the registries
from lm_eval.api.registry import (
    aggregation_registry,
    higher_is_better_registry,
    metric_agg_registry,
    metric_registry,
)

from lsn_eval.language_scores import LanguageScoreError, score_text
from lsn_eval.results.languages import LANGUAGE_ACCURACY

METRIC = LANGUAGE_ACCURACY
RATIO = "lsn_ratio"


def ratio(items: Sequence[tuple[float, float]]) -> float:
    """Sum of the first over sum of the second numbers; 0 where that is nothing."""
    total = sum(of for _, of in items)
    return sum(part for part, _ in items) / total if total else 0.0


def language_accuracy(
    predictions: Sequence[str],
    references: Sequence[Any] = (),
    language: str | None = None,
    **settings: Any,
) -> float:
    """Share of predictions in `language`; references are not looked at.

    Args:
        predictions: generated texts.
        references: what lm-eval passes along.
        language: under the metric in the YAML.
        **settings: `lid` and `confidence`, as for `language_metrics`.

    Raises:
        LanguageScoreError: no language was given.
    """
    if language is None:
        raise LanguageScoreError(
            f"the metric {METRIC} was given no language; write `language: de` under it in the "
            "task's metric_list"
        )
    scores = [score_text(text, language, **settings) for text in predictions]
    return sum(score.correct for score in scores) / len(scores)


def _register() -> None:
    """Leave a name that is taken: by an entry point through which this module is being loaded."""
    for registry, name, target in (
        (aggregation_registry, RATIO, ratio),
        (metric_registry, METRIC, language_accuracy),
        (metric_agg_registry, METRIC, aggregation_registry.get("mean")),
        (higher_is_better_registry, METRIC, True),
    ):
        if name not in registry:
            registry.register(name, target=target)


_register()
