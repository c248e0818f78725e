"""The record that a model of ours carries: what is in its weights, and so in its results.

`bake` writes one into a model's config, `finetune` one beside an adapter. Adapters of one run
differ in the neurons that they may change alone. In results they are therefore conditions of the
model that was tuned: `de:tuned-0a1b2c3d`, its control `random1-de:tuned-0a1b2c3d` and
`full:tuned-0a1b2c3d`, where the digits are the start of the digest of everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.results.rows import ResultsError
from lsn_eval.results.settings import UNKNOWN, backend_of, dtype_of, mapping, model_arguments
from lsn_eval.results.signatures import as_condition, signature
from lsn_eval.storage.outside_files import Fields, read_json

CONFIG_KEY = "lsn_eval"
"""In the config of a baked model."""
RECORD_FILE = "lsn.json"
"""In the folder of an adapter."""
MADE_AT = "baked_at"
"""In the record: when the model was made, in seconds since 1970."""
IN_RESULTS = "lsn_baked"
"""Where a results file's `config` has the record: written with this package, it says it itself."""
_NAMED_BY = ("peft", "pretrained", "model", "model_path", "tokenizer")
"""Arguments of lm-eval's models that name a folder: of `hf` and engines, and of clients of a
server, which may know the model by its tokenizer alone."""
_DTYPES = {"half": "float16", "float": "float32", "double": "float64"}


def baked_record(folder: Path) -> Mapping[str, Any]:
    """What a model folder says of the condition in its weights; empty for an ordinary model."""
    config = folder / "config.json"
    try:
        document = read_json(config, LsnError) if config.is_file() else {}
    except LsnError:  # whose it is, loading will say
        return {}
    return mapping(mapping(document).get(CONFIG_KEY))


def tuning_of(adapter: object) -> dict[str, Any]:
    """The record of an adapter in a folder; empty for one that is not ours.

    Raises:
        LsnError: it cannot be read.
    """
    file = Path(str(adapter)) / RECORD_FILE
    if not file.is_file():
        return {}
    tuning = Fields(read_json(file, LsnError), str(file), LsnError)
    as_condition({"condition": "none", "model": {"tuning": tuning.value}}, str(file), LsnError)
    return dict(tuning.value)


def record_of(named: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record of the first folder of a model of ours among a model's arguments.

    Raises:
        LsnError: that of an adapter cannot be read.
    """
    for argument in _NAMED_BY:
        place = named.get(argument)
        if not (isinstance(place, str) and place):
            continue
        if record := baked_record(Path(place)):
            return record
        if argument == "peft" and (tuning := tuning_of(place)):
            return _untouched(tuning, named)
    return {}


def _untouched(tuning: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a model with an adapter and without hooks."""
    model = {"name": named.get("pretrained"), "type": "", "tuning": tuning}
    return {
        "version": tuning.get("version"),
        "condition": "none",
        "model": model,
        "mask": None,
        "neurons_per_layer": {},
        "warnings": [],
        MADE_AT: tuning.get(MADE_AT),
    }


def with_record(config: Mapping[str, Any], date: object, where: str) -> Mapping[str, Any]:
    """A results file's `config`, with the record that its model carries as its condition's.

    Args:
        date: when the run began, in seconds since 1970, where it is known.
        where: the file, for errors.

    Raises:
        ResultsError: the model was made anew after the run, so that its condition is not known, or
            a record is damaged.
    """
    if config.get("lsn") is None:
        if not (record := mapping(config.get(IN_RESULTS))):
            record = record_of(model_arguments(config))
            made_at = record.get(MADE_AT)
            if isinstance(date, float) and isinstance(made_at, float) and date < made_at:
                raise ResultsError(
                    f"{where}: these numbers are older than the model in its folder, which was "
                    "made after they were measured: under which condition they are is not known. "
                    "Evaluate the model again, and make each condition in a folder of its own"
                )
        if not record:
            return config
        config = in_weights(config, {k: v for k, v in record.items() if k != MADE_AT})
    if not isinstance(record := config["lsn"], Mapping):
        return config
    record = as_condition(record, f"{where}: config.lsn", ResultsError)
    # An adapter adds parameters of its own.
    unknown = {"model_num_parameters": None} if "tuning" in record else {}
    return {**config, "lsn": record, **unknown}


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
    # An adapter is put on the model itself, whose commit is known.
    of_folder = () if "tuning" in described else ("model_revision", "model_sha")
    unknown = dict.fromkeys(("model_num_parameters", *of_folder))
    return {**config, "lsn": {**record, "signature": signature(record)}, **unknown}
