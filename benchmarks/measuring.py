"""The clock, the rounds and the machine: every ratio comes from `interleaved`."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random
from typing import Any, TypeVar

Way = Callable[[], AbstractContextManager[Callable[[], object]]]
"""What to do before and after, round the function that is timed."""
AGAIN = "again"
ENOUGH = 12
"""Seconds of a case, unless it is told otherwise."""
PACKAGES = (
    "lsn_eval", "torch", "transformers", "lm_eval", "numpy", "scikit-learn",
    "nnsight", "pyvene", "transformer-lens",
)  # fmt: skip

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Options:
    """How much is measured, and on what."""

    mode: str
    """smoke, quick or full."""
    device: str
    environments: str = ""
    """Folder of the environments of peers."""

    def of(self, smoke: Choice, quick: Choice, full: Choice) -> Choice:
        return {"smoke": smoke, "quick": quick, "full": full}[self.mode]


def now(device: str = "cpu") -> tuple[float, float]:
    """Seconds by the clock, and of processors for this process and those that it waited for."""
    if device != "cpu":
        import torch

        torch.accelerator.synchronize()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), time.process_time() + children.ru_utime + children.ru_stime


def work(function: Callable[[], object]) -> Way:
    """A way that needs nothing before it."""

    @contextmanager
    def way() -> Iterator[Callable[[], object]]:
        yield function

    return way


def interleaved(
    group: str,
    case: str,
    ways: Mapping[str, Way],
    rounds: int,
    device: str = "cpu",
    warm_up: int = 1,
    enough: float = ENOUGH,
) -> Iterator[dict[str, Any]]:
    """One row a way: its time over that of the first, medians and quartiles of rounds.

    A round runs every way once and the first twice, in an order drawn anew. A ratio is to the mean
    of the two, and the row "again" is the second over the first: what noise alone does. Of many
    rounds no more are run than `enough` seconds take, and three; a single one goes without a first.
    """
    base = next(iter(ways))
    everything = {**ways, AGAIN: ways[base]}
    order, random = list(everything), Random(0)
    taken: list[dict[str, tuple[float, ...]]] = []
    started = time.perf_counter()
    warm_up = min(warm_up, rounds - 1)
    for number in range(rounds + warm_up):
        if len(taken) >= 3 and time.perf_counter() - started > enough:
            break
        random.shuffle(order)
        took = {}
        for name in order:
            with everything[name]() as run:
                before = now(device)
                run()
                took[name] = tuple(b - a for a, b in zip(before, now(device), strict=True))
        if number >= warm_up:
            taken.append(took)
    for name in (AGAIN, *list(ways)[1:]):
        ratios = []
        for took in taken:
            below = [(a + b) / 2 for a, b in zip(took[base], took[AGAIN], strict=True)]
            own = took[base] if name == AGAIN else below
            ratios.append([t / max(o, 1e-9) for t, o in zip(took[name], own, strict=True)])
        wall, process = map(quartiles, zip(*ratios, strict=True))
        seconds = statistics.median(took[name][device == "cpu"] for took in taken)
        yield {
            "group": group, "case": case, "base": base, "way": name, "process": process,
            "wall": wall, "seconds": round(seconds, 5), "rounds": len(taken), "device": device,
        }  # fmt: skip


def quartiles(values: Any) -> list[float]:
    """Lower quartile, median, upper quartile."""
    values = list(values)
    found = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return [round(value, 3) for value in found]


def counted(group: str, case: str, base: str, way: str, value: float) -> dict[str, Any]:
    """A row of what is counted, not timed: without noise, rounds and a control."""
    return {
        "group": group, "case": case, "base": base, "way": way, "process": quartiles([value]),
        "wall": quartiles([value]), "seconds": 0, "rounds": 0, "device": "cpu",
    }  # fmt: skip


def process(command: list[str], folder: Path, place: Path | None = None) -> dict[str, float]:
    """Seconds of processors and peak memory of a command, which must succeed; it runs in `place`,
    or in `folder`, where its output goes. `python`, `lsn-eval` and `lm_eval` are the first on the
    path."""
    with (folder / "output.txt").open("wb") as output:
        child = subprocess.Popen(
            command, cwd=place or folder, env=quiet(), stdout=output, stderr=output
        )
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(folder / 'output.txt').read_text()[-2000:]}")
    peak = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {"seconds": round(used.ru_utime + used.ru_stime, 3), "peak_mib": round(peak, 1)}


def quiet() -> dict[str, str]:
    """The environment of every command: one thread unless told, no network."""
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    ours = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": threads}
    return {**os.environ, **ours}


def machine(device: str) -> dict[str, Any]:
    """Processor, cores and versions; nothing that tells which machine it is."""
    processor = platform.machine()
    described = Path("/proc/cpuinfo")
    if described.exists():
        lines = [line for line in described.read_text().splitlines() if "model name" in line]
        processor = lines[0].partition(":")[2].strip() if lines else processor
    found: dict[str, Any] = {"processor": processor, "cores": os.cpu_count(), "device": device}
    if device != "cpu":
        name = "import torch; print(torch.cuda.get_device_name())"  # elsewhere: torch is large
        done = subprocess.run([sys.executable, "-c", name], capture_output=True, text=True)
        found["device"] = done.stdout.strip() or device
    found["threads"] = os.environ.get("OMP_NUM_THREADS", "all")
    found["load"] = round(os.getloadavg()[0], 1)
    found["versions"] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found["versions"][name] = version(name)
        except PackageNotFoundError:
            continue
    return found
