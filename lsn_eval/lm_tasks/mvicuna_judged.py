"""`lsn_mvicuna_judged_{lang}`: the Vicuna questions, with a judge's grade beside the language.

lm-eval generates everything, then calls `apply_filters` once and `process_results` a document at a
time. The judge is asked in between, all answers at once: when the filters have run, the answers
are spooled to disk, graded concurrently, and `process_results` reads the grade. A judge that
fails leaves answers unjudged; the run goes on, so that the other metrics are not lost.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from lsn_eval.judge import Answer, JudgeError, JudgeSession, JudgeSettings
from lsn_eval.judge.answers import spool
from lsn_eval.judge.grades import Grade, GradeSummary, mean_interval
from lsn_eval.judge.session import judge_signature
from lsn_eval.judge.settings import Prices
from lsn_eval.lm_tasks.local_data import refuse_secrets
from lsn_eval.lm_tasks.mvicuna import MVicunaTask

log = logging.getLogger(__name__)

PREFIX = "judge_"
DEFAULT_FOLDER = "lsn_judge"
_SETTINGS = tuple(field.name for field in fields(JudgeSettings))
_OTHERS = ("spool", "price_input", "price_output")


def judge_options(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the metadata says of the judge, without the prefix.

    Raises:
        JudgeError: an option that does not exist.
        LocalDataError: one that looks like a key.
    """
    refuse_secrets(metadata)
    options = {
        name.removeprefix(PREFIX): value
        for name, value in metadata.items()
        if name.startswith(PREFIX)
    }
    known = (*_SETTINGS, *_OTHERS)
    unknown = [PREFIX + name for name in options if name not in known]
    if unknown:
        raise JudgeError(
            f"metadata {', '.join(unknown)} is unknown; there are "
            f"{', '.join(PREFIX + name for name in known)}"
        )
    if "model" not in options:
        raise JudgeError("no judge is named; give --metadata judge_model=MODEL")
    if isinstance(options.get("parameters"), Mapping):
        refuse_secrets(options["parameters"])
    return options


class MVicunaJudgedTask(MVicunaTask):
    """`MVicunaTask` and a judge, which is opened before anything is generated."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        options = judge_options((config or {}).get("metadata") or {})
        self._folder = Path(str(options.get("spool", DEFAULT_FOLDER))).expanduser()
        given = [options.get(name) for name in ("price_input", "price_output")]
        if (given[0] is None) != (given[1] is None):
            raise JudgeError("a cost needs both judge_price_input and judge_price_output")
        self._prices = None if given[0] is None else Prices(*given)  # type: ignore[arg-type]
        settings = {name: options[name] for name in _SETTINGS if name in options}
        self._settings = JudgeSettings(**settings)
        self._grades: dict[tuple[str, str], Grade] = {}
        # Opened for the sake of its errors alone: no key, no openai, no folder to write to.
        with JudgeSession(self._settings, self._folder) as session:
            self._prompt = session.prompt("graded")
        super().__init__(config=config)

    def apply_filters(self) -> Any:
        """Filter as always; then spool the answers and have them graded."""
        filtered = super().apply_filters()
        if "bypass" not in self._metric_fn_list:  # --predict_only
            self._grade()
        return filtered

    def _grade(self) -> None:
        answers = [
            Answer(str(i.doc_id), i.doc["question"], _only(next(iter(i.filtered_resps.values()))))
            for i in sorted(self._instances, key=lambda i: i.doc_id)
        ]
        path = spool(self._folder, str(self.config.task), answers)
        log.info("judge: %d answers are in %s", len(answers), path)
        grades, report = self._judged(answers)
        self._grades = {
            (answer.question, answer.answer): grade
            for answer, grade in zip(answers, grades, strict=True)
        }
        summary = GradeSummary.of(grades)
        # Into the task's metadata, which lm-eval writes into the results file.
        report = {"spool": str(path)} | vars(summary) | report
        self.config.metadata = {**self.metadata, "judge": report}
        if summary.unjudged:
            reasons = [f"{count}: {reason}" for reason, count in summary.unjudged_because.items()]
            log.warning(
                "%s: %d of %d answers are unjudged (%s). All answers are in %s; grade what is "
                "left with: lsn-eval judge %s --model %s --cache %s",
                self.config.task, summary.unjudged, len(answers),
                "; ".join(reasons), path, path, self._settings.model, self._folder,
            )  # fmt: skip

    def _judged(self, answers: list[Answer]) -> tuple[list[Grade], dict[str, Any]]:
        """The grades, and who gave them at what expense; no error of the judge leaves here."""
        try:
            with JudgeSession(self._settings, self._folder) as session:
                grades = session.grade(answers)
                report = session.as_json(self._prompt) | {
                    "usage": session.usage.as_json(self._prices)
                }
                print(
                    f"{self.config.task}: {report['signature']}; {session.usage}", file=sys.stderr
                )
                return grades, report
        except JudgeError as error:
            unjudged = [Grade(answer.doc_id, None, str(error), ()) for answer in answers]
            return unjudged, {"signature": judge_signature(self._settings.model, self._prompt)}

    def process_results(self, doc: dict[str, Any], results: list[Any]) -> dict[str, Any]:
        """The metrics of `MVicunaTask`, and the grade; None where the answer is unjudged."""
        metrics = dict(super().process_results(doc, results))
        if "bypass" in self._metric_fn_list:
            return metrics
        grade = self._grades[doc["question"], _only(results[0])].grade
        counts = {"judge_judged": int(grade is not None), "judge_unjudged": int(grade is None)}
        return metrics | dict.fromkeys(AGGREGATIONS, grade) | counts

    def aggregation(self) -> dict[str, Callable[[Sequence[Any]], float]]:
        """`AGGREGATIONS` beside those of `MVicunaTask`."""
        return {**super().aggregation(), **AGGREGATIONS}

    def higher_is_better(self) -> dict[str, bool]:
        """A better answer has the higher grade."""
        return {**super().higher_is_better(), "judge_grade": True, "judge_unjudged": False}


def _only(response: Any) -> str:
    while isinstance(response, list | tuple):
        (response,) = response
    return str(response)


def _judged(grades: Sequence[float | None]) -> list[float]:
    return [grade for grade in grades if grade is not None]


def judged_mean(grades: Sequence[float | None]) -> float:
    """The mean grade of the answers that were judged; not a number where there are none."""
    judged = _judged(grades)
    return sum(judged) / len(judged) if judged else float("nan")


def interval_end(grades: Sequence[float | None], *, end: int) -> float:
    """The lower (0) or upper (-1) end of the mean's 95 % bootstrap interval."""
    return (mean_interval(_judged(grades)) or (float("nan"),))[end]


AGGREGATIONS: dict[str, Callable[[Sequence[Any]], float]] = {
    "judge_grade": judged_mean,
    "judge_grade_low": partial(interval_end, end=0),
    "judge_grade_high": partial(interval_end, end=-1),
    "judge_judged": sum,
    "judge_unjudged": sum,
}
"""Grades are averaged over judged answers; counts are sums."""
