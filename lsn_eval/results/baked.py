"""The record that a baked model carries in its config: what is in its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.results.rows import ResultsError
from lsn_eval.results.settings import UNKNOWN, backend_of, dtype_of, mapping, model_arguments
from lsn_eval.results.signatures import signature
from lsn_eval.storage.outside_files import read_json

CONFIG_KEY = "lsn_eval"
BAKED_AT = "baked_at"
"""In the record: when the model was made, in seconds since 1970."""
IN_RESULTS = "lsn_baked"
"""Where a results file's `config` has the record: written with this package, it says it itself."""
_NAMED_BY = ("pretrained", "model", "model_path", "tokenizer")
"""Arguments of lm-eval's models that name a folder: of `hf` and engines, and of clients of a
server, which may know the model by its tokenizer alone."""

_DTYPES = {"half": "float16", "float": "float32", "double": "float64"}


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


def record_of(named: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record of the first folder of a baked model among a model's arguments."""
    places = (named.get(name) for name in _NAMED_BY)
    records = (baked_record(Path(place)) for place in places if isinstance(place, str) and place)
    return next(filter(None, records), {})


def with_record(config: Mapping[str, Any], date: object) -> Mapping[str, Any]:
    """A results file's `config`; that of a baked model gets the model's record.

    Args:
        date: when the run began, in seconds since 1970, where it is known.

    Raises:
        ResultsError: the model was baked anew after the run, so that its condition is not known.
    """
    if not (record := mapping(config.get(IN_RESULTS))):
        record = record_of(model_arguments(config))
        baked_at = record.get(BAKED_AT)
        if isinstance(date, float) and isinstance(baked_at, float) and date < baked_at:
            raise ResultsError(
                "these numbers are older than the model in its folder, which was baked after "
                "they were measured: under which condition they are is not known. Evaluate "
                "the model again, and bake each condition into a folder of its own"
            )
    if not record:
        return config
    return in_weights(config, {k: v for k, v in record.items() if k != BAKED_AT})


def in_weights(config: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """A results file's `config` with the record that its model carries: in which precision, and by
    which of lm-eval's models, it was run is known from the run.

    The number of parameters and the commit are not kept: biases that a condition needed, and a
    folder on this machine, are no other model.
    """
    asked = str(model_arguments(config).get("dtype") or "auto").removeprefix("torch.")
    run_in = dtype_of(config) if dtype_of(config) != UNKNOWN else _DTYPES.get(asked, asked)
    described = {**mapping(record.get("model")), "backend": backend_of(config)}
    if run_in != "auto":
        described["dtype"] = run_in
    record = {**record, "model": described}
    unknown = dict.fromkeys(("model_num_parameters", "model_revision", "model_sha"))
    return {**config, "lsn": {**record, "signature": signature(record)}, **unknown}
