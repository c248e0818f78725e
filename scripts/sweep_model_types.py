"""Resolve every text model type of transformers on a tiny model, and try an intervention on it.

    python scripts/sweep_model_types.py             # all, some minutes
    python scripts/sweep_model_types.py llama gte   # these alone, in the place of what was there

Writes `scripts/model_types.json`, from which `scripts/write_model_docs.py` makes the tables of
`docs/models.md`. Each type has a process, a time and a memory of its own. Of each it is tried that
zero at `mlp.act` and at `mlp.down_in` equals zeroed columns of the down projection; of a type with
a row also whether its structure, looked at without the row, gives the same.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from builders.any_type import any_inputs, any_model, text_model_types  # noqa: E402
from builders.masks import mask_at  # noqa: E402

from lsn_eval import intervene  # noqa: E402
from lsn_eval.errors import HookpointError, LsnError  # noqa: E402
from lsn_eval.models.families import FAMILIES, REFUSED  # noqa: E402
from lsn_eval.models.hookpoints import ModelHookpoints  # noqa: E402
from lsn_eval.models.resolving import resolve  # noqa: E402

TARGET = ROOT / "scripts" / "model_types.json"
SECONDS, BYTES = 60, 8 << 30


def tried(model_type: str) -> dict[str, Any]:
    """What is known of one type afterwards."""
    try:
        model, other = any_model(model_type), any_model(model_type)
        with torch.no_grad():  # some change when they run
            other(**any_inputs(other))
    except Exception as error:  # whatever its code says against the sizes
        return {"how": "not built", "why": _first_line(error)}
    said = {"experts": True} if _has_experts(type(model.config)().to_dict()) else {}
    name = model.config.model_type
    try:
        found = resolve(model)
    except HookpointError as error:
        why = str(error).partition("gives none: ")[2].partition(". To support")[0]
        return {**said, "how": "refused", "why": why or REFUSED.get(name, _first_line(error))}
    said |= {"how": "row" if name in FAMILIES else "structure", "at": list(found.sites)}
    if left_out := [of.name for of in found.structure or () if of.attention is None]:
        said["without attention"] = left_out
    if name in FAMILIES:
        said["structure"] = _against_structure(model, found)
    if not any(site.expert for by_layer in found.sites.values() for site in by_layer.values()):
        said["zero"] = {at: _zero_equals_edited_weights(model, at) for at in list(found.sites)[:2]}
    return said


def _has_experts(config: Mapping[Any, Any]) -> bool:
    return any(
        _has_experts(value)
        if isinstance(value, dict)
        else "expert" in str(name) and isinstance(value, int) and value > 1
        for name, value in config.items()
    )


def _against_structure(model: Any, by_row: ModelHookpoints) -> str:
    """`same`, `less` or `refused`; `WRONG` if a site is found that the row has not."""

    def sites(found: ModelHookpoints) -> set[tuple[Any, ...]]:
        return {
            (at, site.module_name, site.columns is None or tuple(site.columns))
            for at, by_layer in found.sites.items()
            for site in by_layer.values()
        }

    name, model.config.model_type = model.config.model_type, "without-a-row"
    try:
        found, written = sites(resolve(model)), sites(by_row)
    except HookpointError:
        return "refused"
    finally:
        model.config.model_type = name
    return "same" if found == written else "less" if found < written else "WRONG"


def _zero_equals_edited_weights(model: Any, hookpoint: str) -> str:
    mask, given = mask_at(model, [hookpoint]), any_inputs(model)
    edited = copy.deepcopy(model)
    for _, site in resolve(model).sites["mlp.down_in"].items():
        weight = edited.get_submodule(site.module_name).weight.data
        indices = torch.as_tensor(np.asarray(mask.indices("de", hookpoint, site.layer))).long()
        weight[(indices,) if type(site.module).__name__ == "Conv1D" else (slice(None), indices)] = 0
    try:
        with torch.no_grad():
            plain, by_hand = model(**given)[0], edited(**given)[0]
            with intervene(model, mask, "de:zero"):
                written = model(**given)[0]
    except LsnError as error:
        return _first_line(error)
    if torch.equal(plain, by_hand):
        return "WRONG: nothing changed"
    return "equal" if torch.allclose(written, by_hand, 1e-4, 1e-5) else "WRONG: another result"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:160]


def in_a_process(model_type: str) -> dict[str, Any]:
    """`tried`, in a fork that may take so much time and memory and no more."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        with os.fdopen(writing, "w") as out, contextlib.suppress(BaseException):
            try:
                json.dump(tried(model_type), out)
            except Exception as error:  # a defect of this script or of the package: it shows
                json.dump({"how": "FAILED", "why": _first_line(error)}, out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"how": "not built", "why": "too slow or too large"}


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    tried("bert")  # imports, once for all forks
    types = json.loads(TARGET.read_text("utf-8"))["types"] if names else {}
    for name in names or text_model_types():
        types[name] = in_a_process(name)
        print(name, json.dumps(types[name]), flush=True)
    versions = {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}
    document = {**versions, "types": types}
    TARGET.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
