"""What is asked of the figures, and why what is missed is missed: facts, and reading them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.measuring import AGAIN

Row = dict[str, Any]
MISSED = "missed"

ASKED = (
    ("intervening.*", ".*", "de:.*", "at most", 1.01),
    ("recording", "start|steady", "everything, all linear.*", "at most", 1.08),
    ("rolling", "tokens computed", "lsn_hf.*", "at most", 1.05),
    ("rolling", ".* texts.*", "lsn_hf.*", "at most", 1),
    ("commands", "start-up", "lsn-eval --help", "at most", 10),
    ("commands", "start-up", "check of two files", "at most", 15),
    ("commands", "37 results files", "report", "at most", 3),
    # 13 of 24 seconds were lm-eval reading its task files.
    ("commands", "two documents", "(lm_eval, lsn_hf|lsn-eval.*)", "at most", 0.46),
    ("commands", "8 conditions.*", "as many processes.*", "at least", 6),
    # 61 times as many units a second, of 41 times as many.
    ("identification", "average precision.*", "ours.*", "at most", 0.67),
)
"""Group, case and way, each a regular expression for all of it, and the ratio that is asked for."""

EXPLAINED = (
    ("intervening.*", "decode.*", "de:.*", "A call in Python and one operation of some forty a "
     "layer are left; they do not grow with the model."),
    ("intervening.*", "prefill.*", "de:.*", "One operation of some forty a layer is left; where "
     "there is more to compute it does not show."),
    ("recording", "start|steady", ".*", "Six passes over every value that is counted (compare, "
     "count, maximum, subtract, sum, sum of squares) take 6 to 7 % of the forward pass; the rest "
     "is calls, some .3 ms an output, and half as much at the default batch of 4,096 tokens."),
    ("commands", "start-up", "check.*", "A third is typer, which reads the options of the command "
     "that runs through pydantic; most of the rest is the import of what a check needs."),
    ("commands", "start-up", ".*help", "Nearly all of it is the import of typer and of the "
     "commands' options."),
    ("commands", "37 results files", "report", "Half is figures, a quarter of that the import of "
     "matplotlib; without any figure a report would take 3.3 checks."),
    ("commands", "two documents", ".*", "What is left is the import of torch, transformers and "
     "datasets."),
    ("commands", "8 conditions.*", ".*", "Of a sweep 44 % is the start, and of a condition 80 % "
     "forward passes, which nothing spares where a mask writes the first layer: with nothing but "
     "these it would be about 5. Of eight documents a task, where starts weigh more, it is 7.8."),
)  # fmt: skip
"""Group, case and way, and a sentence on what a profile shows where the ratio is missed."""


def bounds(row: Row, rows: Sequence[Row]) -> Iterator[tuple[str, str, float]]:
    """What is asked of a row, as words and "at most" or "at least" a number."""
    for *names, kind, bound in ASKED:
        if _is(row, names):
            yield f"{kind} {bound:g}", kind, bound
    _, _, operation = row["way"].partition("de:")
    for peer in rows if operation else ():
        if peer["way"].endswith(f", {operation}") and _case(peer) == _case(row):
            name = peer["way"].removesuffix(f", {operation}")
            yield f"no more than {name}", "at most", middle(peer)


def verdict(row: Row, bound: tuple[str, str, float], rows: Sequence[Row]) -> str:
    """met, met within noise (as much as the plain way has beside itself in the same rounds) or
    missed."""
    _, kind, number = bound
    own = [other for other in rows if other["way"] == AGAIN and _case(other) == _case(row)]
    noise = max((abs(value - 1) for other in own for value in _time(other)), default=0)
    for word, slack in (("met", 1.0), ("met within noise", 1 + noise)):
        value = middle(row)
        if value <= number * slack if kind == "at most" else value * slack >= number:
            return word
    return MISSED


def judged(row: Row, rows: Sequence[Row]) -> dict[str, str]:
    """By what is asked of a row whether it is met."""
    return {bound[0]: verdict(row, bound, rows) for bound in bounds(row, rows)}


def explanation(row: Row) -> str | None:
    return next((sentence for *names, sentence in EXPLAINED if _is(row, names)), None)


def middle(row: Row) -> float:
    """The median of what is read: the process's time, on another device the clock's."""
    return float(_time(row)[1])


def _time(row: Row) -> list[float]:
    found: list[float] = row["process" if row.get("device", "cpu") == "cpu" else "wall"]
    return found


def _case(row: Row) -> tuple[str, str]:
    return row["group"], row["case"]


def _is(row: Row, names: Sequence[str]) -> bool:
    own = (row["group"], row["case"], row["way"])
    return all(map(re.fullmatch, names, own))
