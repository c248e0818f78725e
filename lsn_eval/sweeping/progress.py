"""How far a sweep is: requests answered under the condition at hand, and the time left for all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from tqdm import tqdm

_BETWEEN = 0.1
"""Seconds between two looks of the bar, as tqdm's own."""

_ENOUGH = 0.2
"""Share of a condition from which the time left is estimated: before it, most of the time went into
building requests, and the longest of them come first."""

_FORMAT = "{{desc}}: {{percentage:3.0f}}%|{{bar}}| [{{elapsed}}{left}]"


class AnswerCounter:
    """Stands where lm-eval puts the hook of a response cache, which is told of every answer.

    Args:
        on_answer: called with an answer's kind, and by kind the answers so far and all requests.
    """

    dbdict = None  # no cache: lm-eval's hook without one has this, too

    def __init__(
        self, on_answer: Callable[[str, Mapping[str, int], Mapping[str, int]], None]
    ) -> None:
        self._on_answer = on_answer
        self._done: Counter[str] = Counter()
        self._tasks: list[Any] = []
        self._totals: Counter[str] | None = None

    def start(self, tasks: Iterable[Any]) -> None:
        """Count anew; the requests of `tasks` are built later."""
        self._tasks = list(tasks)
        self._done.clear()
        self._totals = None

    def add_partial(self, kind: str, request: Any, answer: Any) -> None:
        """Called by lm-eval's models with every answer."""
        if self._totals is None:
            self._totals = Counter()
            for task in self._tasks:
                for instance in task.instances:
                    self._totals[instance.request_type] += instance.repeats or 1
        self._done[kind] += 1
        self._on_answer(kind, self._done, self._totals)


class SweepBar:
    """One bar: conditions, what the one at hand is doing, and the time left for the sweep."""

    def __init__(self, conditions: int, screen: TextIO, *, shown: bool) -> None:
        self._screen = screen
        self._conditions = conditions
        self._finished = 0
        self._name = ""
        self._last = 0.0
        self._bar = tqdm(
            desc="loading",
            total=conditions,
            file=screen,
            disable=not shown,
            dynamic_ncols=True,
            bar_format=_FORMAT.format(left=""),
        )

    def start(self) -> None:
        """Loading is over; it is no part of the time that conditions take."""
        self._bar.reset()

    def begin(self, condition: str) -> None:
        """This condition is next."""
        self._name = f"{self._finished + 1}/{self._conditions} {condition}"
        self._bar.set_description_str(self._name)

    def answered(
        self, kind: str, done: Mapping[str, int], totals: Mapping[str, int], ahead: int
    ) -> None:
        """One more answer under this condition.

        Args:
            done: answers so far, by kind; `totals` all requests of the condition.
            ahead: answers kept for conditions to come, which shorten their time.
        """
        now = time.monotonic()
        if now - self._last < _BETWEEN or self._bar.disable:
            return
        self._last = now
        share = (sum(done.values()) + ahead) / max(1, sum(totals.values()))
        self._advance(self._finished + share)
        self._bar.set_description_str(f"{self._name}, {kind} {done[kind]}/{totals[kind]}")

    def end(self) -> None:
        """The condition is finished, or has failed."""
        self._finished += 1
        if not self._bar.disable:
            self._advance(self._finished)
            self._bar.refresh()

    def _advance(self, conditions: float) -> None:
        """So many conditions are answered; the bar does not go back."""
        self._bar.n = min(max(self._bar.n, conditions), self._conditions)
        if self._bar.n >= _ENOUGH:
            self._bar.bar_format = _FORMAT.format(left="<{remaining}")

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._bar.write(text, file=self._screen)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()
