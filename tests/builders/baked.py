"""Baked models, held against their originals under hooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from builders.architectures import inputs
from builders.mixtures import MIXTURES, tokens
from lsn_eval import NeuronMask, bake, intervene
from lsn_eval.baking.baking import BakedModel
from lsn_eval.models.loading import auto_class


def scores(model: Any, name: str) -> torch.Tensor:
    given = {"input_ids": tokens()} if name in MIXTURES else inputs(name)
    with torch.no_grad():
        return model(**given).logits.float()


def held_against_hooks(
    source: Path, original: Any, name: str, mask: NeuronMask, condition: str,
    *, tolerance: float = 1e-5, moves: bool = True, **given: Any,
) -> tuple[BakedModel, Any]:  # fmt: skip
    """Bakes `source`, a checkpoint of `original`, beside it; the new model does what hooks do,
    which is something where it `moves` anything."""
    baked = bake(source, mask, condition, source.parent / "baked", **given)
    new = auto_class(original.config).from_pretrained(baked.folder, dtype=original.dtype).eval()
    with intervene(original, mask, condition):
        hooked = scores(original, name)
    assert torch.allclose(scores(new, name), hooked, atol=tolerance)
    assert torch.allclose(scores(original, name), hooked, atol=1e-3) != moves
    return baked, new
