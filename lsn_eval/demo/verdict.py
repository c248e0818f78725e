"""Whether the demo's picture shows: each language's neurons matter to that language alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lsn_eval.comparing import Panel
from lsn_eval.comparing.panels import Change
from lsn_eval.errors import LsnError
from lsn_eval.wording.numbers import p_value

DIAGONAL_AT_LEAST = 0.05
OFF_DIAGONAL_BELOW = 1 / 5


@dataclass(frozen=True)
class DemoVerdict:
    """Of a panel of perplexities that holds `LANGUAGE:zero` and controls for every language."""

    panel: Panel

    @property
    def languages(self) -> tuple[str, ...]:
        return self.panel.languages

    def change(self, zeroed: str, text: str) -> Change:
        """A cell of the matrix.

        Raises:
            LsnError: it was not measured.
        """
        change = self.panel.change(f"{zeroed}:zero", text)
        if change is None or change.relative is None:
            raise LsnError(f"{zeroed}:zero on text in {text} has no change of perplexity")
        return change

    def relative(self, zeroed: str, text: str) -> float:
        """Perplexity under `zeroed:zero` over perplexity without, minus 1."""
        return self.change(zeroed, text).relative or 0.0

    def controls(self, language: str) -> list[float]:
        """Relative change of each control of a language on that language's text."""
        return [math.expm1(shift) for shift in self.change(language, language).controls.values()]

    def shortcomings(self) -> Iterator[str]:
        """Where the expected picture does not show."""
        for language in self.languages:
            own = self.relative(language, language)
            if own <= DIAGONAL_AT_LEAST:
                yield f"{language}: its own change is {own:+.1%}, not above {DIAGONAL_AT_LEAST:.0%}"
            for other in self.languages:
                change = self.relative(language, other)
                spreads = other != language and abs(change) >= OFF_DIAGONAL_BELOW * own
                if spreads and own > DIAGONAL_AT_LEAST:
                    yield (
                        f"{language}: text in {other} changes by {change:+.1%}, a fifth of "
                        f"{own:+.1%} or more"
                    )
            if own <= max(self.controls(language)):
                yield f"{language}: a random control changes its text as much"

    def __str__(self) -> str:
        """What the matrix shows, in a sentence."""
        lacking = list(self.shortcomings())
        if lacking:
            return "The expected picture does NOT show: " + "; ".join(lacking) + "."
        own = [self.relative(language, language) for language in self.languages]
        others = [abs(self.relative(*pair)) for pair in itertools.permutations(self.languages, 2)]
        controls = [self.controls(language) for language in self.languages]
        count = min(map(len, controls))
        p = max(self.change(language, language).control_p or 1.0 for language in self.languages)
        return (
            f"Setting a language's planted neurons to 0 raises perplexity by {min(own):.1%} to "
            f"{max(own):.1%} on its own text and moves it by at most {max(others):.1%} on any "
            f"other; as many random neurons raise it by at most {max(map(max, controls)):.1%} on "
            f"that text (p = {p_value(p)} or less in every language, and {count} controls can show "
            f"no less than {p_value(1 / (count + 1))})."
        )

    def to_json(self) -> dict[str, Any]:
        """Everything, in plain types."""
        languages = self.languages
        own = {language: self.change(language, language) for language in languages}
        return {
            "languages": list(languages),
            "baseline_token_perplexity": {
                language: change.baseline.value
                for language, change in own.items()
                if change.baseline
            },
            "relative_change": {
                zeroed: {text: self.relative(zeroed, text) for text in languages}
                for zeroed in languages
            },
            "interval_95": {
                language: list(change.relative_interval or ()) for language, change in own.items()
            },
            "controls": {language: self.controls(language) for language in languages},
            "p_value": {language: change.control_p for language, change in own.items()},
            "signatures": {
                condition: change.row.signature
                for (condition, _), change in self.panel.changes.items()
                if condition in self.panel.conditions
            },
            "sentence": str(self),
        }
