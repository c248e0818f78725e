"""What languages are called in a figure, where a font has the letters for it."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from lsn_eval.plotting.fonts import drawable, families_for, is_mangled, missing, runs_left
from lsn_eval.plotting.style import settings
from lsn_eval.visible_text import one_line
from lsn_eval.wording.lists import listed


class PlotWarning(UserWarning):
    """What should be known of a figure beside it."""


class FontWarning(PlotWarning):
    """A name that cannot be written here."""


@dataclass(frozen=True)
class Lettering:
    """Names of languages in one figure."""

    labels: Mapping[str, str]
    """By code; those that cannot be written are left out."""

    def name(self, language: str) -> str:
        """What a language is called in the figure."""
        return self.labels.get(language, drawable(language))

    def beside(self, language: str, text: str) -> str:
        """Name and text in this order, also where the name runs from right to left."""
        name = self.name(language)
        return "\N{LEFT-TO-RIGHT MARK}" * runs_left(name) + name + text

    def condition(self, condition: str, language: str | None) -> str:
        """A condition as it was typed, with the name of its language where one was given."""
        name = None if language is None else self.labels.get(language)
        return condition if name is None else f"{condition} · {name}"


@contextmanager
def lettering(labels: Mapping[str, str] | None) -> Iterator[Lettering]:
    """Settings for a figure with these names of languages.

    Warns:
        FontWarning: names that cannot be written; the codes of these languages stay.
    """
    names = {code: one_line(name) for code, name in (labels or {}).items()}
    families = families_for(list(names))
    lacking = frozenset().union(*(missing(name, families) for name in names.values()))
    letters = [
        f"{letter} (U+{ord(letter):04X} {unicodedata.name(letter, 'without a name')})"
        for letter in sorted(lacking)
    ]
    mangled = sorted(name for name in names.values() if is_mangled(name))
    for trouble, remedy in (
        (letters and f"no installed font has {listed(letters)}",
         "install a font that has them, for instance Noto Sans of that script"),
        (mangled and f"this matplotlib cannot shape {listed(mangled)}", "3.11 and later can"),
    ):  # fmt: skip
        if trouble:
            kept = f"{trouble}: the codes of these languages are kept; {remedy}"
            warnings.warn(kept, FontWarning, stacklevel=3)
    with settings(families):
        yield Lettering({
            code: name for code, name in names.items()
            if name not in mangled and not lacking & set(name)
        })  # fmt: skip
