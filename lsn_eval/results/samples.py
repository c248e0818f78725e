"""Per-document values, from the `samples_*.jsonl` that lm-eval writes with `--log_samples`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsn_eval.results.rows import ResultsError

Document = tuple[int, str, str, str]
"""Number of a document, and lm-eval's hashes of it, of the prompt and of the target."""


@dataclass(frozen=True)
class Sample:
    """One document under one filter."""

    document: Document
    filter: str
    values: dict[str, Any]
    """By metric; what lm-eval aggregates: a number, a pair, texts."""
    responses: int
    """A hash of what the model gave, equal only if every digit of it is (in one process)."""


def samples_path(results: Path, task: str) -> Path:
    """Where lm-eval writes the samples of a task beside a results file."""
    date = results.name.removeprefix("results_").removesuffix(".json")
    return results.with_name(f"samples_{task}_{date}.jsonl")


def read_samples(results: Path, task: str) -> list[Sample]:
    """Samples of a task in the order of the documents; none if they were not logged.

    Raises:
        ResultsError: the file is there and cannot be read.
    """
    path = samples_path(results, task)
    if not path.is_file():
        return []
    try:
        found = list(_samples(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ResultsError(
            f"{path} cannot be read as samples of lm-eval ({type(error).__name__}: {error}); "
            "remove it to compare without tests, or evaluate again"
        ) from error
    return sorted(found, key=lambda sample: sample.document[0])


def _samples(path: Path) -> Iterator[Sample]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.strip():
                continue
            sample = json.loads(line)
            yield Sample(
                document=(
                    int(sample["doc_id"]),
                    str(sample.get("doc_hash", "")),
                    str(sample.get("prompt_hash", "")),
                    str(sample.get("target_hash", "")),
                ),
                filter=str(sample.get("filter", "none")),
                values={name: sample.get(name) for name in sample.get("metrics") or ()},
                responses=hash(str(sample.get("resps"))),
            )
