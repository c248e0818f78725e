"""Text of models and files made fit for a page: no character of it can hide or turn others.

Escaping is the template engine's; this is about characters that HTML cannot hold or that act on
their surroundings.
"""

from __future__ import annotations

import re

_CONTROLS = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
"""C0 controls, NUL among them, as the pictures Unicode has of them."""
_OTHERS = {
    0x7F: "␡",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    0xFFFE: "\ufffd",
    0xFFFF: "\ufffd",
    # These two show what follows in another order, over the end of their line's direction. The
    # other direction marks have uses in Arabic and Hebrew, and end with the element.
    0x202D: "⟦U+202D⟧",
    0x202E: "⟦U+202E⟧",
}
_SHOWN = {**_CONTROLS, **_OTHERS}
_SURROGATE = re.compile("[\ud800-\udfff]")


def plain_text(text: str) -> str:
    """The text with control characters shown, lone surrogates replaced and line ends as `\\n`.

    What it returns can be written as UTF-8.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", text.translate(_SHOWN))


def shortened(text: str, most: int) -> str:
    """The first `most` characters, with `…` where some are left out."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
