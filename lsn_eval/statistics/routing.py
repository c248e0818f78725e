"""What the router of a mixture of experts did: which share of a language's tokens reached which."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lsn_eval.models.layout import is_routed
from lsn_eval.statistics.content import StatisticsContent

FEW_TOKENS = 1000
"""Tokens of a language that are few for an expert: a rate over as many has a standard error of at
most .016."""


def routing(stats: StatisticsContent) -> dict[str, dict[str, float]]:
    """Share of a language's tokens that reached each routed expert, by language and expert, such as
    `{"de": {"3.17": 0.04}}`; empty where no layer is an expert."""
    if stats.layer_tokens is None:
        return {}
    return {
        language: {
            layer: int(tokens) / max(1, stats.tokens[language])
            for layer, tokens in zip(stats.model.layers, reached, strict=True)
            if is_routed(layer)
        }
        for language, reached in zip(stats.languages, stats.layer_tokens, strict=True)
    }


def rarely_reached(
    stats: StatisticsContent, least: int = FEW_TOKENS
) -> Mapping[str, tuple[str, ...]]:
    """Routed experts that fewer than `least` tokens of a language reached, by language."""
    return {
        language: tuple(
            stats.model.layers[number]
            for number in np.flatnonzero(reached < least)
            if is_routed(stats.model.layers[number])
        )
        for language, reached in zip(stats.languages, stats.tokens_at_layers(), strict=True)
    }


def routing_told(stats: StatisticsContent) -> list[str]:
    """How unevenly each language's tokens reached the experts, a line each."""
    lines, few = [], rarely_reached(stats)
    for language, shares in routing(stats).items():
        least, most = (of(shares, key=shares.__getitem__) for of in (min, max))
        lines.append(
            f"{language}: fewer than {FEW_TOKENS:,} tokens reached {len(few[language]):,} of "
            f"{len(shares):,} experts; {100 * shares[least]:.2g}% of all reached {least}, and "
            f"{100 * shares[most]:.2g}% {most}"
        )
    return lines
