"""Documents from facts and templates, and the rule that keeps the three splits apart.

Every document is about an unordered pair of territories. The pair alone decides the split:
``sha256("AT+BE") mod 20`` (codes sorted; the digest's first eight bytes, big-endian) is 0 for
held-out, 1 for recording, anything else for training. The rule does not look at the language, so
a pair held out in one language is unseen in all of them. Facts about a single territory (its
currency, its city) do occur in every split; a pair of territories never does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, count, islice
from random import Random
from typing import Literal

from demo_corpus import (
    sentences_ar,
    sentences_de,
    sentences_en,
    sentences_nl,
    sentences_ru,
    sentences_zh,
)
from demo_corpus.territories import TERRITORIES, territory_facts
from demo_corpus.values import draw_values

Split = Literal["held-out", "recording", "training"]

SENTENCES = {
    "en": sentences_en,
    "de": sentences_de,
    "nl": sentences_nl,
    "ru": sentences_ru,
    "ar": sentences_ar,
    "zh": sentences_zh,
}
LANGUAGES: tuple[str, ...] = tuple(SENTENCES)

HELD_OUT_SEED = 1
"""The held-out documents are one fixed set: ``held_out_documents`` takes no seed."""
HELD_OUT_DOCUMENTS = 48
"""Held-out documents per language; fewer than the held-out pairs, so no pair comes twice."""


@dataclass(frozen=True)
class Document:
    """One text, its language, and the territory pair that decided its split."""

    id: str
    language: str
    pair: tuple[str, str]
    text: str


def split_of(pair: tuple[str, str]) -> Split:
    """The split that a pair of territories belongs to (the rule in the module's docstring)."""
    key = "+".join(sorted(pair)).encode()
    bucket = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % 20
    return "held-out" if bucket == 0 else "recording" if bucket == 1 else "training"


@cache
def pairs_of(split: Split) -> tuple[tuple[str, str], ...]:
    """All territory pairs of a split, sorted."""
    return tuple(pair for pair in combinations(TERRITORIES, 2) if split_of(pair) == split)


def write_document(rng: Random, language: str, pair: tuple[str, str]) -> str:
    """One text of four or five sentences about ``pair``, which comes in a random order."""
    module = SENTENCES[language]
    first, second = rng.sample(pair, 2)
    a, b = territory_facts(first, language), territory_facts(second, language)
    slots = draw_values(rng, language, a.currency_code)
    slots |= {
        "a": a.name, "a_city": a.city, "a_currency": a.currency, "a_code": a.currency_code,
        "a_language": a.language, "a_week_start": a.week_start,
        "b": b.name, "b_city": b.city, "b_currency": b.currency, "b_language": b.language,
        "item": rng.choice(module.ITEMS),
    }  # fmt: skip
    others = sorted(set(module.TEMPLATES) - {"place", "pair"})
    kinds = [*rng.sample(others, rng.randrange(2, 4)), "pair"]
    rng.shuffle(kinds)
    sentences = [rng.choice(module.TEMPLATES[kind]).format_map(slots) for kind in ["place", *kinds]]
    joiner = "" if language == "zh" else " "
    return joiner.join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def documents(language: str, split: Split, seed: int) -> Iterator[Document]:
    """Endless documents of a split; every pair is used once before one is used again.

    Raises:
        ValueError: no templates for ``language``.
    """
    if language not in SENTENCES:
        raise ValueError(f"no templates for language {language!r}; there are {list(SENTENCES)}")
    rng = Random(f"{split}/{language}/{seed}")
    pairs: list[tuple[str, str]] = []
    for number in count():
        if not pairs:
            pairs = list(pairs_of(split))
            rng.shuffle(pairs)
        pair = pairs.pop()
        text = write_document(rng, language, pair)
        yield Document(f"{language}-{number:04d}-{'-'.join(pair)}", language, pair, text)


def training_documents(language: str, seed: int) -> Iterator[Document]:
    """Endless documents for training the tokenizer and the model."""
    return documents(language, "training", seed)


def recording_documents(language: str, count: int, seed: int) -> list[Document]:
    """Fresh documents for recording activations: their pairs are in no other split."""
    return list(islice(documents(language, "recording", seed), count))


def held_out_documents(language: str) -> list[Document]:
    """The evaluation documents, always the same; each is about another pair."""
    return list(islice(documents(language, "held-out", HELD_OUT_SEED), HELD_OUT_DOCUMENTS))
