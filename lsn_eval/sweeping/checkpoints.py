"""Conditions in the weights of a model, for a backend without hooks: one checkpoint at a time."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsn_eval.conditions import Condition
from lsn_eval.errors import LsnError
from lsn_eval.sweeping.folder import UNFINISHED
from lsn_eval.sweeping.settings import SweepError, SweepSettings

if TYPE_CHECKING:
    from lsn_eval.masks.mask import NeuronMask


def check_bakes(
    settings: SweepSettings, mask: NeuronMask, conditions: Sequence[Condition], out: Path
) -> None:
    """Work out what would be written for every condition; nothing is.

    Raises:
        SweepError: some cannot be written into weights, each named with its reason, or a
            checkpoint has no room beside `out`.
    """
    from lsn_eval.baking.baking import prepare

    refused: dict[str, list[str]] = defaultdict(list)
    size = 0
    for condition in conditions:
        try:
            made = prepare(settings.model, mask, condition, revision=_revision(settings))
            size = max(size, made.checkpoint.size) if condition.terms else size
        except LsnError as error:
            refused[str(error)].append(str(condition))
    if refused:
        reasons = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in refused.items())
        raise SweepError(
            f"--backend {settings.backend} runs conditions from the weights of a model, and some "
            f"cannot be written there. Leave them out, or sweep without --backend. {reasons}"
        )
    there = next(place for place in (out.absolute(), *out.absolute().parents) if place.exists())
    stale = (out / UNFINISHED).rglob("*.safetensors")  # removed before anything is written
    free = shutil.disk_usage(there).free + sum(map(os.path.getsize, stale))
    if size > free:
        raise SweepError(
            f"the weights of one condition take {size / 1e9:,.1f} GB at a time, and {there} has "
            f"{free / 1e9:,.1f} GB free; give another --out"
        )


@contextmanager
def checkpoint(
    settings: SweepSettings, mask: Any, condition: Condition, folder: Path
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where the model of a condition is, and its record; it is dropped with the block.

    `none` is the original. Every folder has a name of its own: a server that keeps models by their
    names must not answer with another's.

    Args:
        mask: a `NeuronMask`, its file or its name.
        folder: beside which the model is written.

    Raises:
        LsnError: it cannot be written, or does not do what hooks do.
    """
    from lsn_eval.baking.baking import bake, prepare

    revision = _revision(settings)
    if not condition.terms:
        made = prepare(settings.model, mask, condition, revision=revision)
        yield str(made.checkpoint.folder), made.record
        return
    with tempfile.TemporaryDirectory(prefix="model-", dir=folder.parent) as place:
        target = Path(place) / folder.name
        baked = bake(
            settings.model, mask, condition, target, revision=revision, device=settings.device
        )
        release_memory()
        yield str(target), baked.record


def release_memory() -> None:
    """What models that are gone have left: an engine in another process may need it."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _revision(settings: SweepSettings) -> str | None:
    revision = settings.model_args.get("revision")
    return None if revision is None else str(revision)
