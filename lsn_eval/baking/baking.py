"""`bake`: a model and a condition -> an ordinary checkpoint that every engine runs.

    lsn-eval bake --model MODEL --mask FILE --condition de:zero --out FOLDER

What is changed is worked out from the model's config, in float64, and written file by file into a
folder without a config, which nothing loads. That is then loaded and held against the original
under hooks; only then it gets its config, its card and its name.

The config's `lsn_eval` is the record that a results file of `lsn_hf` has, so that numbers of the
new model, from whatever backend, say under which condition they are.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lsn_eval.baking.biases import with_biases
from lsn_eval.baking.card import card
from lsn_eval.baking.checkpoint import Checkpoint
from lsn_eval.baking.edits import Edit, edits_of
from lsn_eval.baking.proof import Agreement, hold_against_hooks
from lsn_eval.conditions import Condition, plan
from lsn_eval.errors import BakingError
from lsn_eval.harness.identity import model_name
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.loading import check_device, empty_of
from lsn_eval.models.resolving import resolve
from lsn_eval.results.baked import BAKED_AT, CONFIG_KEY, baked_record
from lsn_eval.results.signatures import lsn_record
from lsn_eval.storage.outside_files import read_json
from lsn_eval.storage.shipped import model_place
from lsn_eval.storage.whole_files import full_disk_reported, refuse_to_replace
from lsn_eval.wording.shown import Shown

_CONFIG, _CARD = "config.json", "README.md"


@dataclass(frozen=True)
class BakedModel(Shown):
    """A checkpoint with a condition in its weights."""

    folder: Path
    record: dict[str, Any]
    """As in its config and in results."""
    agreement: Agreement
    """With the original under hooks."""

    def summary(self) -> tuple[str, list[list[str]]]:
        facts = {"signature": self.record["signature"], **self.agreement.described()}
        return str(self.folder), [["", "value"], *([name, text] for name, text in facts.items())]


def bake(
    model: str | os.PathLike[str],
    mask: NeuronMask | str | os.PathLike[str] | None = None,
    condition: Condition | str | None = None,
    out: str | os.PathLike[str] = "",
    *,
    revision: str | None = None,
    device: str | None = None,
    force: bool = False,
) -> BakedModel:
    """Write `model` under `condition` to the folder `out`.

    Args:
        model: a folder or a name on the Hub with safetensors files, or `lsn_demo`.
        mask: may be left out for `none`, which makes the baseline: the model as it is, with a
            record.
        revision: commit or branch of the model.
        device: on which it is held against the original; cpu by default.
        force: a baked model that is at `out` is written over.

    Raises:
        BakingError: the condition is not expressible in this model's weights, the checkpoint is
            none that can be changed, or the new model does not do what hooks do.
        LsnError: mask, condition and model do not fit.
    """
    target = Path(out)
    check_device(device, BakingError)
    _check_target(target, force=force)
    made = prepare(model, mask, condition, revision=revision)
    source, record = made.checkpoint.folder, made.record
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with full_disk_reported(target.parent, BakingError):
            made.checkpoint.write(unfinished, made.edits, made.added)
            made.checkpoint.copy_others(unfinished, {_CONFIG, _CARD})
            # The original's own document: other engines may not know a newer form of it.
            document = read_json(source / _CONFIG, BakingError)
            document.get("text_config", document).update(dict.fromkeys(made.switches, True))
            agreement = hold_against_hooks(
                source, unfinished, _read_back(document), made.mask, made.condition, device or "cpu"
            )
            document[CONFIG_KEY] = {**record, BAKED_AT: time.time()}
            (unfinished / _CARD).write_text(card(record, agreement), "utf-8")
            (unfinished / _CONFIG).write_text(json.dumps(document, indent=2) + "\n", "utf-8")
        unfinished.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return BakedModel(target, record, agreement)


@dataclass(frozen=True)
class Preparation:
    """What is to be written, worked out without the weights."""

    condition: Condition
    mask: NeuronMask | None
    checkpoint: Checkpoint
    """Of the original."""
    edits: Sequence[Edit]
    added: Mapping[str, torch.Tensor]
    """Biases that the original has not, all 0."""
    switches: Sequence[str]
    """Settings of the config that give the model these."""
    record: dict[str, Any]


def prepare(
    model: str | os.PathLike[str],
    mask: NeuronMask | str | os.PathLike[str] | None,
    condition: Condition | str | None,
    *,
    revision: str | None = None,
) -> Preparation:
    """What `bake` writes, if anything can be; arguments and errors are those of `bake`."""
    if not isinstance(model, str | os.PathLike):
        raise BakingError(f"a model folder or name was expected, not a {type(model).__name__}")
    name = os.fspath(model)
    neurons = None if mask is None else NeuronMask.load(mask)
    chosen = Condition.parse(condition)
    if neurons is None and chosen.terms:
        raise BakingError(f"condition '{chosen}' was given without a mask; name a mask file")
    if chosen.positions != "all":
        raise BakingError(
            f"condition '{chosen}' writes at {chosen.positions} positions alone, and weights are "
            f"the same at every position; leave @{chosen.positions} out, or evaluate it with hooks"
        )
    source = _folder(model_place(name), revision)
    config = _config(source, name)
    empty = empty_of(config)
    found = resolve(empty)
    writes = plan(neurons, chosen).writes if neurons is not None else {}
    doubts = neurons.check_model(found) if neurons is not None and writes else ()

    checkpoint = Checkpoint(source)
    dtype = config.dtype or torch.float32
    edits = edits_of(found, writes, dtype)
    there = set(empty.state_dict())
    added: dict[str, torch.Tensor] = {}
    switches: list[str] = []
    if missing := {edit.tensor for edit in edits if edit.tensor.endswith(".bias")} - there:
        switches, shapes = with_biases(config, missing)
        added = {tensor: torch.zeros(shape, dtype=dtype) for tensor, shape in shapes.items()}

    layers: dict[str, dict[str, int]] = {}
    for (hookpoint, layer), write in writes.items():
        layers.setdefault(hookpoint, {})[layer] = int(write.indices.size)
    described = {
        "name": model_name({"pretrained": name, "revision": revision or "main"}, empty),
        "type": found.model_type,
        "dtype": str(dtype).removeprefix("torch."),
    }
    mask_name = os.fspath(mask) if isinstance(mask, str | os.PathLike) else None
    record = lsn_record(chosen, described, neurons, mask_name, layers=layers, warnings=doubts)
    return Preparation(chosen, neurons, checkpoint, edits, added, switches, record)


def _read_back(document: dict[str, Any]) -> Any:
    """The config that transformers makes of a document: what is proved is what is written."""
    from transformers import AutoConfig

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _CONFIG).write_text(json.dumps(document), "utf-8")
        return AutoConfig.from_pretrained(folder)


def _check_target(target: Path, *, force: bool) -> None:
    if not target.name:
        raise BakingError("the name of a folder was expected for the new model; give --out FOLDER")
    if not target.exists():
        return
    if not (target.is_dir() and baked_record(target)):
        raise BakingError(f"{target} is there already and is no baked model; give another name")
    refuse_to_replace(target, BakingError, force=force)


def _folder(place: str, revision: str | None) -> Path:
    """The model's files, fetched where `place` is a name."""
    if os.path.isdir(place):
        return Path(place)
    from huggingface_hub import snapshot_download

    try:
        patterns = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.py"]
        return Path(snapshot_download(place, revision=revision, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        raise BakingError(
            f"--model {place}: there is no such folder, and it cannot be fetched ({error})"
        ) from error


def _config(source: Path, name: str) -> Any:
    from transformers import AutoConfig

    if (source / "adapter_config.json").is_file():
        raise BakingError(
            f"{name} is an adapter, not a model. Merge it first: load it with peft, "
            "`merge_and_unload().save_pretrained(FOLDER)`, and give that folder"
        )
    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise BakingError(f"--model {name} has no config that can be read: {error}") from error
    if (quantised := getattr(config, "quantization_config", None)) is not None:
        method = dict(quantised).get("quant_method") if isinstance(quantised, dict) else quantised
        raise BakingError(
            f"{name} is quantised ({method}), so that its weights cannot be changed exactly. Bake "
            "the model that it was made of, and quantise the result"
        )
    if baked := baked_record(source):
        raise BakingError(
            f"{name} has the condition '{baked['condition']}' in its weights already; give the "
            "original, and name all terms in one condition"
        )
    return config
