"""The script a language is written in, and the share of a text's letters that belong to it."""

from __future__ import annotations

import functools

import regex

SCRIPTS: dict[tuple[str, ...], str] = {
    ("Arabic",): "ar arz ckb fa ps sd ug ur",
    ("Armenian",): "hy",
    ("Bengali",): "as bn",
    ("Cyrillic",): "ba be bg ce cv kk ky mk mn os ru tg tt uk",
    ("Cyrillic", "Latin"): "sr",
    ("Devanagari",): "hi mr ne sa",
    ("Ethiopic",): "am ti",
    ("Georgian",): "ka",
    ("Greek",): "el",
    ("Gujarati",): "gu",
    ("Gurmukhi",): "pa",
    ("Han",): "wuu yue zh",
    ("Han", "Hiragana", "Katakana"): "ja",
    ("Hangul",): "ko",
    ("Hebrew",): "he yi",
    ("Kannada",): "kn",
    ("Khmer",): "km",
    ("Lao",): "lo",
    ("Latin",): (
        "af az br bs ca ceb cs cy da de en eo es et eu fi fr ga gd gl ha hr ht hu id ig is it jv "
        "ku la lb lt lv mg mi ms mt nb nl nn no oc pl pt ro rw sk sl sn so sq st su sv sw tk tl "
        "tr uz vi wo xh yo zu"
    ),
    ("Malayalam",): "ml",
    ("Myanmar",): "my",
    ("Oriya",): "or",
    ("Sinhala",): "si",
    ("Tamil",): "ta",
    ("Telugu",): "te",
    ("Thai",): "th",
    ("Tibetan",): "bo dz",
}
"""Scripts by Unicode's names, and the languages expected in them."""

_OF = {
    language: scripts for scripts, languages in SCRIPTS.items() for language in languages.split()
}
_LETTER = regex.compile(r"\p{L}")


def scripts_of(language: str) -> tuple[str, ...]:
    """Scripts of a language by its ISO 639-1 code; Latin of one that is not in the table."""
    return _OF.get(language, ("Latin",))


def script_share(text: str, language: str) -> float | None:
    """Share of the letters of a text (Unicode category L) that are in the language's scripts.

    Script extensions count, so the Japanese prolonged sound mark is katakana. 0 for a text without
    letters; None for a language whose script is not in the table.
    """
    scripts = _OF.get(language)
    if scripts is None:
        return None
    letters = len(_LETTER.findall(text))
    return len(_letter_of(scripts).findall(text)) / letters if letters else 0.0


@functools.cache
def _letter_of(scripts: tuple[str, ...]) -> regex.Pattern[str]:
    inside = "".join(rf"\p{{scx={script}}}" for script in scripts)
    return regex.compile(rf"(?=\p{{L}})[{inside}]")
