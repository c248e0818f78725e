"""Keys and tokens among settings: what counts as one, and masking them before anybody sees them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASKED = "***"

SECRET_NAME = re.compile(r"(^|_)(key|apikey|token|secret|password|authorization)($|_)")
SECRET_STARTS = ("sk-", "hf_", "Bearer ")
NOT_SECRET = frozenset({"add_bos_token", "prefix_token_id", "think_end_token"})

_INSIDE = re.compile(
    r"(?<![A-Za-z0-9])(sk-[A-Za-z0-9_-]{8,}|hf_[A-Za-z0-9]{8,}|Bearer +[^\s,;'\"]+)"
)
"""A key within a longer text, such as a header."""
_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+:[^/\s@]+(?=@)")
"""User and password of an address."""
_SLASHES = r"\\\\{0,14}"
"""Backslashes of a text that was escaped up to four times."""


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
    named = name not in NOT_SECRET and SECRET_NAME.search(name.lower())
    return MASKED if named or value.startswith(SECRET_STARTS) else _inside(value)


def masked_arguments(text: str) -> str:
    """The same for `k=v,k=v`, as lm-eval writes arguments that were given as one text."""
    parts = []
    for part in text.split(","):
        name, equals, value = part.partition("=")
        parts.append(f"{name}{equals}{masked(value, name.strip())}" if equals else _inside(part))
    return ",".join(parts)


def secret_texts(value: Any, name: str = "") -> Iterator[str]:
    """What `masked` would replace as a whole, at any depth; `k=v,k=v` is read as arguments."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from secret_texts(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from secret_texts(inner, name)
    elif isinstance(value, str) and masked(value, name) == MASKED:
        yield value
    elif isinstance(value, str) and "=" in value:
        for part in value.split(","):
            key, _, inner = part.partition("=")
            if masked(inner, key.strip()) == MASKED:
                yield inner


def without(text: str, hidden: Iterable[str]) -> str:
    """The text with `***` for these and for every other key in it.

    They are found however their characters are written: escaped as in JSON (`\\/`, `\\u0073`, also
    twice), in an address (`%73`), as a literal (`\\x73`) or in HTML (`&#115;`).
    """
    for secret in sorted(filter(None, hidden), key=len, reverse=True):
        text = _written(secret).sub(MASKED, text)
    return _inside(text)


@functools.lru_cache(maxsize=64)
def _written(secret: str) -> re.Pattern[str]:
    return re.compile("".join(f"(?:{_character(letter)})" for letter in secret))


def _character(letter: str) -> str:
    # Every alternative begins with a fixed character and no flag is set: the search then jumps from
    # one such character to the next, so that a large page costs little.
    utf16, utf8, code = letter.encode("utf-16-be").hex(), letter.encode().hex(), ord(letter)
    return "|".join((
        re.escape(letter),
        _SLASHES + re.escape(letter),
        "".join(f"{_SLASHES}u{_hex(utf16[at : at + 4])}" for at in range(0, len(utf16), 4)),
        f"{_SLASHES}x{_hex(utf8)}",
        "".join(f"%(?:25)*{_hex(utf8[at : at + 2])}" for at in range(0, len(utf8), 2)),
        f"&#(?:0*{code}|[xX]0*{_hex(f'{code:x}')});",
    ))  # fmt: skip


def _hex(digits: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


def _inside(text: str) -> str:
    return _IN_ADDRESS.sub(MASKED, _INSIDE.sub(MASKED, text))
