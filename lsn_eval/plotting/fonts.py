"""In which fonts the texts of a figure are written.

matplotlib takes each glyph from the first font of a list that has it, shapes text and orders it
from right to left where it must (from 3.11 on). Left to us is the list, and what no font has.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence

import matplotlib
from matplotlib import font_manager, ft2font

from lsn_eval.visible_text import one_line

BASE = "DejaVu Sans"
"""Comes with matplotlib."""
_IDEOGRAPHS = {"ja": "JP", "jpn": "JP", "ko": "KR", "kor": "KR", "yue": "HK", "zho_Hant": "TC"}
"""Unified ideographs look different in the languages that share them; SC for all others."""
_OTHERS = (
    *(f"Noto Sans CJK {form}" for form in ("SC", "JP", "KR", "TC", "HK")),
    *(f"Noto Sans {form}" for form in ("SC", "JP", "KR", "TC", "HK")),
    "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic",
    "Malgun Gothic", "WenQuanYi Zen Hei", "Droid Sans Fallback",
    *(f"Noto Sans {script}" for script in (
        "Arabic", "Hebrew", "Devanagari", "Bengali", "Tamil", "Telugu", "Kannada", "Malayalam",
        "Gujarati", "Gurmukhi", "Oriya", "Sinhala", "Thai", "Lao", "Khmer", "Myanmar", "Georgian",
        "Armenian", "Ethiopic",
    )),
    "Noto Serif Tibetan", "Kohinoor Devanagari", "Kohinoor Bangla", "Thonburi", "Nirmala UI",
    "Leelawadee UI", "Segoe UI", "Ebrima", "Lohit Devanagari", "Lohit Bengali", "Lohit Tamil",
    "FreeSans", "Arial Unicode MS", "Noto Sans",
)  # fmt: skip
"""Where letters are looked for that it lacks: what the three systems bring, and what is free."""


def families_for(languages: Sequence[str]) -> tuple[str, ...]:
    """Installed fonts to look in, those of the first language's ideographs before the others."""
    form = next((_IDEOGRAPHS[code] for code in languages if code in _IDEOGRAPHS), "SC")
    names = set(font_manager.get_font_names())
    there = [name for name in _OTHERS if name in names]
    return (BASE, *sorted(there, key=lambda name: name.split()[-1] != form))


def drawable(text: str) -> str:
    """The text in one line, its controls shown, what no font in force has as U+FFFD."""
    text = one_line(text)
    lacking = missing(text, tuple(matplotlib.rcParams["font.family"]))
    return text.translate(dict.fromkeys(map(ord, lacking), "\N{REPLACEMENT CHARACTER}"))


@functools.lru_cache(maxsize=20_000)
def missing(text: str, families: tuple[str, ...]) -> frozenset[str]:
    """Characters that none of the fonts has."""
    left = {letter for letter in text if not letter.isascii() and not _is_invisible(letter)}
    for family in families:
        if not left:
            break
        font = font_manager.get_font(font_manager.findfont(family))
        left = {letter for letter in left if not font.get_char_index(ord(letter))}
    return frozenset(left)


def is_mangled(text: str) -> bool:
    """Whether letters join, move or stack, or run from right to left, and this matplotlib does not
    shape text: they would come out as other words, or as none."""
    return not _can_shape() and any(
        runs_left(letter) or unicodedata.category(letter) in ("Mn", "Mc") for letter in text
    )


def runs_left(text: str) -> bool:
    """Whether some of it runs from right to left."""
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def _can_shape() -> bool:
    return hasattr(ft2font, "__libraqm_version__")


def _is_invisible(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cf", "Cc", "Zs") or 0xFE00 <= ord(letter) <= 0xFE0F
