"""What judging took: requests, tokens, and money where the user says what tokens cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lsn_eval.judge.settings import Prices


@dataclass
class Usage:
    """Counts of one run. Tokens are those that the server reports."""

    replies: int = 0
    """Replies that were paid for in this run."""
    requests: int = 0
    """Requests sent for them, retries among them."""
    retried: Counter[str] = field(default_factory=Counter)
    """Why requests were sent again."""
    cached: int = 0
    """Replies that were on disk already."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_prompt_tokens: int = 0
    cached_completion_tokens: int = 0
    without_tokens: int = 0
    """Replies whose server reports no tokens; the counts above lack theirs."""

    def add(self, reply: Mapping[str, Any], *, cached: bool) -> None:
        """Count a reply."""
        prompt, completion = reply["prompt_tokens"], reply["completion_tokens"]
        if prompt is None or completion is None:
            self.without_tokens += 1
        if cached:
            self.cached += 1
            self.cached_prompt_tokens += prompt or 0
            self.cached_completion_tokens += completion or 0
        else:
            self.replies += 1
            self.prompt_tokens += prompt or 0
            self.completion_tokens += completion or 0

    def cost(self, prices: Prices | None) -> float | None:
        """Of this run, without what was on disk; None without prices."""
        if prices is None:
            return None
        return (
            self.prompt_tokens * prices.input + self.completion_tokens * prices.output
        ) / 1_000_000

    def as_json(self, prices: Prices | None = None) -> dict[str, Any]:
        """For a results file."""
        shown: dict[str, Any] = {
            "replies": self.replies,
            "requests": self.requests,
            "retried": dict(sorted(self.retried.items())),
            "cached": self.cached,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cached_prompt_tokens": self.cached_prompt_tokens,
            "cached_completion_tokens": self.cached_completion_tokens,
            "replies_without_token_counts": self.without_tokens,
        }
        if prices is not None:
            shown["cost"] = self.cost(prices)
            shown["prices_per_million"] = {"input": prices.input, "output": prices.output}
        return shown

    def __str__(self) -> str:
        again = f", {sum(self.retried.values())} of them sent again" if self.retried else ""
        return (
            f"{self.requests} requests{again}; {self.prompt_tokens} tokens in, "
            f"{self.completion_tokens} out; {self.cached} replies from disk"
        )
