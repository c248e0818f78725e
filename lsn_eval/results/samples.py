"""The one reader of the `samples_*.jsonl` that lm-eval writes with `--log_samples`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsn_eval.results.rows import ResultsError
from lsn_eval.storage.outside_files import Fields, json_lines

Document = tuple[int, str, str, str]
"""Number of a document, and lm-eval's hashes of it, of the prompt and of the target."""
_DATED = re.compile(r"samples_(.+)_(\d{4}-\d\d-\d\dT[\d.-]+)")


@dataclass(frozen=True, slots=True)
class Sample:
    """One document under one filter."""

    document: Document
    filter: str
    values: dict[str, Any]
    """By metric; what lm-eval aggregates: a number, a pair, texts."""
    responses: int
    """A hash of what the model gave, equal only if every digit of it is (in one process)."""
    texts: Texts | None = None
    """None unless they are asked for."""
    fields: Fields | None = None
    """The document's own; None unless they are asked for."""

    @property
    def number(self) -> int:
        """Of the document."""
        return self.document[0]


@dataclass(frozen=True)
class Texts:
    """What a sample says in words."""

    question: str | None
    """The document's own `question`; None where it has none."""
    passage: str | None
    """The document's own `context`, which a question is about; None where it has none."""
    prompt: str
    """The context of the first request."""
    target: str
    answers: tuple[str, ...]
    """As the model gave them."""
    filtered: tuple[str, ...]
    """As they were scored."""
    generated: bool
    """Whether the model wrote them; else they are likelihoods, logged as texts."""


def samples_path(results: Path, task: str) -> Path:
    """Where lm-eval writes the samples of a task beside a results file."""
    date = results.name.removeprefix("results_").removesuffix(".json")
    return results.with_name(f"samples_{task}_{date}.jsonl")


def results_path(samples: Path) -> tuple[Path, str] | None:
    """The results file that a samples file lies beside, and its task; None if its name is not as
    lm-eval writes it."""
    named = _DATED.fullmatch(samples.stem)
    return None if named is None else (samples.with_name(f"results_{named[2]}.json"), named[1])


def read_samples(results: Path, task: str) -> list[Sample]:
    """Samples of a task in the order of the documents; none if they were not logged.

    Raises:
        ResultsError: the file is there and cannot be read.
    """
    path = samples_path(results, task)
    return sorted(samples(path), key=lambda sample: sample.number) if path.is_file() else []


def samples(path: Path, *, texts: bool = False, fields: bool = False) -> Iterator[Sample]:
    """The samples of a file one after the other, in its order.

    Args:
        texts: read `Sample.texts`, which take memory.
        fields: read `Sample.fields`, the same.

    Raises:
        ResultsError: a line is no sample of lm-eval; the message names it.
    """
    for number, record in json_lines(path, ResultsError):
        one = Fields(record, f"{path}, line {number}", ResultsError)
        yield sample_of(one, texts=texts, fields=fields)


def sample_of(record: Fields, *, texts: bool = False, fields: bool = False) -> Sample:
    """One line of a samples file.

    Raises:
        LsnError: the error of `record`: it is no sample.
    """
    return Sample(
        document=(
            record.whole("doc_id"),
            str(record.value.get("doc_hash", "")),
            str(record.value.get("prompt_hash", "")),
            str(record.value.get("target_hash", "")),
        ),
        filter=record.text("filter", "none"),
        values={name: record.value.get(name) for name in record.texts("metrics", [])},
        responses=hash(str(record.value.get("resps"))),
        texts=_texts(record) if texts else None,
        fields=record.fields("doc") if fields else None,
    )


def _texts(record: Fields) -> Texts:
    document = record.value.get("doc")
    said = document if isinstance(document, dict) else {}
    question, passage = (
        text if isinstance(text := said.get(name), str) else None
        for name in ("question", "context")
    )
    prompt = record.value.get("arguments")
    request = next(iter(_inside(prompt)), None)
    while inside := _inside(prompt):
        prompt = inside[0]
    return Texts(
        question=question,
        passage=passage,
        prompt=_shown(prompt),
        target=_shown(record.value.get("target")),
        answers=tuple(_leaves(record.value.get("resps"))),
        filtered=tuple(_leaves(record.value.get("filtered_resps"))),
        # Of a generation the second argument says how to generate.
        generated=any(isinstance(argument, dict) for argument in _inside(request)),
    )


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _leaves(responses: Any) -> Iterator[str]:
    if isinstance(responses, list):
        for response in responses:
            yield from _leaves(response)
    elif isinstance(responses, str):
        yield responses
