"""What judging took: requests, tokens, and money where the user says what tokens cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lsn_eval.judge.settings import Prices


@dataclass
class Usage:
    """Counts of one run, as a results file has them. Tokens are those that the server reports."""

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
    replies_without_token_counts: int = 0
    """The counts above lack theirs."""

    def add(self, reply: Mapping[str, Any], *, cached: bool) -> None:
        """Count a reply."""
        prompt, completion = reply["prompt_tokens"], reply["completion_tokens"]
        self.replies_without_token_counts += prompt is None or completion is None
        if cached:
            self.cached += 1
            self.cached_prompt_tokens += prompt or 0
            self.cached_completion_tokens += completion or 0
        else:
            self.replies += 1
            self.prompt_tokens += prompt or 0
            self.completion_tokens += completion or 0

    def as_json(self, prices: Prices | None = None) -> dict[str, Any]:
        """For a results file; with prices also the cost, without what was on disk."""
        counts = {**vars(self), "retried": dict(sorted(self.retried.items()))}
        if prices is None:
            return counts
        cost = (self.prompt_tokens * prices.input + self.completion_tokens * prices.output) / 1e6
        return counts | {"cost": cost, "prices_per_million": asdict(prices)}

    def __str__(self) -> str:
        again = f", {self.retried.total()} of them sent again" if self.retried else ""
        return (
            f"{self.requests} requests{again}; {self.prompt_tokens} tokens in, "
            f"{self.completion_tokens} out; {self.cached} replies from disk"
        )
