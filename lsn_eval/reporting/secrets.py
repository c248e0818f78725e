"""Keys and tokens in settings, masked before they reach a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASKED = "***"

# Equal to what lsn_eval.lm_tasks.local_data refuses in metadata; a test compares them. That room
# belongs to lm-eval's side, which a report does without.
SECRET_NAME = re.compile(r"(^|_)(key|apikey|token|secret|password|authorization)($|_)")
SECRET_STARTS = ("sk-", "hf_", "Bearer ")
NOT_SECRET = frozenset({"add_bos_token", "prefix_token_id", "think_end_token"})

_INSIDE = re.compile(
    r"(?<![A-Za-z0-9])(sk-[A-Za-z0-9_-]{8,}|hf_[A-Za-z0-9]{8,}|Bearer +[^\s,;'\"]+)"
)
"""A key within a longer text, such as a header."""
_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+:[^/\s@]+(?=@)")
"""User and password of an address."""


def masked(value: Any, name: str = "") -> Any:
    """The same value with `***` for what looks like a key or token, at any depth.

    A text under a name such as `api_key`, a text that starts like a key, and a key inside a longer
    text count as secrets. Booleans and numbers do not: `token=True` says that there is one.
    """
    if isinstance(value, Mapping):
        return {key: masked(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, name) for inner in value]
    if not isinstance(value, str):
        return value
    return MASKED if _named(name) or value.startswith(SECRET_STARTS) else _inside(value)


def masked_arguments(text: str) -> str:
    """The same for `k=v,k=v`, as lm-eval writes arguments that were given as one text."""
    parts = []
    for part in text.split(","):
        name, equals, value = part.partition("=")
        parts.append(f"{name}{equals}{masked(value, name.strip())}" if equals else _inside(part))
    return ",".join(parts)


def _named(name: str) -> bool:
    return name not in NOT_SECRET and SECRET_NAME.search(name.lower()) is not None


def _inside(text: str) -> str:
    return _IN_ADDRESS.sub(MASKED, _INSIDE.sub(MASKED, text))
