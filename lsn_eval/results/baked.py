"""The record that a baked model carries in its config: what is in its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.results.rows import ResultsError
from lsn_eval.results.settings import UNKNOWN, dtype_of, mapping, model_arguments
from lsn_eval.storage.outside_files import read_json

CONFIG_KEY = "lsn_eval"
BAKED_AT = "baked_at"
"""In the record: when the model was made, in seconds since 1970."""
_NAMED_BY = ("pretrained", "model", "tokenizer")
"""Arguments of lm-eval's models that name a folder: of `hf` and engines, and of clients of a
server, which may know the model by its tokenizer alone."""


def baked_record(folder: Path) -> Mapping[str, Any]:
    """What a model folder says of the condition in its weights; empty for an ordinary model."""
    config = folder / "config.json"
    if not config.is_file():
        return {}
    try:
        document = read_json(config, LsnError)
    except LsnError:  # whose it is, loading will say
        return {}
    record = document.get(CONFIG_KEY) if isinstance(document, dict) else None
    return record if isinstance(record, dict) else {}


def with_record(config: Mapping[str, Any], date: object) -> Mapping[str, Any]:
    """A results file's `config`; that of a baked model gets the model's record.

    The numbers of parameters are not kept: biases that a condition needed are no other model.

    Args:
        date: when the run began, in seconds since 1970, where it is known.

    Raises:
        ResultsError: the model was baked anew after the run, so that its condition is not known.
    """
    arguments = model_arguments(config)
    for place in map(arguments.get, _NAMED_BY):
        if isinstance(place, str) and (record := baked_record(Path(place))):
            baked_at = record.get(BAKED_AT)
            if isinstance(date, float) and isinstance(baked_at, float) and date < baked_at:
                raise ResultsError(
                    f"these numbers are older than the model in {place}, which was baked after "
                    "they were measured: under which condition they are is not known. Evaluate "
                    "the model again, and bake each condition into a folder of its own"
                )
            record = {key: value for key, value in record.items() if key != BAKED_AT}
            run_in = {"dtype": dtype_of(config)} if dtype_of(config) != UNKNOWN else {}
            described = {**mapping(record.get("model")), **run_in}
            return {**config, "lsn": {**record, "model": described}, "model_num_parameters": None}
    return config
