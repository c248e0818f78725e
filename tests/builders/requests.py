"""Requests of every kind, as lm-eval makes them, and a model's answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance

TEXTS = [
    "Der Hund schläft.",
    "Куда идёт поезд?",
    "今天天气很好",
    "a",
    "El gato come pescado fresco.",
]
KINDS = ["loglikelihood", "loglikelihood_rolling", "generate_until"]


def requests(kind: str, texts: Sequence[str] = TEXTS, **options: Any) -> list[Instance]:
    """One of a kind for every text, two of choices; `options` are of generation."""
    if kind == "loglikelihood":
        arguments: list[Any] = [(text, " " + word) for text in texts for word in ("ja", "nein")]
    elif kind == "loglikelihood_rolling":
        arguments = [(text * 3,) for text in texts]
    else:
        arguments = [(text, {"until": ["\n"], "max_gen_toks": 8, **options}) for text in texts]
    return [Instance(kind, {}, args, number) for number, args in enumerate(arguments)]


def answers(model: Any, kinds: Sequence[str] = KINDS, **options: Any) -> dict[str, list[Any]]:
    """By kind, what the model answers."""
    return {kind: getattr(model, kind)(requests(kind, **options)) for kind in kinds}
