"""A loaded model run over a few random tokens, to see what it does; and left as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from lsn_eval.errors import HookpointError
from lsn_eval.models.families import shape_of

ROWS, POSITIONS, DECODER_POSITIONS = 2, 7, 5
TOKENS, DECODER_TOKENS = ROWS * POSITIONS, ROWS * DECODER_POSITIONS
_IDS = 1000
"""Tokens are drawn from the first of the vocabulary."""


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation mode, afterwards every module in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """In evaluation mode, afterwards in the mode it was in, random numbers put back.

    Raises:
        HookpointError: its weights are not there, or what ran in the block changed the model.
    """

    def state() -> dict[str, Any]:
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        marks: dict[str, Any] = {name: (id(of), of._version) for name, of in tensors.items()}
        return marks | {f"{name}()": id(module) for name, module in model.named_modules()}

    if any(of.is_meta for of in model.parameters()) and not hasattr(model, "hf_device_map"):
        raise HookpointError("its weights are not loaded, and a type without a row has to be run")
    before = state()
    devices = {of.device for of in model.parameters() if of.device.type == "cuda"}
    with evaluating(model), torch.random.fork_rng([*devices]):
        torch.manual_seed(0)
        yield
    if changed := [name for name, mark in state().items() if before.get(name) != mark]:
        raise HookpointError(f"running it changes its own {', '.join(changed[:3])}")


def random_tokens(model: Any) -> dict[str, torch.Tensor]:
    """Tokens [row, position], none of those with a meaning of their own; a decoder's are fewer."""
    config = model.config.get_text_config()
    special = {
        value
        for of in (model.config, config)
        for name, value in of.to_dict().items()
        if name.endswith(("_id", "_index")) and isinstance(value, int)
    }
    device = next(of.device for of in model.parameters() if not of.is_meta)
    usual = [token for token in range(min(config.vocab_size, _IDS)) if token not in special]
    lengths = {"input_ids": POSITIONS}
    if getattr(model.config, "is_encoder_decoder", False):
        lengths["decoder_input_ids"] = DECODER_POSITIONS
    return {
        name: torch.tensor(usual)[torch.randint(len(usual), (ROWS, positions))].to(device)
        for name, positions in lengths.items()
    }


def outside_linears(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module by name, but for those inside of a linear layer, as an adapter's are."""
    linear = " "
    for name, module in model.named_modules():
        if not name.startswith(f"{linear}."):
            linear = name if shape_of(module) else linear
            yield name, module


def run(model: nn.Module, given: Mapping[str, torch.Tensor]) -> None:
    """One forward pass; whatever the code of an unknown type raises is a HookpointError."""
    try:
        model(**given)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        message = f"it does not run on tokens alone ({type(error).__name__}: {reason})"
        raise HookpointError(message) from error
