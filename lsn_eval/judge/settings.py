"""Who judges, how it is asked, and how hard it is tried."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lsn_eval.errors import LsnError
from lsn_eval.storage.outside_files import Fields

DEFAULT_PARAMETERS: dict[str, Any] = {"temperature": 0, "max_tokens": 1024}
_OURS = frozenset({"model", "messages", "stream", "n", "tools"})


class JudgeError(LsnError):
    """No key, a judge that cannot be reached, or generations that cannot be graded."""


@dataclass(frozen=True)
class JudgeSettings:
    """One judge. Who it is and what it is asked with decide a grade; the rest does not."""

    model: str
    """Name of the model, as the endpoint knows it."""
    base_url: str | None = None
    """The endpoint; None is `OPENAI_BASE_URL`, and without that the client's own default."""
    parameters: Mapping[str, Any] = field(default_factory=lambda: dict(DEFAULT_PARAMETERS))
    """Sent with every request, as the endpoint names them."""
    attempts: int = 3
    """How often a judge whose reply cannot be read is asked, in all."""
    concurrency: int = 8
    """Requests under way at a time."""
    timeout: float = 120.0
    """Seconds without a byte until a request counts as failed; five times that for all of it."""
    template: str | None = None
    """A prompt instead of ours, see `templates.load_template`."""
    retries: int = 6
    """How often a failed request is sent again."""
    first_delay: float = 1.0
    """Seconds before the first retry; doubled each time, up to a minute."""

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model.strip():
            raise JudgeError("no judge model is named; give judge_model=MODEL or --model MODEL")
        numbers = Fields(vars(self), "the judge", JudgeError)
        for name, least in (("attempts", 1), ("concurrency", 1), ("retries", 0)):
            numbers.whole(name, least=least)
        for name in ("timeout", "first_delay"):
            if not numbers.number(name) > 0:
                raise JudgeError(f"{name}={getattr(self, name)!r}: seconds above 0 were expected")
        if not isinstance(self.parameters, Mapping):
            raise JudgeError(
                f"parameters={self.parameters!r}: a JSON object was expected, e.g. "
                '{"temperature": 0, "max_completion_tokens": 2048}'
            )
        taken = _OURS & set(self.parameters)
        if taken:
            raise JudgeError(
                f"the parameters may not set {', '.join(sorted(taken))}: the judge sends those "
                "itself; leave them out"
            )
        url = self.endpoint
        if url is not None:
            try:
                parts = urlsplit(url)
                usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
            except ValueError:
                usable = False
            if not usable or not url.isprintable() or " " in url:
                raise JudgeError("the endpoint is no http(s) address; one such as "
                                 "http://localhost:8000/v1 was expected")  # fmt: skip
            if parts.username or parts.password or parts.query:
                raise JudgeError(
                    f"the endpoint at {parts.hostname} carries a user, a password or a query, "
                    "which would be written into results; put the key into OPENAI_API_KEY"
                )

    @property
    def endpoint(self) -> str | None:
        """`base_url`, or what `OPENAI_BASE_URL` says."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or None


@dataclass(frozen=True)
class Prices:
    """What a user pays, in whatever currency, per million tokens."""

    input: float
    output: float

    def __post_init__(self) -> None:
        prices = Fields(vars(self), "the prices per million tokens", JudgeError)
        for name in ("input", "output"):
            if prices.number(name) < 0:
                raise JudgeError(f"price {getattr(self, name)!r}: a number from 0 was expected")
