"""Translations to test BLEU and its kin with."""

from __future__ import annotations

import numpy as np

WORDS = (  # noqa: SIM905 - a sentence
    "the a cat dog sat ran on under mat house red blue quickly slowly and then went home"
).split()


def translations(count: int, noise: float, seed: int) -> tuple[list[str], list[str], list[str]]:
    generator = np.random.default_rng(seed)
    references, first, second = [], [], []
    for _ in range(count):
        words = list(generator.choice(WORDS, size=generator.integers(5, 15)))
        references.append(" ".join(words))
        for target, share in ((first, 0.25), (second, 0.25 + noise)):
            target.append(
                " ".join(
                    generator.choice(WORDS) if generator.random() < share else w for w in words
                )
            )
    return references, first, second
