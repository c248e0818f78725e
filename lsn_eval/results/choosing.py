"""`Choice`: which numbers of results are meant, the same for every command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lsn_eval.errors import LsnError
from lsn_eval.results.controls import controlled
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.wording.lists import listed

ALL = "all"
"""In place of metrics: every one."""
_MOST_NAMED = 20

_NAMES: dict[str, Callable[[Row], tuple[str, ...]]] = {
    "task": lambda row: (row.task, row.family),
    "metric": lambda row: (row.name, row.metric),
    "model": lambda row: (row.model,),
    "condition": lambda row: (row.condition,),
    "language": lambda row: () if row.language is None else (row.language,),
}
"""By option: what it chooses by. Any of a row's names will do."""
_LISTED: dict[str, Callable[[Row], tuple[str, ...]]] = {
    **_NAMES,
    "task": lambda row: (row.family,),
}


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

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """Those that are meant, in their order.

        Raises:
            LsnError: something that was asked for is not there; the message names the option, what
                was given and what there is.
        """
        chosen = list(rows)
        for option, asked in self._asked():
            if option == "metric" and ALL in asked:
                continue
            patterns = _patterns(option, asked, rows)
            if option == "condition":
                chosen = _of_conditions(chosen, patterns)
            else:
                chosen = [row for row in chosen if _matches(_NAMES[option](row), patterns)]
        if not self.metrics:
            chosen = _first_metrics(chosen)
        if not chosen and self._asked():
            raise LsnError(f"no number in the results is meant by all of {self}")
        return chosen

    def __str__(self) -> str:
        return " ".join(f"--{option} {','.join(asked)}" for option, asked in self._asked())

    def _asked(self) -> list[tuple[str, tuple[str, ...]]]:
        values = (self.tasks, self.metrics, self.models, self.conditions, self.languages)
        return [(option, asked) for option, asked in zip(_NAMES, values, strict=True) if asked]


def _patterns(option: str, asked: Iterable[str], rows: Sequence[Row]) -> list[str]:
    """One name each: a text with commas is taken apart unless it is a name as a whole, such as
    `exact_match,strict-match`."""
    there = dict.fromkeys(name for row in rows for name in _NAMES[option](row))
    patterns = []
    for text in asked:
        whole = _matches(there, [text])
        for pattern in [text] if whole else [part.strip() for part in text.split(",")]:
            if not _matches(there, [pattern]):
                names = list(dict.fromkeys(name for row in rows for name in _LISTED[option](row)))
                raise LsnError(
                    f"--{option} {pattern}: no such {option} in the results; there are "
                    f"{listed(names, _MOST_NAMED) or 'none'}"
                )
            patterns.append(pattern)
    return patterns


def _matches(names: Iterable[str], patterns: Sequence[str]) -> bool:
    return any(
        name == pattern or fnmatchcase(name, pattern) for name in names for pattern in patterns
    )


def _of_conditions(rows: Sequence[Row], patterns: Sequence[str]) -> list[Row]:
    """With the baseline and the controls, without which a change says nothing."""
    conditions = dict.fromkeys(row.condition for row in rows)
    meant = {condition for condition in conditions if _matches([condition], patterns)}
    # Whichever term is named first.
    terms = {frozenset(condition.split("/")) for condition in meant}
    for condition in conditions:
        of = controlled(condition)
        if of is not None and (frozenset(of.split("/")) in terms or _matches([of], patterns)):
            meant.add(condition)
    return [row for row in rows if row.condition in meant or row.condition == NO_CONDITION]


def _first_metrics(rows: Sequence[Row]) -> list[Row]:
    """The task's first metric that has a number, under each of its filters."""
    usable = {(row.task, row.metric) for row in rows if row.usable}
    first: dict[str, str] = {}
    for row in rows:
        if (row.task, row.metric) in usable:
            first.setdefault(row.task, row.metric)
    return [row for row in rows if row.metric == first.get(row.task)]
