"""The demo: each language of the embedded model switched off, with controls, through lm-eval.

The embedded model has planted language neurons, so the answer is known: the diagonal of the matrix
stands out. A row is a language whose neurons are set to 0, a column a language of text.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from lsn_eval.comparisons import DocumentScores, relative_change, relative_change_interval
from lsn_eval.demo_matrix import DemoMatrix

MASK = "demo/planted"
TASK = "lsn_demo_ppl_{}"
BATCH_SIZE = 16


def run_demo(out: Path, *, controls: int = 5) -> DemoMatrix:
    """Evaluate, print and write the demo's matrix.

    Args:
        out: folder; gets `results/CONDITION/` with lm-eval's own results files, `matrix.json` and
            `heat_map.png`. Results of an earlier demo there are replaced.
        controls: random controls per language, evaluated on that language's text.
    """
    from lsn_eval.demo_figure import save_heat_map

    out.mkdir(parents=True, exist_ok=True)
    print("Loading lm-eval and the embedded model ...", flush=True)
    with _errors_only("lm_eval", "lsn_eval", "transformers"):
        evaluation = _Evaluation(out / "results")
        matrix = _measure(evaluation, controls)
    (out / "matrix.json").write_text(json.dumps(matrix.to_json(), indent=2) + "\n", "utf-8")
    save_heat_map(matrix, out / "heat_map.png")
    print(
        "\nChange of token perplexity in % when a language's neurons are set to 0 (rows), on text "
        "of each language (columns)\n"
    )
    print(matrix)
    print("\nThe last row is the perplexity without intervention. On its own text, with 95 %")
    print(f"intervals over {evaluation.documents} documents a language:")
    for language in matrix.languages:
        low, high = matrix.interval[language]
        own = matrix.change[language][language]
        print(f"  {language}  {own:+.1%} [{low:+.1%}, {high:+.1%}]")
    print(f"\n{matrix.sentence()}\n")
    print("Measured with")
    for condition in ("none", *(f"{language}:zero" for language in matrix.languages)):
        print(f"  {matrix.signatures[condition]}")
    print(f"\nResults files, matrix.json and heat_map.png are in {out}")
    return matrix


def _measure(evaluation: _Evaluation, controls: int) -> DemoMatrix:
    languages = evaluation.languages
    total = 1 + len(languages) * (1 + controls)
    with tqdm(total=total, unit="condition", desc="Evaluating") as progress:
        baseline = evaluation.scores("none", languages)
        progress.update()
        change: dict[str, dict[str, float]] = {}
        interval: dict[str, tuple[float, float]] = {}
        random_changes: dict[str, list[float]] = {}
        for language in languages:
            zeroed = evaluation.scores(f"{language}:zero", languages)
            progress.update()
            change[language] = {
                text: relative_change(baseline[text], zeroed[text]) for text in languages
            }
            interval[language] = relative_change_interval(baseline[language], zeroed[language])
            random_changes[language] = []
            for number in range(1, controls + 1):
                drawn = evaluation.scores(f"random{number}-{language}:zero", [language])
                progress.update()
                moved = relative_change(baseline[language], drawn[language])
                random_changes[language].append(moved)
    return DemoMatrix(
        languages=tuple(languages),
        baseline={language: baseline[language].perplexity for language in languages},
        change=change,
        interval=interval,
        controls=random_changes,
        signatures=evaluation.signatures,
    )


class _Evaluation:
    """lm-eval on the embedded model, loaded once and run under one condition after another."""

    def __init__(self, results: Path) -> None:
        from lm_eval.tasks import TaskManager

        from lsn_eval import plugin
        from lsn_eval.lm_models import DEMO_MODEL, LsnHF

        plugin.register()
        self._results = results
        self._arguments = {"pretrained": DEMO_MODEL, "mask": MASK, "dtype": "float32"}
        self._model = LsnHF(
            DEMO_MODEL,
            mask=MASK,
            condition=None,
            dtype="float32",
            device="cpu",
            batch_size=BATCH_SIZE,
        )
        assert self._model.mask is not None
        self.languages = list(self._model.mask.languages)
        self._tasks = TaskManager(metadata=self._arguments)
        self.signatures: dict[str, str] = {}
        self.documents = 0

    def scores(self, condition: str, languages: Sequence[str]) -> dict[str, DocumentScores]:
        """Evaluate one condition on text of some languages; writes lm-eval's results file."""
        import lm_eval
        from lm_eval.loggers import EvaluationTracker

        from lsn_eval.signatures import signature

        self._model.set_condition(condition)
        folder = self._results / condition.replace(":", "_").replace("/", "+")
        for stale in (*folder.rglob("results_*.json"), *folder.rglob("samples_*.jsonl")):
            stale.unlink()
        tracker = EvaluationTracker(output_path=str(folder))
        with _one_of_many():
            results = lm_eval.simple_evaluate(
                model=self._model,
                model_args={**self._arguments, "condition": condition},
                tasks=[TASK.format(language) for language in languages],
                task_manager=self._tasks,
                evaluation_tracker=tracker,
                batch_size=BATCH_SIZE,
                device="cpu",
                log_samples=True,
            )
            samples = results.pop("samples")
            tracker.save_results_aggregated(results, samples)
            for task, documents in samples.items():
                tracker.save_results_samples(task, documents)
        data = f"{TASK.format('*')}:{results['versions'][TASK.format(languages[0])]}"
        self.signatures[condition] = signature(results["config"]["lsn"], data)
        scored = {}
        for language in languages:
            documents = sorted(samples[TASK.format(language)], key=lambda sample: sample["doc_id"])
            self.documents = len(documents)
            scored[language] = DocumentScores.of(
                [sample["token_perplexity"] for sample in documents]
            )
        return scored


@contextmanager
def _errors_only(*loggers: str) -> Iterator[None]:
    """Thirty-seven evaluations in a row say the same thing thirty-seven times."""
    levels = {name: logging.getLogger(name).level for name in loggers}
    for name in loggers:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _one_of_many() -> Iterator[None]:
    """lm-eval as it runs inside a longer run: its progress bars, one a condition, and what `git`
    says outside a repository are kept off the screen, and the machine is described once."""
    from torch.utils import collect_env

    describe = collect_env.get_pretty_env_info
    collect_env.get_pretty_env_info = _described_once(describe)
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        collect_env.get_pretty_env_info = describe


@functools.cache
def _described_once(describe: Callable[[], str]) -> Callable[[], str]:
    return functools.cache(describe)
