"""`lsn_confusion_{set}_{lang}`: the Language Confusion Benchmark's prompts and pass rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.instance import Instance

from lsn_eval.language_scores.confusion import WITH_WORDS, confusion
from lsn_eval.lm_tasks.langacc import seeded
from lsn_eval.lm_tasks.language_task import LanguageTask
from lsn_eval.lm_tasks.local_data import LocalDataError, local_file
from lsn_eval.storage.outside_files import csv_rows


class ConfusionTask(LanguageTask):
    """Prompts of one set and language, from the YAML's `dataset_kwargs`."""

    WHERE = (
        "run: python scripts/fetch_data.py --data-root DIR language_confusion (or unpack "
        "test_sets.zip of github.com/for-ai/language-confusion there, and put its file words into "
        "language_confusion)"
    )

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """`test_sets/SET/LANGUAGE.csv`, of the release; a seed for each prompt."""
        path = local_file(root, [f"test_sets/{settings['set']}/{self.language}.csv"], self.WHERE)
        prompts = [
            row["prompt"] for _, row in csv_rows(path, ["prompt"], LocalDataError, self.WHERE)
        ]
        if not prompts or not all(prompts):
            raise LocalDataError(f"{path} has no prompts, or a row without; {self.WHERE}")
        documents = [{"prompt": prompt, "seed": n} for n, prompt in enumerate(prompts, start=1)]
        return {"test": datasets.Dataset.from_list(documents)}

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Loads the prompts; a missing word list or segmenter is found before any generation."""
        super().download(dataset_kwargs, **kwargs)
        counting = {"segmenter": self.metadata.get("segmenter", "words")}
        if self.language in WITH_WORDS:
            words = self.metadata.get("english_words")
            if words is None and self.root is not None:
                words = str(local_file(self.root, ["language_confusion/words"], self.WHERE))
            counting["words"] = words
        self._counting = {"lid": self.scoring.get("lid"), **counting}
        confusion("", self.language, **self._counting)
        self.config.metadata = {**self.metadata, "segmenter": counting["segmenter"]}

    def construct_requests(self, doc: dict[str, Any], ctx: str, **kwargs: Any) -> Instance:
        """A request that is sampled with the prompt's own seed."""
        return seeded(super().construct_requests(doc, ctx, **kwargs), doc["seed"])

    def process_results(self, doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
        """One answer's figures; pass rates as pairs, which `lsn_ratio` adds up."""
        measured = super().process_results(doc, results)
        if "bypass" in self._metric_fn_list:  # --predict_only
            return measured
        found = confusion(results[0], self.language, **self._counting)
        measured |= {"line_pass_rate": found.line_pass, "with_lines": float(found.lines > 0)}
        return measured | ({} if found.word_pass is None else {"word_pass_rate": found.word_pass})
