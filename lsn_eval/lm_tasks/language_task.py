"""`LanguageTask`: generated answers, scored for the language they are in."""

from __future__ import annotations

from typing import Any

from lm_eval.api.registry import get_aggregation

from lsn_eval.language_scores import codes, load_identifier, load_stop_words, score_text
from lsn_eval.lm_tasks.base import LsnTask
from lsn_eval.lm_tasks.language_accuracy import METRIC
from lsn_eval.results.languages import TARGET_ACCURACY

SETTINGS = {"lid": "lid", "lid_confidence": "confidence", "stopwords": "stopwords"}
"""`--metadata` names of what `language_metrics` takes."""


class LanguageTask(LsnTask):
    """Measures the language of answers; `language` stands under the YAML's `dataset_kwargs`."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        # Any value tells lm-eval not to look our metrics up as functions of one text.
        scorer = f"{__name__}.{type(self).__name__}"
        super().__init__({**(config or {}), "process_results": scorer})

    @property
    def language(self) -> str:
        """The language asked for."""
        return str((self.config.dataset_kwargs or {})["language"])

    @property
    def scoring(self) -> dict[str, Any]:
        """Arguments of `score_text`, from the metadata."""
        given = self.metadata
        return {ours: given[name] for name, ours in SETTINGS.items() if given.get(name) is not None}

    @property
    def targets(self) -> list[str]:
        """The languages that `--metadata '{"target_language": "zh"}'` names, several with commas:
        what steering is to lead to."""
        named = str(self.metadata.get("target_language") or "")
        return [code for part in named.split(",") if (code := part.strip())]

    def aggregation(self) -> dict[str, Any]:
        """Of the YAML's metrics, and the mean of the accuracy against each target."""
        added = {TARGET_ACCURACY + target: get_aggregation("mean") for target in self.targets}
        return {**super().aggregation(), **added}

    def higher_is_better(self) -> dict[str, bool]:
        """More answers in the target are a better steering."""
        added = dict.fromkeys((TARGET_ACCURACY + target for target in self.targets), True)
        return {**super().higher_is_better(), **added}

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Loads the data; an unusable model or word list is found before anything is generated."""
        super().download(dataset_kwargs, **kwargs)
        for language in (self.language, *self.targets):
            score_text("", language, **self.scoring)
        words = load_stop_words(codes.of_language(self.language), self.scoring.get("stopwords"))
        measured_with = {
            "language_identifier": load_identifier(self.scoring.get("lid")).name,
            "stopword_list": words.name if words else None,
        }
        self.config.metadata = {**self.metadata, **measured_with}

    def process_results(self, doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
        """One document's figures, each logged with its sample."""
        if "bypass" in self._metric_fn_list:  # --predict_only
            return dict(super().process_results(doc, results))
        scores = score_text(results[0], self.language, **self.scoring)
        measured: dict[str, Any] = {
            METRIC: float(scores.correct),
            "mean_length": scores.length,
            "stopword_ratio": scores.stopwords,
            "script_share": scores.script_share,
            "repetition": scores.repetition,
            "empty": float(scores.empty),
        }
        for target in self.targets:
            in_target = codes.counts_as(scores.detected, codes.of_language(target))
            measured[TARGET_ACCURACY + target] = float(in_target)
        return {name: value for name, value in measured.items() if value is not None}
