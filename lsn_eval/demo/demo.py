"""The demo: each language of the embedded model switched off, with controls, through lm-eval.

The embedded model has planted language neurons, so the answer is known: the diagonal of the matrix
stands out. A row is a language whose neurons are set to 0, a column a language of text. It is one
sweep, its comparison and its report, with nothing that a user could not type.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from lsn_eval.comparing import Comparison, compare
from lsn_eval.demo.verdict import DemoVerdict
from lsn_eval.errors import LsnError
from lsn_eval.storage.folder_lock import LOCK, only_writer
from lsn_eval.storage.whole_files import check_folder, whole_file
from lsn_eval.sweeping.folder import ARGUMENTS, stored_arguments
from lsn_eval.sweeping.settings import SweepSettings

MODEL = "lsn_demo"
MASK = "demo/planted"
TASKS = ("lsn_demo",)
QUICK = ("de", "ru", "zh")
"""Languages of the quick demo, one a script and near none of the others."""
QUICK_TASKS = tuple(f"lsn_demo_ppl_{language}" for language in QUICK)
MATRIX_FILE, HEAT_MAP, REPORT = "matrix.json", "heat_map.png", "report.html"
MATRIX = ("lsn_demo_ppl_*", "token_perplexity")


def run_demo(out: Path, *, controls: int = 5, quick: bool = False) -> DemoVerdict:
    """Evaluate, print and write what the demo shows.

    Args:
        out: folder; gets `results/CONDITION/` with lm-eval's own results files, `matrix.json`,
            `heat_map.png` and `report.html`. Those of an earlier demo there are replaced.
        controls: random controls per language, evaluated on every task.
        quick: three languages and their perplexity alone.

    Raises:
        LsnError: a condition could not be evaluated, or `results` is of another sweep.
    """
    from lsn_eval.plotting import heat_map, save_figure
    from lsn_eval.reporting import report
    from lsn_eval.sweeping.running import run_sweep

    results = out / "results"
    tasks = QUICK_TASKS if quick else TASKS
    _clear(results, tasks)
    for name in (MATRIX_FILE, HEAT_MAP, REPORT):  # none stays beside results of another run
        (out / name).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    print("Loading lm-eval and the embedded model ...", flush=True)
    settings = SweepSettings(
        model=MODEL, mask=MASK, tasks=tasks, each="zero", controls=controls, dtype="float32",
        batch_size="16", device="cpu",
    )  # fmt: skip
    if quick:
        names = [(x, *(f"random{n + 1}-{x}" for n in range(controls))) for x in QUICK]
        conditions = ("none", *(f"{who}:zero" for of_one in names for who in of_one))
        settings = replace(settings, each=None, controls=0, conditions=conditions)
    outcome = run_sweep(settings, results)
    if outcome.failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in outcome.failed.items())
        raise LsnError(f"conditions of the demo failed: {reasons}")

    comparison = compare(results, task=MATRIX[0], metric=MATRIX[1])
    verdict = DemoVerdict(*comparison.panels)
    with whole_file(out / MATRIX_FILE, LsnError) as file:
        file.write((json.dumps(verdict.to_json(), indent=2) + "\n").encode())
    save_figure(heat_map(verdict.panel, draws=comparison.draws), out / HEAT_MAP)
    metrics = ("token_perplexity", *(() if quick else ("lsn_language_accuracy",)))
    report(results, out / REPORT, metric=metrics)
    print(f"\n{_QUICKLY if quick else ''}{demo_text(comparison, verdict)}")
    print(f"Results files, {MATRIX_FILE}, {HEAT_MAP} and {REPORT} are in {out}")
    return verdict


def _clear(results: Path, of: tuple[str, ...]) -> None:
    """Remove the results of an earlier demo of these tasks, and no others."""
    check_folder(results, LsnError)
    if not (results / ARGUMENTS).is_file():
        return
    with only_writer(results, LsnError):
        arguments = stored_arguments(results)
        model_args = arguments.get("model_args")
        model_args = model_args if isinstance(model_args, dict) else {}
        model, mask = model_args.get("pretrained"), model_args.get("mask")
        tasks = arguments.get("tasks")
        if (model, mask, tasks) != (MODEL, MASK, list(of)):
            raise LsnError(
                f"{results} holds another sweep (model {model}, mask {mask}, tasks {tasks}), and "
                "the demo replaces none but its own; give another --out"
            )
        # The arguments last: what an interruption leaves can be told for the demo's.
        for path in sorted(results.iterdir(), key=lambda path: path.name == ARGUMENTS):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()


def demo_text(comparison: Comparison, verdict: DemoVerdict) -> str:
    """The matrix, each language's own change, and what they show."""
    from lsn_eval.tables import change_table, own_table
    from lsn_eval.tables.formats import terminal
    from lsn_eval.wording.text_tables import screen_width

    panel, draws = verdict.panel, comparison.draws
    tables = [change_table(panel, draws), own_table(panel, draws)]
    shown = [table for table in tables if table]
    printed = terminal(shown, comparison.notes, width=screen_width())
    return f"{_LEGEND}\n\n{printed}\n{verdict}\n"


_QUICKLY = f"The quick demo: {', '.join(QUICK)} of six languages, and perplexity alone.\n\n"
_LEGEND = (
    "Rows are conditions (de:zero: the German neurons set to 0; controls: as many random "
    "neurons), columns languages of text."
)
