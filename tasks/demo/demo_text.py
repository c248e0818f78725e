"""Text and metrics of the `lsn_demo_ppl_*` tasks.

A document is scored by rolling log-likelihood: every token, with the tokenizer's BOS or
end-of-text token as prefix. Token perplexity is exp of the summed negative log-likelihood over the
number of tokens scored, by the model's tokenizer. Models without one get the byte metrics alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets

from lsn_eval.lm_tasks.token_counts import CountedTexts
from lsn_eval.recording.texts import Document

DATA = Path(__file__).resolve().parent / "data"


class DemoText(CountedTexts):
    """The held-out documents of a language."""

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """The documents come with the task."""
        return self.hub(**settings)

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """All of them."""
        lines = (DATA / f"{settings['language']}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = map(json.loads, lines)
        return self.splits([Document(row["text"], row["id"]) for row in rows])


def process_results(doc: dict[str, Any], results: list[float]) -> dict[str, tuple[float, int]]:
    """Log-likelihood of a document with what it is divided by."""
    (loglikelihood,) = results
    scored = {
        "byte_perplexity": (loglikelihood, len(doc["text"].encode())),
        "bits_per_byte": (loglikelihood, len(doc["text"].encode())),
    }
    if doc["tokens"]:
        scored["token_perplexity"] = (loglikelihood, doc["tokens"])
    return scored
