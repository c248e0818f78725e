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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lsn_eval.comparisons import (
    DocumentScores,
    rank_p_value,
    relative_change,
    relative_change_interval,
)

MASK = "demo/planted"
TASK = "lsn_demo_ppl_{}"
BATCH_SIZE = 16

DIAGONAL_AT_LEAST = 0.05
OFF_DIAGONAL_BELOW = 1 / 5


@dataclass(frozen=True)
class DemoMatrix:
    """Relative change of token perplexity: `change[zeroed language][language of the text]`."""

    languages: tuple[str, ...]
    baseline: Mapping[str, float]
    change: Mapping[str, Mapping[str, float]]
    interval: Mapping[str, tuple[float, float]]
    """95 % bootstrap interval of each diagonal entry."""
    controls: Mapping[str, Sequence[float]]
    """Change of each control of a language on that language's text."""
    signatures: Mapping[str, str]
    """By condition."""

    def p_value(self, language: str) -> float:
        """Rank of the diagonal among the controls."""
        return rank_p_value(self.change[language][language], self.controls[language])

    def shortcomings(self) -> Iterator[str]:
        """Where the expected picture does not show."""
        for language in self.languages:
            own = self.change[language][language]
            if own <= DIAGONAL_AT_LEAST:
                yield f"{language}: its own change is {own:+.1%}, not above {DIAGONAL_AT_LEAST:.0%}"
            for other in self.languages:
                change = self.change[language][other]
                if other != language and abs(change) >= OFF_DIAGONAL_BELOW * own:
                    yield (
                        f"{language}: text in {other} changes by {change:+.1%}, a fifth of "
                        f"{own:+.1%} or more"
                    )
            if own <= max(self.controls[language]):
                yield f"{language}: a random control changes its text as much"

    def sentence(self) -> str:
        """What the matrix shows."""
        own = [self.change[language][language] for language in self.languages]
        others = [
            abs(self.change[row][column])
            for row in self.languages
            for column in self.languages
            if row != column
        ]
        controls = [change for changes in self.controls.values() for change in changes]
        count = min(map(len, self.controls.values()))
        p = max(self.p_value(language) for language in self.languages)
        found = (
            f"Setting a language's planted neurons to 0 raises perplexity by {min(own):.1%} to "
            f"{max(own):.1%} on its own text and moves it by at most {max(others):.1%} on any "
            f"other; as many random neurons raise it by at most {max(controls):.1%} "
            f"(p = {p:.2g} or less in every language, and {count} controls can show no less than "
            f"{1 / (count + 1):.2g})."
        )
        lacking = list(self.shortcomings())
        if lacking:
            return "The expected picture does NOT show: " + "; ".join(lacking) + "."
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything, in plain types."""
        return {
            "languages": list(self.languages),
            "baseline_token_perplexity": dict(self.baseline),
            "relative_change": {row: dict(columns) for row, columns in self.change.items()},
            "interval_95": {row: list(interval) for row, interval in self.interval.items()},
            "controls": {row: list(changes) for row, changes in self.controls.items()},
            "p_value": {language: self.p_value(language) for language in self.languages},
            "signatures": dict(self.signatures),
            "sentence": self.sentence(),
        }

    def __str__(self) -> str:
        header = ["zeroed", *self.languages, "controls", "p"]
        rows = [header]
        for row in self.languages:
            controls = self.controls[row]
            rows.append(
                [
                    row,
                    *(percent(self.change[row][column]) for column in self.languages),
                    f"{percent(min(controls))} to {percent(max(controls))}",
                    f"{self.p_value(row):.2g}",
                ]
            )
        rows.append(["(none)", *(f"{self.baseline[c]:.2f}" for c in self.languages), "", ""])
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


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


def percent(change: float) -> str:
    """A relative change in percent with one decimal and a sign, 0.0 where it rounds to nothing."""
    rounded = f"{100 * change:+.1f}"
    return "0.0" if rounded in ("+0.0", "-0.0") else rounded


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
