"""The page of what was measured, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks import targets
from benchmarks.measuring import AGAIN

Row = dict[str, Any]

NONE = "It has not been explained yet."
BEND = 1.2
"""Where a growth is steeper than this power, it is said to bend."""
INTRODUCTION = """# What it costs

Made by `python -m benchmarks` (`make bench`), which measures all of this on the machine at hand. A
round runs every way of a case, in an order drawn anew, and the way that stands in *italics* twice:
ratios are to the mean of these two, and its own row is one over the other, what noise alone does.
Given are the median and, in brackets, the quartiles, of processor time (child processes included)
and of the clock. On a machine with other work, read processor time; on a GPU, the clock. *Asked* is
the goal that the project has set for the ratio, or whom it is not to exceed in the same rounds; it
is met within noise where no more is missing than the quartiles in italics are off. What is counted
instead of timed has no rounds. The page has what its run measured: `--quick` is small cases and no
long ones, `--only` some of the groups, `--peers` other libraries as well, each in an environment of
its own and with ours beside it there. [What makes it quicker](real_model.md#what-makes-it-quicker).

Interventions write 1 % of the neurons of a Llama of 8 layers with random weights (prefill: rows x
tokens; decode: tokens one by one); recording reads one of 4 layers of hidden size 512. Rolling,
generation and commands run the embedded model.
"""

GROWTH = """
## Growth

Seconds of processors, and peak memory of a process of its own; commands with their start, the rest
without. *Power* is the exponent from the point before to this one: 0 is no growth, 1 in proportion.
"""


def page(figures: dict[str, Any]) -> str:
    about = figures["machine"]
    lines = [
        INTRODUCTION,
        f"{about['processor']}, {about['cores']} cores, {about['threads']} threads, device "
        f"{about['device']}, load at the start {about['load']}, mode {figures['mode']}; "
        f"{_versions(about['versions'])}.",
    ]
    groups: dict[str, dict[str, list[Row]]] = {}
    for row in figures["ratios"]:
        groups.setdefault(row["group"], {}).setdefault(row["case"], []).append(row)
    for group, cases in groups.items():
        lines += ["", f"## {group[0].upper()}{group[1:]}", "", *_ratios(cases)]
    if figures["curves"]:
        lines += [GROWTH, *_growth(figures["curves"])]
    for name, reason in figures["failed"].items():
        lines += ["", f"`{name}` could not be measured: {reason}"]
    return "\n".join(lines) + "\n"


def _ratios(cases: dict[str, list[Row]]) -> Iterator[str]:
    """A table of a group, and below it why what is missed is missed."""
    if versions := next(iter(cases.values()))[0].get("versions"):
        yield from (f"{_versions(versions)}.", "")
    yield from _heading("case", "way", "process", "clock", "rounds", "asked")
    missed: dict[str, list[str]] = {}
    for case, rows in cases.items():
        for row in rows:
            way = f"*{row['base']}, again*" if row["way"] == AGAIN else row["way"]
            times = (f"{row['process'][1]:.3f}", "", "")  # what is counted
            if row["rounds"]:
                times = (_ratio(row["process"]), _ratio(row["wall"]), str(row["rounds"]))
            asked = targets.judged(row, rows)
            words = "; ".join(f"{what}: {verdict}" for what, verdict in asked.items())
            yield _line(case if row is rows[0] else "", way, *times, words)
            if targets.MISSED in asked.values():
                missed.setdefault(targets.explanation(row) or NONE, []).append(f"{case}, {way}")
    for sentence, names in missed.items():
        yield from ("", f"Missed: {'; '.join(names)}. {sentence}")


def _growth(curves: list[dict[str, Any]]) -> Iterator[str]:
    """A table of all curves, and below it where time or memory first grows the faster the more."""
    yield from _heading("against", "size", "seconds", "power", "MiB", "power")
    bends = []
    for curve in curves:
        bent, before = set(), None
        for point in curve["points"]:
            cells = [curve["curve"] if before is None else "", f"{point['at']:,}"]
            for name, text in (("seconds", "{:.2f}"), ("peak_mib", "{:.0f}")):
                power = before and _power(before, point, name)
                cells += [text.format(point[name]), "" if power is None else f"{power:.2f}"]
                if before and power > BEND and name not in bent:
                    bent.add(name)
                    what = f"{'time' if name == 'seconds' else 'memory'} of {curve['curve']}"
                    bends.append(f"{what} from {before['at']:,} to {point['at']:,} ({power:.2f})")
            yield _line(*cells)
            before = point
    yield from ("", f"First steeper than a power of {BEND}: {'; '.join(bends) or 'none'}.")


def _power(before: dict[str, float], point: dict[str, float], name: str) -> float:
    return math.log(point[name] / before[name]) / math.log(point["at"] / before["at"])


def _ratio(quartiles: list[float]) -> str:
    low, middle, high = quartiles
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def _versions(numbers: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


def _heading(*names: str) -> Iterable[str]:
    return _line(*names), _line(*["---"] * len(names))


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
