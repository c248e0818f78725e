"""A baked model held against the original under hooks, on tokens drawn by chance.

Both run in float32 where weights are stored in less, so that rounding while a model runs hides
nothing. Layers are held one by one: the new model's get what came to those of the original under
hooks, so that a small layer's error is not lost in what the others do.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lsn_eval.conditions import Condition, plan
from lsn_eval.errors import BakingError
from lsn_eval.interventions.intervention import intervene
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.loading import auto_class
from lsn_eval.models.resolving import resolve
from lsn_eval.wording.lists import listed

ROWS, LENGTH = 4, 24
SHARE = {torch.bfloat16: 0.1, torch.float16: 0.1}
"""Of what the condition does, in the model and in each layer: as much may differ where weights are
stored in this, which rounds a factor such as 0.9 and a bias."""
_SHARE = 0.01
"""In any other precision."""
_NOISE, _OF_LAYER = 1e-4, 1e-5
"""What float32 may differ by in any case: in nats, and as a part of a layer's output."""


@dataclass(frozen=True)
class Agreement:
    """Absolute differences of log-probabilities over the vocabulary, in nats."""

    mean: float
    largest: float
    effect: float
    """Mean difference that the condition makes to the original."""
    of_layer: float = 0.0
    """Largest difference of a layer's output, as a part of what the condition does to it."""

    def described(self) -> dict[str, str]:
        """As it is shown."""
        return {
            "difference to hooks": f"mean {self.mean:.2g}, largest {self.largest:.2g} nats; in a "
            f"layer at most {self.of_layer:.2%} of what the condition does there",
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
    """The model in `baked` against that of `source` under `condition`.

    One model is in memory at a time.

    Args:
        config: of the new model, whose folder has none yet.

    Raises:
        BakingError: log-probabilities, or a layer that is written, differ by more than
            `SHARE` of what the condition does to them.
    """
    from transformers import AutoConfig

    with _loaded(source, AutoConfig.from_pretrained(source), device) as (original, lacking):
        plain = _scores(original)
        layers = _written(original, mask, condition)
        with intervene(original, mask, condition) if mask is not None else nullcontext():
            hooked, came, expected = _watched(original, layers)
        _, _, untouched = _watched(original, layers, came)
    del original
    with _loaded(baked, config, device) as (model, lost):
        if alone := sorted(lost - lacking):
            raise BakingError(
                "a model of this config and the tensors that were written do not fit: "
                f"{listed(alone, 3)} {'is' if len(alone) == 1 else 'are'} in one of them alone"
            )
        try:
            found = (_scores(model) - hooked).abs()
            _, _, written = _watched(model, layers, came)
        except RuntimeError as error:
            raise BakingError(
                f"the new model does not run ({error}). If its MLPs were pruned: kernels may want "
                "a larger --align"
            ) from error
        dtype = config.dtype
    shares = {name: _share(written[name], expected[name], untouched[name]) for name in layers}
    worst = max(shares, key=shares.__getitem__, default=None)
    agreement = Agreement(
        found.mean().item(),
        found.max().item(),
        (plain - hooked).abs().mean().item(),
        shares[worst] if worst is not None else 0.0,
    )
    share = SHARE.get(dtype, _SHARE)
    allowed = max(_NOISE, share * agreement.effect)
    wrong = ""
    if not agreement.of_layer <= share:
        wrong = (
            f"in {worst} by {agreement.of_layer:.1%} of what the condition does there, and at most "
            f"{share:.0%} was expected"
        )
    elif not agreement.mean <= allowed:
        wrong = f"by {agreement.mean:.2g} nats on average, and at most {allowed:.2g} was expected"
    if wrong:
        raise BakingError(
            f"the new model differs from the original under hooks {wrong}: '{condition}' is not "
            f"what its weights can do, or not in {str(dtype).removeprefix('torch.')}. Nothing was "
            "written. Zero, scaling, and masks at mlp.down_in can be written most widely"
        )
    return agreement


def _share(found: torch.Tensor, expected: torch.Tensor, untouched: torch.Tensor) -> float:
    """The difference of a layer's output as a part of the condition's effect on it; 0 where it is
    no more than rounding."""
    difference, effect = ((values - expected).abs().mean() for values in (found, untouched))
    if difference <= _OF_LAYER * expected.abs().mean():
        return 0.0
    return (difference / effect).item()


def _written(model: Any, mask: NeuronMask | None, condition: Condition) -> list[str]:
    """Modules of the layers that are written, those of experts by the layer that they are in."""
    if mask is None:
        return []
    found = resolve(model)
    paths = (found.site(*place).module_name for place in plan(mask, condition).writes)
    layers = (re.match(r".*?\.\d+(?=\.)", path) for path in paths)
    return list(dict.fromkeys(layer[0] for layer in layers if layer))


Inputs = Mapping[str, tuple[Any, Any]]


def _watched(
    model: Any, layers: list[str], given: Inputs | None = None
) -> tuple[torch.Tensor, Inputs, dict[str, torch.Tensor]]:
    """Log-probabilities, what came to each layer and what it made of it.

    Args:
        given: what the layers are to get in place of what comes to them.
    """
    came: dict[str, tuple[Any, Any]] = {}
    made: dict[str, torch.Tensor] = {}

    def watch(name: str) -> Iterator[Any]:
        def before(module: Any, args: Any, named: Any) -> Any:
            came[name] = (args, named)
            return given and given[name]

        def after(module: Any, args: Any, output: Any) -> None:
            made[name] = (output if torch.is_tensor(output) else output[0]).cpu()

        module = model.get_submodule(name)
        yield module.register_forward_pre_hook(before, with_kwargs=True)
        yield module.register_forward_hook(after)

    handles = [handle for name in layers for handle in watch(name)]
    try:
        return _scores(model), came, made
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _loaded(folder: Path, config: Any, device: str) -> Iterator[tuple[Any, set[str]]]:
    """The model, and the tensors that it or the folder has and the other has not."""
    wide = torch.promote_types(config.dtype or torch.float32, torch.float32)
    with tempfile.TemporaryDirectory() as offloaded:
        spread = {"device_map": "auto", "offload_folder": offloaded} if device == "auto" else {}
        model, seen = auto_class(config).from_pretrained(
            folder, config=config, dtype=wide, output_loading_info=True, **spread
        )
        if not spread:
            model.to(device)
        yield model.eval(), {*seen["missing_keys"], *seen["unexpected_keys"]}


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
