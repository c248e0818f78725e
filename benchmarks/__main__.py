"""What everything costs, in one run, and the table of it.

OMP_NUM_THREADS=1 python -m benchmarks --quick
OMP_NUM_THREADS=1 python -m benchmarks --peers --out benchmarks/results.json
python -m benchmarks --from benchmarks/results.json --table docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from benchmarks import measuring

GROUPS = (
    "intervening",
    "recording",
    "generation",
    "start_and_report",
    "sweeping",
    "identification",
)
INTRODUCTION = """# What it costs

Made by `python -m benchmarks` (`make bench`), which measures all of this on the machine at hand:
interleaved, in an order drawn anew every round. A ratio is the time over that of the first way of
its case, which comes *again*: what noise alone does. Given are the median and, in brackets, the
quartiles, of the process's own time (its children's included) and of the clock. On a machine with
other work the process's time is the one to read; on a GPU the clock's. The page has what its run
measured: `--quick` is small cases, `--only` some of the groups, `--peers` other libraries as well.
"""

GROWTH = """
## Growth

Seconds of processors and peak memory of a process of its own, start included. *Power* is the
exponent from the point before to this one: 0 is no growth, and from where it is 1 on, time is in
proportion.

| against | size | seconds | MiB | power |
| --- | --- | --- | --- | --- |
"""


def rows_of(group: str) -> Callable[[measuring.Options], Iterable[dict[str, Any]]]:
    from benchmarks import commands, generation, identification, intervening, recording

    modules = (intervening, recording, generation, identification)
    found = {module.__name__.rpartition(".")[2]: module.rows for module in modules}
    return {**found, **vars(commands)}[group]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    from benchmarks import peers, scaling

    options = measuring.Options(arguments.mode, arguments.device)
    figures: dict[str, Any] = {"machine": measuring.machine(options.device), "mode": options.mode}
    figures |= {"ratios": [], "curves": [], "failed": {}}
    steps = {group: partial(rows_of(group), options) for group in GROUPS}
    steps |= {name: partial(peers.measured, name, options) for name in peers.PACKAGES}
    steps["scaling"] = partial(scaling.curves, options)
    chosen = arguments.only or [
        name for name in steps if arguments.peers or name not in peers.PACKAGES
    ]
    for name in chosen:
        try:
            for row in steps[name]():
                figures["curves" if "curve" in row else "ratios"].append(row)
                print(json.dumps(row), flush=True)
                if arguments.out:
                    arguments.out.write_text(json.dumps(figures) + "\n", "utf-8")
        except Exception as error:
            if options.mode == "smoke" or name not in peers.PACKAGES:
                raise
            figures["failed"][name] = str(error).strip().splitlines()[-1][:300]
            print(f"{name}: {error}", file=sys.stderr)
    return figures


def table(figures: dict[str, Any]) -> str:
    """The page."""
    about = figures["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    lines = [
        INTRODUCTION,
        f"{about['processor']}, {about['cores']} cores, {about['threads']} threads, device "
        f"{about['device']}, load at the start {about['load']}, mode {figures['mode']}; "
        f"{versions}.",
    ]
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in figures["ratios"]:
        groups.setdefault(row["group"], {}).setdefault(row["case"], []).append(row)
    for group, cases in groups.items():
        lines += ["", f"## {group[0].upper()}{group[1:]}", ""]
        lines += ["| case | way | process | clock | rounds |", "| --- | --- | --- | --- | --- |"]
        for case, rows in cases.items():
            for row in rows:
                way = f"*{row['base']}, again*" if row["way"] == measuring.AGAIN else row["way"]
                cells = [case, way, *(_ratio(row[time]) for time in ("process", "wall"))]
                lines.append(f"| {' | '.join(cells)} | {row['rounds']} |")
                case = ""
    if figures["curves"]:
        lines += GROWTH.splitlines()
        for curve in figures["curves"]:
            lines += list(_points(curve))
    for name, reason in figures["failed"].items():
        lines += ["", f"`{name}` could not be measured: {reason}"]
    return "\n".join(lines) + "\n"


def _ratio(quartiles: list[float]) -> str:
    low, middle, high = quartiles
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def _points(curve: dict[str, Any]) -> Iterable[str]:
    before = None
    for point in curve["points"]:
        power = ""
        if before:
            growth = math.log(point["seconds"] / before["seconds"])
            power = f"{growth / math.log(point['at'] / before['at']):.2f}"
        name = "" if before else curve["curve"]
        cells = f"{point['at']:,}", f"{point['seconds']:.2f}", f"{point['peak_mib']:.0f}"
        yield f"| {' | '.join((name, *cells, power))} |"
        before = point


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--mode", choices=("smoke", "quick", "full"), default="full")
    parser.add_argument("--quick", dest="mode", action="store_const", const="quick")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", help="groups, peers or 'scaling'")
    parser.add_argument("--peers", action="store_true", help="with peers, in environments made now")
    parser.add_argument("--from", dest="figures", type=Path, help="measure nothing: JSON of a run")
    parser.add_argument("--out", type=Path, help="JSON to write, after every row")
    parser.add_argument("--table", type=Path, help="Markdown to write")
    arguments = parser.parse_args()
    if arguments.figures:
        figures = json.loads(arguments.figures.read_text("utf-8"))
    else:
        figures = measure(arguments)
    page = table(figures)
    print(page)
    if arguments.table:
        arguments.table.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
