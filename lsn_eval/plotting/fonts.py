"""Which installed fonts have the letters that a figure needs.

matplotlib 3.11 shapes text and orders it from right to left where it must (libraqm), and takes
glyphs from the first font of a list that has them. Left to us is the list: DejaVu Sans comes with
matplotlib, the others are looked for by the characters that it lacks.
"""

from __future__ import annotations

import functools
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib import font_manager, ft2font
from matplotlib.figure import Figure
from matplotlib.text import Text

from lsn_eval.plotting.style import settings
from lsn_eval.wording.lists import listed

BASE = "DejaVu Sans"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"
# Their letters join, move or stack: without shaping they come out as other words, or as none.
_SHAPED = (
    (0x0590, 0x0DFF), (0x0F00, 0x109F), (0x1780, 0x17FF), (0x1A20, 0x1B7F), (0xFB1D, 0xFEFC),
)  # fmt: skip
# Unified ideographs look different in the languages that share them.
_IDEOGRAPHS = {
    "zh": "SC",
    "zho": "SC",
    "yue": "HK",
    "ja": "JP",
    "jpn": "JP",
    "ko": "KR",
    "kor": "KR",
}


class FontWarning(UserWarning):
    """A name that no installed font can write."""


@dataclass(frozen=True)
class Lettering:
    """How the texts of one figure are written."""

    families: tuple[str, ...]
    labels: Mapping[str, str]
    """Names by language code; those that cannot be written are left out."""
    unwritable: str = ""
    """Characters of other texts that no font has."""

    def name(self, language: str) -> str:
        """What a language is called in the figure."""
        return self.labels.get(language, language)

    def beside(self, language: str, text: str) -> str:
        """Name and text in this order, also where the name runs from right to left."""
        name = self.name(language)
        return f"{_LEFT_TO_RIGHT if _runs_left(name) else ''}{name}{text}"

    def condition(self, condition: str, language: str | None) -> str:
        """A condition as it was typed, with the name of its language where one was given."""
        if language is None or language not in self.labels:
            return condition
        return f"{condition} · {self.labels[language]}"

    def finish(self, figure: Figure) -> None:
        """Replace what cannot be written; without this it would come out as boxes."""
        if self.unwritable:
            table = dict.fromkeys(map(ord, self.unwritable), _REPLACEMENT)
            for text in figure.findobj(Text):
                text.set_text(text.get_text().translate(table))


@contextmanager
def lettering(labels: Mapping[str, str] | None, texts: Iterable[str]) -> Iterator[Lettering]:
    """Settings for a figure with these names of languages and these other texts.

    Warns:
        FontWarning: characters of a name that no installed font has; the code stays.
    """
    found = choose(labels or {}, texts)
    with settings(found.families), warnings.catch_warnings():
        if found.unwritable:  # they are replaced in the end, after sizes were taken with them
            warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield found


def choose(labels: Mapping[str, str], texts: Iterable[str]) -> Lettering:
    """Fonts for names of languages and other texts."""
    families = [BASE]
    usable = {}
    unshaped, unknown = set(), set()
    for code, name in labels.items():
        if not _can_shape() and _is_shaped(name):
            unshaped.add(name)
        elif missing := _add_families(families, name, _ideographs(code)):
            unknown |= missing
        else:
            usable[code] = name
    if unknown:
        warnings.warn(
            f"no installed font has {_named(unknown)}: the codes of these languages are kept; "
            "install a font that has them, for instance Noto Sans of that script",
            FontWarning,
            stacklevel=2,
        )
    if unshaped:
        warnings.warn(
            f"matplotlib {matplotlib.__version__} cannot shape {', '.join(sorted(unshaped))}: the "
            "codes of these languages are kept; 3.11 and later can",
            FontWarning,
            stacklevel=2,
        )
    unwritable = _add_families(families, "".join(sorted(set("".join(texts)))))
    return Lettering(tuple(families), usable, "".join(sorted(unwritable)))


def _add_families(families: list[str], text: str, preferred: str | None = None) -> set[str]:
    """Append the families that `text` needs; the characters that none has."""
    missing = {letter for letter in text if not _is_invisible(letter)}
    for family in families:
        missing -= _covered(_entry(family), missing)
    while missing:
        candidates = _candidates()
        # The most characters; then a plain sans; the name at last, so that the choice is stable.
        best = min(
            candidates,
            key=lambda entry: (
                -len(_covered(entry, missing)),
                not (preferred and entry.name.endswith(f" {preferred}")),
                "Sans" not in entry.name,
                len(entry.name),
                entry.name,
            ),
            default=None,
        )
        covered = _covered(best, missing) if best is not None else set()
        if best is None or not covered:
            break
        families.append(best.name)
        missing -= covered
    return missing


@functools.cache
def _candidates() -> tuple[Any, ...]:
    """Upright fonts of ordinary weight, one a family, with those installed since matplotlib last
    looked."""
    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            manager.addfont(path)
        except Exception:  # a font that cannot be read is none; what it raises has no base
            continue
    found: dict[str, Any] = {}
    for entry in manager.ttflist:
        plain = entry.style == "normal" and entry.weight == 400 and entry.variant == "normal"
        # Fonts whose glyphs are pictures of "some letter" or of one width are no help.
        odd = any(word in entry.name for word in ("Last Resort", "LastResort", "Mono", "Looped"))
        if plain and not odd:
            found.setdefault(entry.name, entry)
    return tuple(found.values())


def _entry(family: str) -> Any:
    entries = font_manager.fontManager.ttflist
    return next(
        entry
        for entry in entries
        if entry.name == family and entry.style == "normal" and entry.weight == 400
    )


def _covered(entry: Any, characters: set[str]) -> set[str]:
    font = _font(entry.fname, getattr(entry, "index", 0))
    if font is None:
        return set()
    return {letter for letter in characters if font.get_char_index(ord(letter))}


@functools.lru_cache(maxsize=512)
def _font(path: str, index: int) -> Any:
    try:
        return ft2font.FT2Font(path, face_index=index) if index else ft2font.FT2Font(path)
    except (OSError, RuntimeError):
        return None


def _can_shape() -> bool:
    return hasattr(ft2font, "__libraqm_version__")


def _is_shaped(text: str) -> bool:
    return any(low <= ord(letter) <= high for letter in text for low, high in _SHAPED)


def _is_invisible(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cf", "Cc", "Zs") or 0xFE00 <= ord(letter) <= 0xFE0F


def _runs_left(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def _ideographs(code: str) -> str:
    """The end of the name of a font for a language's form of the ideographs."""
    parts = re.split("[-_]", code)
    if {part.lower() for part in parts} & {"hant", "tw"}:
        return "TC"
    return _IDEOGRAPHS.get(parts[0], "SC")


def _named(characters: Iterable[str]) -> str:
    names = [
        f"{letter} (U+{ord(letter):04X} {unicodedata.name(letter, 'without a name')})"
        for letter in sorted(characters)
    ]
    return listed(names)
