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
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lsn_eval.baking.biases import with_biases, with_settings
from lsn_eval.baking.card import card
from lsn_eval.baking.checkpoint import Checkpoint, copy_others
from lsn_eval.baking.edits import Edit, edits_of
from lsn_eval.baking.engines import ignored_by
from lsn_eval.baking.proof import hold_against_hooks
from lsn_eval.baking.pruning import ALIGN, Selection, pruning_of
from lsn_eval.baking.sources import Source, ordinary
from lsn_eval.conditions import Condition, plan
from lsn_eval.errors import BakingError
from lsn_eval.harness.identity import model_name
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.loading import check_device, empty_of
from lsn_eval.models.resolving import resolve
from lsn_eval.results.model_records import CONFIG_KEY, MADE_AT, baked_record
from lsn_eval.results.signatures import lsn_record
from lsn_eval.storage.outside_files import read_json
from lsn_eval.storage.whole_files import check_folder, full_disk_reported, whole_folder
from lsn_eval.wording.shown import Shown

_CONFIG, _CARD = "config.json", "README.md"


@dataclass(frozen=True)
class BakedModel(Shown):
    """A checkpoint with a condition in its weights."""

    folder: Path
    record: dict[str, Any]
    """As in its config and in results."""
    facts: dict[str, str]
    """How it agrees with the original under hooks, and what else its card says of it."""

    def summary(self) -> tuple[str, list[list[str]]]:
        facts = {"signature": self.record["signature"], **self.facts}
        return str(self.folder), [["", "value"], *([name, text] for name, text in facts.items())]


def bake(
    model: str | os.PathLike[str],
    mask: NeuronMask | str | os.PathLike[str] | None = None,
    condition: Condition | str | None = None,
    out: str | os.PathLike[str] = "",
    *,
    revision: str | None = None,
    device: str | None = None,
    prune: bool = False,
    align: int = ALIGN,
    dequantise: bool = False,
    merge_adapter: bool = False,
    force: bool = False,
) -> BakedModel:
    """Write `model` under `condition` to the folder `out`.

    Args:
        model: a folder or a name on the Hub with safetensors files, or `lsn_demo`; with
            `dequantise` also a GGUF file in such a folder, with `merge_adapter` an adapter of peft.
        mask: may be left out for `none`, which makes the baseline: the model as it is, with a
            record.
        revision: commit or branch of the model.
        device: on which it is held against the original; cpu by default, `auto` spreads it.
        prune: leave out the neurons that have no effect under the condition.
        align: what the width of a pruned MLP is to be a multiple of.
        dequantise: bake what transformers makes of a quantised model in full precision.
        merge_adapter: bake what peft makes of an adapter and its model.
        force: a baked model that is at `out` is written over.

    Raises:
        BakingError: the condition is not expressible in this model's weights, the checkpoint is
            none that can be changed, or the new model does not do what hooks do.
        LsnError: mask, condition and model do not fit.
    """
    target = Path(out)
    if device != "auto":
        check_device(device, BakingError)
    if not target.name:
        raise BakingError("the name of a folder was expected for the new model; give --out FOLDER")
    check_folder(target, BakingError, ours=baked_record, force=force)
    neurons, chosen = _asked(mask, condition)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        full_disk_reported(target.parent, BakingError),
        ordinary(
            model,
            revision,
            dequantise=dequantise,
            merge_adapter=merge_adapter,
            near=target.parent,
        ) as source,
    ):
        made = _prepared(source, mask, neurons, chosen, align if prune else None)
        with whole_folder(target, BakingError, force=force) as unfinished:
            made.checkpoint.write(unfinished, made.edits, made.added, made.selections)
            copy_others(source.folder, unfinished, {_CONFIG, _CARD})
            # The original's own document: other engines may not know a newer form of it.
            document = read_json(source.folder / _CONFIG, BakingError)
            document.get("text_config", document).update(made.settings)
            agreement = hold_against_hooks(
                source.folder, unfinished, _read_back(document), neurons, chosen, device or "cpu"
            )
            document[CONFIG_KEY] = {**made.record, MADE_AT: time.time()}
            facts = agreement.described()
            if prune:
                before, after = made.checkpoint.size, Checkpoint(unfinished).size
                facts["weights"] = f"{after / 2**20:,.1f} MiB, {before / 2**20:,.1f} before"
            if ignored := ignored_by(source.config, made.settings):
                facts["engines"] = "; ".join(ignored)
            (unfinished / _CARD).write_text(card(made.record, facts), "utf-8")
            (unfinished / _CONFIG).write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return BakedModel(target, made.record, facts)


@dataclass(frozen=True)
class Preparation:
    """What is to be written, worked out without the weights."""

    checkpoint: Checkpoint
    """Of the original."""
    edits: Sequence[Edit]
    added: Mapping[str, torch.Tensor]
    """Biases that the original has not, all 0."""
    selections: Mapping[str, Selection]
    """What tensors of a pruned model keep."""
    settings: Mapping[str, Any]
    """Of the config, that are to be others."""
    record: dict[str, Any]


def prepare(
    model: str | os.PathLike[str],
    mask: NeuronMask | str | os.PathLike[str] | None,
    condition: Condition | str | None,
    *,
    revision: str | None = None,
) -> Preparation:
    """What `bake` writes, if anything can be; arguments and errors are those of `bake`."""
    neurons, chosen = _asked(mask, condition)
    with ordinary(model, revision) as source:
        return _prepared(source, mask, neurons, chosen, None)


def _asked(
    mask: NeuronMask | str | os.PathLike[str] | None, condition: Condition | str | None
) -> tuple[NeuronMask | None, Condition]:
    neurons = None if mask is None else NeuronMask.load(mask)
    chosen = Condition.parse(condition)
    if neurons is None and chosen.terms:
        raise BakingError(f"condition '{chosen}' was given without a mask; name a mask file")
    if chosen.positions != "all":
        raise BakingError(
            f"condition '{chosen}' writes at {chosen.positions} positions alone, and weights are "
            f"the same at every position; leave @{chosen.positions} out, or evaluate it with hooks"
        )
    return neurons, chosen


def _prepared(
    source: Source,
    mask: NeuronMask | str | os.PathLike[str] | None,
    neurons: NeuronMask | None,
    condition: Condition,
    align: int | None,
) -> Preparation:
    """
    Args:
        mask: as it was given, for its name.
        align: of a pruned model's width; None where it is not to be pruned.
    """
    config = source.config
    empty = empty_of(config)
    found = resolve(empty)
    planned = plan(neurons, condition) if neurons is not None else None
    writes = planned.writes if planned else {}
    doubts = neurons.check_model(found) if neurons is not None and writes else ()

    checkpoint = Checkpoint(source.folder)
    dtype, merged = config.dtype or torch.float32, checkpoint.merged_experts
    edits = edits_of(found, writes, dtype, merged=merged)
    settings: dict[str, Any] = {}
    added: dict[str, torch.Tensor] = {}
    missing = {edit.tensor for edit in edits if edit.tensor.endswith("bias")}
    if missing := missing - set(empty.state_dict()):
        switches, shapes = with_biases(config, missing)
        settings |= dict.fromkeys(switches, True)
        added = {tensor: torch.zeros(shape, dtype=dtype) for tensor, shape in shapes.items()}

    named = model_name(source.arguments, empty)
    described: dict[str, Any] = {
        "name": f"{named}({source.quantised})" if source.quantised else named,
        "type": found.model_type,
        "dtype": str(dtype).removeprefix("torch."),
    }
    selections: Mapping[str, Selection] = {}
    if align is not None:
        biased = with_settings(config, settings)
        narrower = pruning_of(biased, edits, merged=merged, align=align)
        settings |= narrower.settings
        selections, described["pruned"] = narrower.selections, narrower.removed
    layers = planned.neurons_per_layer() if planned else {}
    record = lsn_record(condition, described, neurons, mask, layers=layers, warnings=doubts)
    return Preparation(checkpoint, edits, added, selections, settings, record)


def _read_back(document: dict[str, Any]) -> Any:
    """The config that transformers makes of a document: what is proved is what is written."""
    from transformers import AutoConfig

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _CONFIG).write_text(json.dumps(document), "utf-8")
        return AutoConfig.from_pretrained(folder)
