"""What a model made of facts, by language, from the samples that lm-eval logs of `lsn_mlama_*`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsn_eval.errors import LsnError
from lsn_eval.results import Choice, read_runs
from lsn_eval.results.run_files import runs_of
from lsn_eval.results.samples import samples, samples_path
from lsn_eval.results.settings import OF_A_LANGUAGE, differing

FAMILY = "lsn_mlama_"


class FactsError(LsnError):
    """Results that hold no facts, or not those that were asked for."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """One fact in one language."""

    uuid: str
    """The same in all languages."""
    relation: str
    text: str
    """With the subject, and a blank for the object."""
    subject: str
    object: str
    subject_tokens: tuple[str, ...]
    object_tokens: tuple[str, ...]
    fillings: tuple[tuple[str, ...], ...]
    """Tokens by number of masks; empty of a model that fills none."""
    matches: Mapping[str, float]
    """By metric of `lsn_eval.facts.matches`."""

    @property
    def known(self) -> bool:
        """Whether it counts as predicted: a full match."""
        return bool(self.matches["full_match"])


@dataclass(frozen=True)
class Predictions:
    """The facts of one model under one condition, by language, and what they were measured with."""

    by_language: Mapping[str, Sequence[Prediction]]
    signatures: tuple[str, ...]
    model: str
    condition: str


def read_predictions(
    results: Iterable[Path],
    *,
    condition: str = "none",
    languages: Sequence[str] = (),
) -> Predictions:
    """The facts in results files or folders.

    Raises:
        LsnError: there are none under this condition, those of several models or measured
            differently, or no samples.
    """
    runs = read_runs(list(results))
    rows = [row for run in runs for row in run.rows if row.task.startswith(FAMILY)]
    chosen = Choice.named(language=languages).rows(rows)
    there = sorted({row.condition for row in chosen})
    rows = [row for row in chosen if row.condition == condition]
    if not there:
        raise FactsError(
            f"no result of {FAMILY}* in the language is there: evaluate such a task first, "
            f"with --log_samples --output_path"
        )
    if not rows:
        raise FactsError(
            f"no {FAMILY}* result under the condition {condition!r}; the results have "
            f"{', '.join(there)}: give --condition"
        )
    measured = sorted({(row.model, row.mask, row.dtype) for row in rows})
    if len(measured) > 1:
        raise FactsError(
            "facts of one model with one mask were expected, and there are "
            f"{'; '.join(' '.join(of) for of in measured)}: give fewer files"
        )
    for row in rows[1:]:
        if uneven := differing(rows[0].settings, row.settings, OF_A_LANGUAGE):
            raise FactsError(
                f"{rows[0].task} and {row.task} were measured differently: {'; '.join(uneven)}; "
                "give fewer files, or measure them again"
            )
    found: dict[str, list[Prediction]] = {}
    for run in runs_of(runs, rows):
        for task, language in {row.task: str(row.language) for row in run.rows}.items():
            found[language] = _of_file(samples_path(run.path, task))
    signatures = tuple(dict.fromkeys(row.signature for row in rows))
    return Predictions(found, signatures, rows[0].model, condition)


def _of_file(path: Path) -> list[Prediction]:
    if not path.is_file():
        raise FactsError(f"{path} does not exist; run lm_eval with --log_samples --output_path DIR")
    found = []
    for sample in samples(path, texts=True, fields=True):
        assert sample.fields is not None
        assert sample.texts is not None
        of, answers = sample.fields, sample.texts.filtered
        found.append(
            Prediction(
                uuid=of.text("uuid"),
                relation=of.text("relation"),
                text=of.text("text"),
                subject=of.text("subject"),
                object=of.text("object"),
                subject_tokens=tuple(of.texts("subject_tokens")),
                object_tokens=tuple(of.texts("object_tokens")),
                fillings=tuple(tuple(text.split(" ")) for text in answers if of.flag("masked")),
                matches={name: float(value) for name, value in sample.values.items()},
            )
        )
    return found
