"""A baked model held against the original under hooks, on tokens drawn by chance."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lsn_eval.conditions import Condition
from lsn_eval.errors import BakingError
from lsn_eval.interventions.intervention import intervene
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.loading import auto_class
from lsn_eval.wording.lists import listed

ROWS, LENGTH = 4, 24
TOLERANCE = {"float32": 1e-3, "float64": 1e-6, "float16": 5e-2, "bfloat16": 2e-1}
"""Mean absolute difference of log-probabilities, by precision of the weights. Hooks round a value
where it is written, weights where they are stored."""


@dataclass(frozen=True)
class Agreement:
    """Absolute differences of log-probabilities over the vocabulary, in nats."""

    mean: float
    largest: float
    effect: float
    """Mean difference that the condition makes to the original."""

    def described(self) -> dict[str, str]:
        """As it is shown."""
        return {
            "difference to hooks": f"mean {self.mean:.2g}, largest {self.largest:.2g} nats",
            "effect of the condition": f"mean {self.effect:.2g} nats",
        }


def hold_against_hooks(
    source: Path,
    baked: Path,
    config: Any,
    mask: NeuronMask | None,
    condition: Condition,
    device: str,
) -> Agreement:
    """Log-probabilities of the model in `baked` against those of `source` under `condition`.

    One model is in memory at a time.

    Args:
        config: of the new model, whose folder has none yet.

    Raises:
        BakingError: they differ by more than rounding does, or by more than a fifth of what the
            condition does.
    """
    from transformers import AutoConfig

    original, lacking = _loaded(source, AutoConfig.from_pretrained(source), device)
    plain = _scores(original)
    with intervene(original, mask, condition) if mask is not None else nullcontext():
        hooked = _scores(original)
    del original
    model, lost = _loaded(baked, config, device)
    if alone := sorted(lost - lacking):
        raise BakingError(
            "a model of this config and the tensors that were written do not fit: "
            f"{listed(alone, 3)} {'is' if len(alone) == 1 else 'are'} in one of them alone"
        )
    found = (_scores(model) - hooked).abs()
    agreement = Agreement(
        found.mean().item(), found.max().item(), (plain - hooked).abs().mean().item()
    )
    allowed = TOLERANCE[str(model.dtype).removeprefix("torch.")]
    if condition.terms:  # a small effect has to be there, too, as far as rounding lets it be seen
        allowed = max(allowed / 10, min(allowed, agreement.effect / 5))
    if not agreement.mean <= allowed:
        raise BakingError(
            f"the new model differs from the original under hooks by {agreement.mean:.2g} nats on "
            f"average, and at most {allowed:.2g} was expected: '{condition}' is not what its "
            "weights can do. Nothing was written. Zero, scaling, and masks at mlp.down_in can be "
            "written most widely"
        )
    return agreement


def _loaded(folder: Path, config: Any, device: str) -> tuple[Any, set[str]]:
    """The model, and the tensors that it or the folder has and the other has not."""
    model, seen = auto_class(config).from_pretrained(
        folder, config=config, dtype="auto", output_loading_info=True
    )
    return model.to(device).eval(), {*seen["missing_keys"], *seen["unexpected_keys"]}


@torch.no_grad()
def _scores(model: Any) -> torch.Tensor:
    """Log-probabilities [row, position, token] of the same tokens every time."""
    generator = torch.Generator().manual_seed(0)
    size = model.get_input_embeddings().weight.shape[0]
    tokens = torch.randint(size, (ROWS, LENGTH), generator=generator).to(model.device)
    given = {"input_ids": tokens}
    if model.config.is_encoder_decoder:
        given["decoder_input_ids"] = tokens.flip(0)
    return model(**given, use_cache=False).logits.float().log_softmax(-1).cpu()
