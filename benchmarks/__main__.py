"""What everything costs, in one run, and the table of it.

OMP_NUM_THREADS=1 python -m benchmarks --quick
OMP_NUM_THREADS=1 python -m benchmarks --peers --out benchmarks/results.json
python -m benchmarks --from benchmarks/results.json --table docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from benchmarks import measuring, peers, scaling
from benchmarks.page import page

GROUPS = (
    "intervening",
    "recording",
    "rolling",
    "generation",
    "identification",
    "commands",
    "evaluating",
    "sweeping",
)
LONG = ("evaluating", "sweeping")
"""Groups that quick mode has no time for."""
ENVIRONMENTS = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "lsn_eval", "benchmarks")


def rows_of(group: str, options: measuring.Options) -> Iterable[dict[str, Any]]:
    from benchmarks import commands

    if rows := vars(commands).get(group):
        return rows(options)
    return import_module(f"benchmarks.{group}").rows(options)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    places = str(arguments.environments.expanduser())
    options = measuring.Options(arguments.mode, arguments.device, places)
    figures: dict[str, Any] = {"machine": measuring.machine(options.device), "mode": options.mode}
    figures |= {"ratios": [], "curves": [], "failed": {}}
    # First, while this process is small: what it holds is counted to the peak of those it starts.
    steps: dict[str, Callable[[], Iterable[dict[str, Any]]]]
    steps = {"scaling": partial(scaling.curves, options)}
    steps |= {group: partial(rows_of, group, options) for group in GROUPS}
    steps |= {name: partial(peers.measured, name, options) for name in peers.PACKAGES}
    left_out = set(LONG if options.mode == "quick" else ())
    left_out |= set(() if arguments.peers else peers.PACKAGES)
    for name in steps:
        if name not in arguments.only if arguments.only else name in left_out:
            continue
        try:
            for row in steps[name]():
                figures["curves" if "curve" in row else "ratios"].append(row)
                print(json.dumps(row), flush=True)
                _write(figures, arguments.out)
        except Exception as error:
            traceback.print_exc()
            figures["failed"][name] = f"{type(error).__name__} {error}".splitlines()[-1][:300]
            _write(figures, arguments.out)
    return figures


def _write(figures: dict[str, Any], out: Path | None) -> None:
    if out:
        out.write_text(json.dumps(figures) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, names = parser.add_argument, [*GROUPS, *peers.PACKAGES, "scaling"]
    add("--mode", choices=("smoke", "quick", "full"), default="full", help="size of the cases")
    add("--quick", dest="mode", action="store_const", const="quick", help="--mode quick")
    add("--device", default="cpu", help="cpu, cuda, cuda:1")
    add("--only", nargs="+", choices=names, metavar="GROUP", help=f"of {', '.join(names)}")
    add("--peers", action="store_true", help="other libraries as well, in environments made once")
    add("--environments", type=Path, default=ENVIRONMENTS, help="where those are")
    own = Path(sys.executable).parent
    add("--commands", default=own, help="folder of python, lsn-eval, lm_eval if not this one's")
    add("--from", dest="figures", type=Path, help="measure nothing: JSON of a run")
    add("--out", type=Path, help="JSON to write, after every row")
    add("--table", type=Path, help="Markdown to write")
    arguments = parser.parse_args()
    if arguments.figures and not arguments.figures.is_file():
        parser.error(f"--from: {arguments.figures} is no file; give the --out of an earlier run")
    if arguments.figures:
        figures = json.loads(arguments.figures.read_text("utf-8"))
    else:
        os.environ["PATH"] = f"{arguments.commands}{os.pathsep}{os.environ['PATH']}"
        figures = measure(arguments)
    text = page(figures)
    print(text)
    if arguments.table:
        arguments.table.write_text(text, "utf-8")
    sys.exit(f"not measured: {', '.join(figures['failed'])}" if figures["failed"] else 0)


if __name__ == "__main__":
    main()
