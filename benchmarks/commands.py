"""Whole commands, start included: start-up, a report beside a check, a sweep beside processes."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.measuring import Options, interleaved, process, work
from lsn_eval.storage import shipped

WHO = ("en", "de", "nl", "ru", "ar", "zh")
TASKS = "lsn_demo_ppl"


def sweep(out: Path, conditions: list[str], device: str, *more: str) -> dict[str, float]:
    """Seconds and memory of a sweep over the embedded model."""
    out.mkdir(parents=True, exist_ok=True)
    command = [
        "lsn-eval", "sweep", "--model", "lsn_demo", "--mask", "demo/planted", "--tasks", TASKS,
        "--conditions", ",".join(conditions), "--dtype", "float32", "--batch-size", "16",
        "--device", device, "--out", str(out), "--no-progress", *more,
    ]  # fmt: skip
    return process(command, out)


@cache
def _swept(options: Options) -> tempfile.TemporaryDirectory[str]:
    """Results of `none` and of every language, of few documents."""
    folder = tempfile.TemporaryDirectory()
    names = ["none", *(f"{who}:zero" for who in options.of(WHO[:1], WHO, WHO))]
    sweep(Path(folder.name), names, options.device, "--limit", options.of("2", "4", "4"))
    return folder


@contextmanager
def results(files: int, options: Options, rows: int = 0) -> Iterator[Path]:
    """A folder of so many results files: those of a sweep, copied as if of controls; with so many
    rows of samples in each, if not with those that there are."""
    swept = Path(_swept(options).name)
    kinds = options.of(WHO[:1], WHO, WHO)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "results")
        for number in range(files):
            repeat, kind = divmod(number - 1, len(kinds))
            condition = f"{kinds[kind]}:zero" if number else "none"
            name = condition.replace(":", "_")
            target = folder / f"{name}_{repeat}"
            copy = shutil.copy2 if rows else os.link
            shutil.copytree(swept / name / "lsn_demo", target, copy_function=copy)
            file = next(target.glob("results_*.json"))
            text = file.read_text("utf-8")
            file.unlink()  # the other name of a link stays what it is
            if repeat > 0:
                text = text.replace(f'"{condition}"', f'"random{repeat}-{condition}"')
            if rows:
                text = _repeated(text, list(target.glob("samples_*.jsonl")), rows)
            file.write_text(text, "utf-8")
        yield folder


def _repeated(results: str, files: list[Path], rows: int) -> str:
    """Every sample so often, as if of as many documents: means and rates stay what they are."""
    for file in files:
        lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        with file.open("w", encoding="utf-8") as output:
            for number in range(rows // len(files)):
                line = lines[number % len(lines)] | {"doc_id": number}
                output.write(json.dumps(line, ensure_ascii=False) + "\n")
    return results.replace(f'"effective": {len(lines)}', f'"effective": {rows // len(files)}')


def ours(folder: Path, *arguments: str) -> dict[str, float]:
    return process(["lsn-eval", *arguments], folder.parent)


def check(folder: Path, *more: str) -> dict[str, float]:
    return ours(folder, "check", str(folder), "--baseline", str(folder.parent / "b.json"), *more)


def commands(options: Options) -> Iterator[dict[str, Any]]:
    """Start-up beside a bare interpreter's, and a report and tables beside a check."""
    with results(2, options) as folder:
        check(folder, "--update")
        ways = {
            "python -c pass": work(lambda: process(["python", "-c", "pass"], folder.parent)),
            "lsn-eval --help": work(lambda: ours(folder, "--help")),
            "check of two files": work(lambda: check(folder)),
        }
        yield from interleaved("commands", "start-up", ways, options.of(1, 5, 15))
    with results(options.of(2, 37, 37), options) as folder:
        check(folder, "--update")
        page = str(folder.parent / "page.html")
        ways = {
            "check": work(lambda: check(folder)),
            "compare": work(lambda: ours(folder, "compare", str(folder))),
            "report": work(lambda: ours(folder, "report", str(folder), "--out", page)),
        }
        files = len(list(folder.iterdir()))
        yield from interleaved("commands", f"{files} results files", ways, options.of(1, 2, 9))


def evaluating(options: Options) -> Iterator[dict[str, Any]]:
    """lm-eval's command with its own model, as without this package, and with ours."""
    stock = f"pretrained={shipped.demo_model_dir()},dtype=float32"
    lm_eval = "--tasks", f"{TASKS}_de", "--limit", "2", "--device", options.device
    plain = "--model", "hf", "--model_args", stock
    lsn_hf = "--model", "lsn_hf", "--model_args", f"{stock},mask=demo/planted,condition=de:zero"
    commands = {
        "lm_eval, hf, task files parsed": ["env", "LSN_EVAL_TASK_CACHE=0", "lm_eval", *plain],
        "lm_eval, hf": ["lm_eval", *plain],
        "lm_eval, lsn_hf": ["lm_eval", *lsn_hf],
        "lsn-eval run, lsn_hf": ["lsn-eval", "run", *lsn_hf],
    }
    with tempfile.TemporaryDirectory() as folder:
        process([*commands["lm_eval, hf"], *lm_eval], Path(folder))  # remembers the task files
        ways = {
            name: work(lambda command=command: process([*command, *lm_eval], Path(folder)))
            for name, command in commands.items()
        }
        yield from interleaved("commands", "two documents", ways, options.of(1, 1, 2), warm_up=0)


def sweeping(options: Options) -> Iterator[dict[str, Any]]:
    """A sweep, and a process of `lm_eval` for every condition; their numbers must be equal."""
    conditions = options.of(1, 2, 8)
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
                    "lm_eval", "--model", "lsn_hf", "--model_args", given, "--tasks", TASKS,
                    "--batch_size", "16", "--device", options.device,
                    "--output_path", str(alone / str(number)), "--log_samples", *limit,
                ]  # fmt: skip
                process(command, Path(temporary))

        ways = {"a sweep": work(one_sweep), "as many processes of lm_eval": work(processes)}
        case = f"{conditions} conditions, {TASKS}"
        yield from interleaved("commands", case, ways, 1)  # minutes
        if (one := _written(swept)) != _written(alone) or set(one) != set(names):
            raise SystemExit("the sweep's results or samples differ from the processes'")


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
