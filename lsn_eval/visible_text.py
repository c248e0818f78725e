"""Text from outside made fit to be shown: no character of it can hide others, turn their order or
drive a terminal. The one rule for messages, tables, figures and pages; escaping is the template
engine's or the format's own.
"""

from __future__ import annotations

import re

_SHOWN = {
    # C0 controls, NUL and ESC among them, as the pictures Unicode has of them.
    **{code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)},
    0x7F: "␡",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    0xFFFE: "\ufffd",
    0xFFFF: "\ufffd",
    # These show what follows in another order, over the end of their line's direction. The marks
    # that end with the word (U+200E, U+200F, U+061C) have uses in Arabic and Hebrew.
    **{code: f"⟦U+{code:04X}⟧" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_BREAKS = re.compile("[\n\t\u2028\u2029 ]+")


def visible(text: str) -> str:
    """The text with controls shown, lone surrogates replaced and line ends as `\\n`.

    What it returns can be written as UTF-8.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", text.translate(_SHOWN))


def one_line(text: str) -> str:
    """The same without line breaks or runs of blanks: for a cell or a name."""
    return _BREAKS.sub(" ", visible(text))


def shortened(text: str, most: int) -> str:
    """The first `most` characters, with `…` where some are left out."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
