"""The record that an adapter of `lsn-eval finetune` carries, and its part in the `lsn` record.

Adapters of one run differ in the neurons that they may change alone. In results they are therefore
conditions of the model that was tuned: `de:tuned-0a1b2c3d`, its control
`random1-de:tuned-0a1b2c3d` and `full:tuned-0a1b2c3d`, where the digits are the start of the digest
of everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.storage.outside_files import Fields, read_json

RECORD_FILE = "lsn.json"
"""In the folder of an adapter."""


def tuning_of(adapter: object) -> dict[str, Any]:
    """The record of an adapter in a folder; empty for one that is not ours.

    Raises:
        LsnError: it cannot be read.
    """
    file = Path(str(adapter)) / RECORD_FILE
    if not file.is_file():
        return {}
    record = Fields(read_json(file, LsnError), str(file), LsnError)
    as_condition({"condition": "none", "model": {"tuning": record.value}}, str(file), LsnError)
    return dict(record.value)


def as_condition(record: Mapping[str, Any], where: str, error: type[LsnError]) -> Mapping[str, Any]:
    """An `lsn` record whose model was tuned, with the tuning as the first term of its condition;
    any other as it is. What the hooks were to do stands under `within`.

    Raises:
        LsnError: `error`, for a record that is damaged.
    """
    model = record.get("model")
    if not isinstance(model, Mapping) or "tuning" not in model:
        return record
    tuning = Fields(model["tuning"], f"{where}: tuning", error)
    within = Fields(record, where, error).text("condition")
    terms = [term for term in (tuning.text("condition"), within) if term != "none"]
    described = {key: value for key, value in model.items() if key != "tuning"}
    if tuning.flag("separate"):
        described["name"] = f"{described.get('name')}+tuned-{tuning.text('digest')}"
    tuned = {"mask": tuning.mapping("mask"), "neurons_per_layer": tuning.mapping("neurons")}
    return {
        **record,
        **(tuned if within == "none" else {}),
        "condition": "/".join(terms) or "none",
        "model": described,
        "tuning": tuning.value,
        "within": within,
    }
