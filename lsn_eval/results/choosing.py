"""`Choice`: which numbers of results are meant, the same for every command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar

from lsn_eval.errors import LsnError
from lsn_eval.results.controls import controlled
from lsn_eval.results.languages import LANGUAGE_ACCURACY, target_of
from lsn_eval.results.rows import NO_CONDITION, Number
from lsn_eval.wording.lists import listed

ALL = "all"
"""In place of metrics: every one."""
_MOST_NAMED = 20

N = TypeVar("N", bound=Number)
_NAMES: dict[str, Callable[[Number], tuple[str, ...]]] = {
    "task": lambda row: (row.family, row.task),
    "metric": lambda row: (row.name, row.metric),
    "model": lambda row: (row.model,),
    "condition": lambda row: (row.condition,),
    "language": lambda row: () if row.language is None else (row.language,),
}
"""By option: what it chooses by. Any of the names will do; messages list the first."""


@dataclass(frozen=True)
class Choice:
    """Names or patterns with `*`, `?` and `[...]`, several in one text with commas; nothing given
    chooses all, but of metrics each task's first."""

    tasks: tuple[str, ...] = ()
    """Or families: `xnli_*` as a table calls them."""
    metrics: tuple[str, ...] = ()
    """With the filter or without, or `all`."""
    models: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    """Their controls and `none` come with them."""
    languages: tuple[str, ...] = ()

    @classmethod
    def named(cls, **asked: str | Iterable[str] | None) -> Choice:
        """By `task`, `metric`, `model`, `condition` and `language`: a text each, or several."""
        if unknown := sorted(asked.keys() - _NAMES.keys()):
            raise LsnError(
                f"numbers are chosen by {', '.join(_NAMES)}, not by {', '.join(unknown)}"
            )
        return cls(**{
            f"{option}s": (texts,) if isinstance(texts, str) else tuple(texts or ())
            for option, texts in asked.items()
        })  # fmt: skip

    def rows(self, rows: Sequence[N]) -> list[N]:
        """Those that are meant, in their order.

        Raises:
            LsnError: something that was asked for is not there; the message names the option, what
                was given and what there is.
        """
        choice = self.resolved(rows)
        chosen = [row for row in rows if choice.means(row)]
        if not self.metrics:
            chosen = _first_metrics(chosen)
        if rows and not chosen and self._asked():
            raise LsnError(f"no number in the results is meant by all of {self}")
        return chosen

    def resolved(self, rows: Sequence[Number]) -> Choice:
        """The same with one name or pattern a text, each of which is there.

        Raises:
            LsnError: one is not.
        """
        asked = {f"{option}s": _patterns(option, texts, rows) for option, texts in self._asked()}
        return Choice(**asked)

    def means(self, row: Number) -> bool:
        """Whether a row is meant, once names with commas are taken apart."""
        return all(
            (option == "metric" and ALL in asked)
            or _matches(_NAMES[option](row), asked)
            or (option == "condition" and _comes_along(row.condition, asked))
            for option, asked in self._asked()
        )

    def __str__(self) -> str:
        return " ".join(f"--{option} {','.join(asked)}" for option, asked in self._asked())

    def _asked(self) -> list[tuple[str, tuple[str, ...]]]:
        values = (self.tasks, self.metrics, self.models, self.conditions, self.languages)
        return [(option, asked) for option, asked in zip(_NAMES, values, strict=True) if asked]


def _patterns(option: str, asked: Iterable[str], rows: Sequence[Number]) -> tuple[str, ...]:
    """A text with commas is taken apart unless it is a name as a whole, such as
    `exact_match,strict-match`."""
    there = dict.fromkeys(name for row in rows for name in _NAMES[option](row))
    patterns = []
    for text in asked:
        whole = _matches(there, [text])
        for pattern in [text] if whole else [part.strip() for part in text.split(",")]:
            if not _matches(there, [pattern]) and (option, pattern) != ("metric", ALL):
                names = dict.fromkeys(_NAMES[option](row)[0] for row in rows if _NAMES[option](row))
                raise LsnError(
                    f"--{option} {pattern}: no such {option} in the results; there are "
                    f"{listed(names, _MOST_NAMED) or 'none'}"
                )
            patterns.append(pattern)
    return tuple(patterns)


def _matches(names: Iterable[str], patterns: Sequence[str]) -> bool:
    return any(
        name == pattern or fnmatchcase(name, pattern) for name in names for pattern in patterns
    )


def _comes_along(condition: str, patterns: Sequence[str]) -> bool:
    """The baseline, and controls of what is meant; without them a change says nothing."""
    of = controlled(condition)
    if of is None:
        return condition == NO_CONDITION
    # Whichever term is named first.
    terms = sorted(of.split("/"))
    return _matches([of], patterns) or any(sorted(p.split("/")) == terms for p in patterns)


def _first_metrics(rows: Sequence[N]) -> list[N]:
    """The task's first metric that has a number, under each of its filters."""
    usable = {(row.task, row.metric) for row in rows if row.usable}
    first = {x.task: x.metric for x in reversed(rows) if (x.task, x.metric) in usable}
    return [
        row
        for row in rows
        if row.metric == first.get(row.task)
        # The success of steering is a reading of the same answers.
        or (target_of(row.metric) and first.get(row.task) == LANGUAGE_ACCURACY)
    ]
