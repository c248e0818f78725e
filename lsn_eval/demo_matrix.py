"""The demo's matrix: what it holds, whether the expected picture shows, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsn_eval.comparisons import rank_p_value

DIAGONAL_AT_LEAST = 0.05
OFF_DIAGONAL_BELOW = 1 / 5


@dataclass(frozen=True)
class DemoMatrix:
    """Relative change of token perplexity: `change[zeroed language][language of the text]`."""

    languages: tuple[str, ...]
    baseline: Mapping[str, float]
    change: Mapping[str, Mapping[str, float]]
    interval: Mapping[str, tuple[float, float]]
    """95 % bootstrap interval of each diagonal entry."""
    controls: Mapping[str, Sequence[float]]
    """Change of each control of a language on that language's text."""
    signatures: Mapping[str, str]
    """By condition."""

    def p_value(self, language: str) -> float:
        """Rank of the diagonal among the controls."""
        return rank_p_value(self.change[language][language], self.controls[language])

    def shortcomings(self) -> Iterator[str]:
        """Where the expected picture does not show."""
        for language in self.languages:
            own = self.change[language][language]
            if own <= DIAGONAL_AT_LEAST:
                yield f"{language}: its own change is {own:+.1%}, not above {DIAGONAL_AT_LEAST:.0%}"
            for other in self.languages:
                change = self.change[language][other]
                if other != language and abs(change) >= OFF_DIAGONAL_BELOW * own:
                    yield (
                        f"{language}: text in {other} changes by {change:+.1%}, a fifth of "
                        f"{own:+.1%} or more"
                    )
            if own <= max(self.controls[language]):
                yield f"{language}: a random control changes its text as much"

    def sentence(self) -> str:
        """What the matrix shows."""
        own = [self.change[language][language] for language in self.languages]
        others = [
            abs(self.change[row][column])
            for row in self.languages
            for column in self.languages
            if row != column
        ]
        controls = [change for changes in self.controls.values() for change in changes]
        count = min(map(len, self.controls.values()))
        p = max(self.p_value(language) for language in self.languages)
        found = (
            f"Setting a language's planted neurons to 0 raises perplexity by {min(own):.1%} to "
            f"{max(own):.1%} on its own text and moves it by at most {max(others):.1%} on any "
            f"other; as many random neurons raise it by at most {max(controls):.1%} "
            f"(p = {p:.2g} or less in every language, and {count} controls can show no less than "
            f"{1 / (count + 1):.2g})."
        )
        lacking = list(self.shortcomings())
        if lacking:
            return "The expected picture does NOT show: " + "; ".join(lacking) + "."
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything, in plain types."""
        return {
            "languages": list(self.languages),
            "baseline_token_perplexity": dict(self.baseline),
            "relative_change": {row: dict(columns) for row, columns in self.change.items()},
            "interval_95": {row: list(interval) for row, interval in self.interval.items()},
            "controls": {row: list(changes) for row, changes in self.controls.items()},
            "p_value": {language: self.p_value(language) for language in self.languages},
            "signatures": dict(self.signatures),
            "sentence": self.sentence(),
        }

    def __str__(self) -> str:
        header = ["zeroed", *self.languages, "controls", "p"]
        rows = [header]
        for row in self.languages:
            controls = self.controls[row]
            rows.append(
                [
                    row,
                    *(percent(self.change[row][column]) for column in self.languages),
                    f"{percent(min(controls))} to {percent(max(controls))}",
                    f"{self.p_value(row):.2g}",
                ]
            )
        rows.append(["(none)", *(f"{self.baseline[c]:.2f}" for c in self.languages), "", ""])
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


def percent(change: float) -> str:
    """A relative change in percent with one decimal and a sign, 0.0 where it rounds to nothing."""
    rounded = f"{100 * change:+.1f}"
    return "0.0" if rounded in ("+0.0", "-0.0") else rounded
