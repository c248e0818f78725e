"""Predictions of facts, and results of `lsn_mlama_*` as lm-eval writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from builders.results_files import task_results, write_document
from lsn_eval.facts.matches import of_fillings
from lsn_eval.facts.predictions import Prediction


def prediction(uuid: str, thing: str, *fillings: str, **others: Any) -> Prediction:
    """A fact whose tokens are words: the object's, and those of each filling."""
    words = [tuple(filling.split()) for filling in fillings]
    told = {
        "relation": "P1", "text": "anna in [Y]", "subject": "anna", "object": thing,
        "subject_tokens": tuple(others.get("subject", "anna").split()),
        "object_tokens": tuple(thing.split()), "fillings": tuple(words),
        "matches": of_fillings(thing.split(), words),
    }  # fmt: skip
    return Prediction(uuid=uuid, **{**told, **others})


def write_facts(folder: Path, facts: Mapping[str, Sequence[Prediction]], **given: Any) -> Path:
    """A results file with its samples, as `write_document` takes what else is `given`."""
    tasks = {f"lsn_mlama_{language}": of for language, of in facts.items()}
    write_document(
        folder,
        {task: task_results(full_match=0.5) for task in tasks},
        samples={task: [*map(_sample, range(len(of)), of)] for task, of in tasks.items()},
        **given,
    )
    return folder


def _sample(number: int, fact: Prediction) -> dict[str, Any]:
    names = ("uuid", "relation", "text", "subject", "object", "subject_tokens", "object_tokens")
    responses = [" ".join(filling) for filling in fact.fillings]
    return {
        "doc_id": number, "doc": {name: getattr(fact, name) for name in names} | {"masked": True},
        "target": fact.object, "arguments": {}, "filter": "none", "metrics": [*fact.matches],
        "resps": [[response] for response in responses], "filtered_resps": responses,
        **fact.matches,
    }  # fmt: skip
