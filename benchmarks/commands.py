"""Whole commands, start included: start-up, a report beside a check, a sweep beside processes."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measuring import Options, interleaved, process, work

OURS = [sys.executable, "-c", "from lsn_eval.cli import main; main()"]
WHO = ("en", "de", "nl", "ru", "ar", "zh")
TASKS = "lsn_demo_ppl"


def sweep(out: Path, conditions: list[str], device: str, *more: str) -> dict[str, float]:
    """Seconds and memory of a sweep over the embedded model."""
    out.mkdir(parents=True, exist_ok=True)
    command = [
        *OURS, "sweep", "--model", "lsn_demo", "--mask", "demo/planted", "--tasks", TASKS,
        "--conditions", ",".join(conditions), "--dtype", "float32", "--batch-size", "16",
        "--device", device, "--out", str(out), "--no-progress", *more,
    ]  # fmt: skip
    return process(command, out)


@contextmanager
def results(files: int, options: Options) -> Iterator[Path]:
    """A folder of so many results files: those of a sweep, copied as if of controls."""
    with tempfile.TemporaryDirectory() as temporary:
        swept, folder = Path(temporary, "swept"), Path(temporary, "results")
        limit = options.of(["--limit", "2"], ["--limit", "8"], [])
        sweep(swept, ["none", *(f"{who}:zero" for who in WHO)][:files], options.device, *limit)
        for number in range(files):
            condition = f"{WHO[(number - 1) % 6]}:zero" if number else "none"
            name, repeat = condition.replace(":", "_"), (number - 1) // 6
            target = folder / f"{name}_{repeat}"
            shutil.copytree(swept / name / "lsn_demo", target)
            if repeat > 0:
                file = next(target.glob("results_*.json"))
                text = file.read_text("utf-8")
                own = json.dumps(condition)
                file.write_text(text.replace(own, json.dumps(f"random{repeat}-{condition}")))
        yield folder


def ours(folder: Path, *arguments: str) -> dict[str, float]:
    return process([*OURS, *arguments], folder.parent)


def check(folder: Path, *more: str) -> dict[str, float]:
    return ours(folder, "check", str(folder), "--baseline", str(folder.parent / "b.json"), *more)


def start_and_report(options: Options) -> Iterator[dict[str, Any]]:
    rounds = options.of(1, 5, 15)
    with results(options.of(3, 37, 37), options) as folder:
        check(folder, "--update")
        ways = {
            "python -c pass": work(lambda: process([sys.executable, "-c", "pass"], folder.parent)),
            "lsn-eval --help": work(lambda: ours(folder, "--help")),
            "check --help": work(lambda: ours(folder, "check", "--help")),
        }
        yield from interleaved("commands", "start-up", ways, rounds)
        page = str(folder.parent / "page.html")
        ways = {
            "check": work(lambda: check(folder)),
            "compare": work(lambda: ours(folder, "compare", str(folder))),
            "report": work(lambda: ours(folder, "report", str(folder), "--out", page)),
        }
        files = len(list(folder.iterdir()))
        yield from interleaved("commands", f"{files} results files", ways, rounds)


def sweeping(options: Options) -> Iterator[dict[str, Any]]:
    """A sweep, and a process of `lm_eval` for every condition; their numbers must be equal."""
    conditions = options.of(1, 4, 8)
    names = ["none", *(f"{who}:zero" for who in (*WHO, "random1-de"))][:conditions]
    limit = options.of(["--limit", "2"], [], [])
    with tempfile.TemporaryDirectory() as temporary:
        swept, alone = Path(temporary, "swept"), Path(temporary, "alone")

        def one_sweep() -> None:
            shutil.rmtree(swept, ignore_errors=True)
            sweep(swept, names, options.device, *limit)

        def processes() -> None:
            shutil.rmtree(alone, ignore_errors=True)
            for number, condition in enumerate(names):
                given = f"pretrained=lsn_demo,mask=demo/planted,dtype=float32,condition={condition}"
                command = [
                    str(Path(sys.executable).with_name("lm_eval")), "--model", "lsn_hf",
                    "--model_args", given, "--tasks", TASKS, "--batch_size", "16", "--device",
                    options.device, "--output_path", str(alone / str(number)), "--log_samples",
                    *limit,
                ]  # fmt: skip
                process(command, Path(temporary))
            if (one := _written(swept)) != _written(alone) or set(one) != set(names):
                raise SystemExit("the sweep's results or samples differ from the processes'")

        one_sweep()
        ways = {"a sweep": work(one_sweep), "as many processes of lm_eval": work(processes)}
        case = f"{conditions} conditions, {TASKS}"
        yield from interleaved("commands", case, ways, options.of(1, 1, 3), warm_up=0)


def _written(folder: Path) -> dict[str, Any]:
    """Results and samples by condition, without what tells the time."""
    found = {}
    for path in folder.rglob("results_*.json"):
        values = json.loads(path.read_text("utf-8"))
        for name in ("date", "total_evaluation_time_seconds"):
            del values[name]
        samples = {
            file.name.rpartition("_")[0]: file.read_text("utf-8")
            for file in path.parent.glob("samples_*.jsonl")
        }
        found[values["config"]["lsn"]["condition"]] = values, samples
    return found
