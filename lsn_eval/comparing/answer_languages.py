"""Languages of answers, found again in the samples, and from them the accuracy against the language
that a condition steers to.

The definition is the task's own: the answer that was scored, its language identifier and its
confidence. Where what is found contradicts the logged language accuracy, nothing is given.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from lsn_eval.conditions import steering
from lsn_eval.errors import LsnError
from lsn_eval.language_scores import codes, load_identifier
from lsn_eval.results.languages import LANGUAGE_ACCURACY, TARGET_ACCURACY
from lsn_eval.results.rows import NO_CONDITION, ResultsError, Row
from lsn_eval.results.samples import samples, samples_path
from lsn_eval.results.settings import about, mapping
from lsn_eval.storage.outside_files import Fields, read_json


def answer_languages(row: Row) -> tuple[str, ...]:
    """The language of every answer in the order of the documents: codes of labels, `empty` or
    `und`; nothing where no answers were logged.

    Raises:
        LsnError: the samples cannot be read, or hold another language accuracy.
    """
    path = samples_path(row.file, row.task)
    if row.language is None or not path.is_file():
        return ()
    return _detected(row.file, row.task, row.filter, row.language, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _detected(
    results: Path, task: str, filter_name: str, language: str, _written: int
) -> tuple[str, ...]:
    config = mapping(about(read_json(results, ResultsError), "configs", task))
    metadata = Fields(dict(mapping(config.get("metadata"))), f"{results}: {task}", ResultsError)
    identifier = load_identifier(metadata.text("lid", "") or None)
    confidence, asked = metadata.number("lid_confidence", 0.0), codes.of_language(language)
    found = {}
    for sample in samples(samples_path(results, task), texts=True):
        logged = sample.values.get(LANGUAGE_ACCURACY)
        if sample.filter != filter_name or sample.texts is None or logged is None:
            continue
        text = next(iter(sample.texts.filtered or sample.texts.answers), "")
        label = identifier.identify(text, confidence)
        if codes.counts_as(label, asked) != bool(logged):
            raise ResultsError(
                f"languages of answers are not counted: document {sample.number} of {task} was "
                f"logged with a language accuracy of {logged} and {identifier.name} finds {label}"
            )
        found[sample.number] = label
    return tuple(found[number] for number in sorted(found))


def in_target(row: Row, target: str) -> list[float]:
    """1 for every answer of a language task in the language, else 0; in the order of the documents.

    Raises:
        LsnError: as of `answer_languages`.
    """
    code = codes.of_language(target)
    return [float(codes.counts_as(label, code)) for label in answer_languages(row)]


def with_targets(rows: Sequence[Row]) -> list[Row]:
    """The rows, and for every language that a condition steers to the accuracy against it: of the
    condition, of its controls, and of `none`. Of tasks with language accuracy and logged answers;
    a row whose answers cannot be used says why in its warnings.
    """
    asked = [row for row in rows if row.metric == LANGUAGE_ACCURACY and not row.group]
    wanted: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for row in asked:
        if steered := steering(row.condition):
            wanted[row.model, row.family].update(dict.fromkeys(steered.targets))
    there = {(row.file, row.task, row.name) for row in rows}
    found: list[Row] = []
    for row in rows:
        targets = list(wanted[row.model, row.family]) if row in asked else []
        if row.condition != NO_CONDITION:
            steered = steering(row.condition)
            targets = [x for x in targets if steered and x in steered.targets]
        added = [replace(row, metric=TARGET_ACCURACY + x, stderr=None) for x in targets]
        try:
            values = [
                replace(new, value=fmean(correct))
                for new, target in zip(added, targets, strict=True)
                if (new.file, new.task, new.name) not in there
                if (correct := in_target(row, target))
            ]
        except LsnError as error:
            row, values = replace(row, warnings=(*row.warnings, str(error))), []
        found += [row, *values]
    return found
