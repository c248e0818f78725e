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

DATA = Path(__file__).resolve().parent / "data"
DEMO_MODEL = "lsn_demo"


def load(language: str, **model_arguments: Any) -> dict[str, datasets.Dataset]:
    """The held-out documents of a language, each with its number of tokens where it is known."""
    lines = (DATA / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    documents = [json.loads(line) for line in lines]
    encode = _encoder(model_arguments)
    for document in documents:
        document["tokens"] = encode(document["text"]) if encode else None
    return {"test": datasets.Dataset.from_list(documents)}


def _encoder(model_arguments: dict[str, Any]) -> Any:
    """A function that counts the tokens that lm-eval's `hf` scores in a text."""
    name = model_arguments.get("tokenizer") or model_arguments.get("pretrained")
    if not isinstance(name, str):
        return None
    import transformers

    if name == DEMO_MODEL:
        from lsn_eval.resources import demo_model_dir

        name = str(demo_model_dir())
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        name,
        revision=str(model_arguments.get("revision", "main")),
        trust_remote_code=bool(model_arguments.get("trust_remote_code", False)),
    )
    add_bos = model_arguments.get("add_bos_token")
    special = {} if add_bos is None else {"add_special_tokens": bool(add_bos)}
    return lambda text: len(tokenizer.encode(text, **special))


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
