"""The signature: what a number was measured with, in one line that stands beside it.

    model:NAME|dtype:float32|mask:sha256-0123456789ab|method:lape|condition:de:zero|hookpoint:mlp.act|data:TASK:VERSION|v0.1.0

It is made from the `lsn` record of a results file, so it cannot drift from what ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DIGEST_CHARACTERS = 12


def signature(record: Mapping[str, Any], data: str | None = None) -> str:
    """The line for a record as `lsn_hf` writes it; `data` names the task and its version.

    Under `none` no neuron is touched, so that neither mask nor method nor hookpoint shows.
    """
    baseline = record["condition"] == "none"
    mask = record.get("mask")
    fields = {
        "model": record["model"]["name"],
        "dtype": record["model"]["dtype"],
        "mask": "none" if baseline else f"sha256-{mask['digest'][:DIGEST_CHARACTERS]}",  # type: ignore[index]
        "method": "none" if baseline else mask["method"],  # type: ignore[index]
        "condition": record["condition"],
        "hookpoint": "none" if baseline else "+".join(record["neurons_per_layer"]) or "none",
    }
    if data is not None:
        fields["data"] = data
    return "|".join([*(f"{key}:{value}" for key, value in fields.items()), f"v{record['version']}"])
