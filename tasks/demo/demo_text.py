"""Text and metrics of the `lsn_demo_ppl_*` tasks.

A document is scored by rolling log-likelihood: every token, with the tokenizer's BOS or
end-of-text token as prefix. Token perplexity is exp of the summed negative log-likelihood over the
number of tokens scored; the tokenizer comes from the model arguments that lm-eval hands to tasks.
Models without one (`pretrained` not among their arguments) get the byte metrics alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets

from lsn_eval.lm_tasks.token_counts import text_encoder

DATA = Path(__file__).resolve().parent / "data"


def load(language: str, **model_arguments: Any) -> dict[str, datasets.Dataset]:
    """The held-out documents of a language, each with its number of tokens where it is known."""
    lines = (DATA / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    documents = [json.loads(line) for line in lines]
    encode = text_encoder(model_arguments)
    for document in documents:
        document["tokens"] = len(encode(document["text"])) if encode else None
    return {"test": datasets.Dataset.from_list(documents)}


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
