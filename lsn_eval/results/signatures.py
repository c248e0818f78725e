"""The signature: what a number was measured with, in one line that stands beside it.

    model:NAME|dtype:float32|mask:sha256-0123456789ab|method:lape|condition:de:zero|hookpoint:mlp.act|data:TASK:VERSION|v0.1.0

It is made from the `lsn` record of a results file, so it cannot drift from what ran. Of a model
that was in memory it says `model:NAME#0123456789ab`, the start of the digest of its weights; of one
that another of lm-eval's models than `hf` ran, `model:NAME(vllm)`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lsn_eval.errors import LsnError
from lsn_eval.storage.outside_files import Fields
from lsn_eval.version import __version__

if TYPE_CHECKING:
    from lsn_eval.masks.mask import NeuronMask

UNTOUCHED = {"condition": "none", "mask": "none", "method": "none", "hookpoint": "none"}
"""Under `none` no neuron is touched, so that neither mask nor method nor hookpoint shows."""


def signature(record: Mapping[str, Any]) -> str:
    """The line for a record as `lsn_hf` writes it, without data."""
    where = "the lsn record"
    fields = Fields(as_condition(record, where, LsnError), where, LsnError)
    return signature_line(measured_with(fields), f"v{fields.text('version')}")


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


def lsn_record(
    condition: object,
    model: Mapping[str, Any],
    mask: NeuronMask | None,
    given: object,
    *,
    layers: Mapping[str, Mapping[str, int]],
    warnings: Sequence[str],
    **seen: Any,
) -> dict[str, Any]:
    """What is written beside numbers: of a run, and into a model that has the condition in it.

    Args:
        model: its name, type and dtype.
        given: the mask as it was given, for its name; one in memory has none.
        layers: neurons written, by hookpoint and layer.
        seen: further entries, of a run.
    """
    record: dict[str, Any] = {
        "version": __version__,
        "condition": str(condition),
        "model": model,
        "mask": mask and mask_record(mask, given),
        "neurons_per_layer": layers,
        "warnings": list(warnings),
        **seen,
    }
    return {**record, "signature": signature(record)}


def mask_record(mask: NeuronMask, given: object) -> dict[str, Any]:
    """What a record says of a mask, which was `given` by a name or in memory."""
    return {
        "name": os.fspath(given) if isinstance(given, str | os.PathLike) else None,
        "digest": mask.digest,
        "method": mask.method.name,
        "languages": list(mask.languages),
        "model": mask.model.name,
    }


def measured_with(record: Fields) -> dict[str, str]:
    """Model, dtype, condition, mask (the start of its digest), method and hookpoint of a record;
    `loaded` is the start of the digest of what was in memory, `backend` the one of lm-eval's models
    that ran what is in the weights; else they are empty."""
    model, condition = record.fields("model"), record.text("condition")
    named = {"model": model.text("name"), "dtype": model.text("dtype"), **UNTOUCHED}
    named |= {name: model.text(name, "") for name in ("loaded", "backend")}
    if condition == "none":
        return named
    mask = record.fields("mask")
    return named | {
        "condition": condition,
        "mask": f"sha256-{mask.text('digest')[:12]}",
        "method": mask.text("method"),
        "hookpoint": ("+".join(record.mapping("neurons_per_layer")) or "none") + _marks(model),
    }


def _marks(model: Fields) -> str:
    """How the hookpoints were found, unless by the row of the model's type; and whether neurons
    were left out of a baked model."""
    how = model.text("resolved", None)
    resolved = f"(resolved:{how})" if how else ""
    return f"{resolved}(pruned)" if model.whole("pruned", 0) else resolved


def signature_line(measured: Mapping[str, str], made_by: str, data: str | None = None) -> str:
    """`data` names the task and its version, `made_by` is the version of who wrote the record."""
    names = ("model", "dtype", "mask", "method", "condition", "hookpoint")
    of_model = f"#{measured['loaded']}" if measured.get("loaded") else ""
    if measured.get("backend") not in (None, "", "hf"):
        of_model += f"({measured['backend']})"
    parts = [f"{name}:{measured[name]}{of_model * (name == 'model')}" for name in names]
    return "|".join([*parts, *([f"data:{data}"] if data is not None else []), made_by])


def shared_signature(signatures: Sequence[str]) -> str:
    """One line for those of a table: what they share, `*` where they differ. That `none` touches no
    neuron is no difference."""
    untouched = {f"{name}:{value}" for name, value in UNTOUCHED.items()}
    shared = []
    for part in zip(*(signature.split("|") for signature in signatures), strict=False):
        said = set(part) - untouched or set(part)
        name, colon, _ = part[0].partition(":")
        shared.append(said.pop() if len(said) == 1 else f"{name}:*" if colon else "*")
    return "|".join(shared)
