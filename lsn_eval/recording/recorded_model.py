"""The model that is recorded: what of it runs, how large a batch it takes, what it is known by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from lsn_eval.errors import RecordingError
from lsn_eval.models.hookpoints import Site, expanded
from lsn_eval.models.probing import evaluating
from lsn_eval.models.resolving import positions_of, resolve, unwrap

CPU_BATCH_TOKENS = 4096
DEVICE_BATCH_TOKENS = 65536
DEFAULT_LENGTH = 2048


class RecordedModel:
    """A Hugging Face model, run up to its last layer: logits are not needed."""

    def __init__(self, model: nn.Module, hookpoints: Sequence[str]) -> None:
        found = resolve(model)
        self.hookpoints = expanded(hookpoints, found.sites)
        if not self.hookpoints:
            raise RecordingError("no hookpoint was given; at least one was expected")
        self.full = unwrap(model)
        self.described = found.layout(self.hookpoints)
        self.sites: list[Site] = [
            site for hookpoint in self.hookpoints for site in found.at(hookpoint).values()
        ]
        self.backbone = self._backbone()
        config: Any = self.full.config
        text_config = config.get_text_config()
        stated = getattr(text_config, "max_position_embeddings", None)
        stated = stated or getattr(text_config, "n_positions", None)
        self.positions = positions_of(self.full, stated)
        embeddings: Any = self.full.get_input_embeddings()  # type: ignore[operator]
        self.vocabulary = int(embeddings.weight.shape[0])
        self.device: torch.device = embeddings.weight.device
        self.dtype = str(next(self.full.parameters()).dtype).removeprefix("torch.")

    @property
    def routed(self) -> bool:
        """Whether some layers are experts, which see some tokens alone."""
        return any(site.expert for site in self.sites)

    @property
    def neurons(self) -> int:
        """Neurons of all hookpoints and layers."""
        return sum(site.width for site in self.sites)

    def _backbone(self) -> nn.Module:
        """The model without its head, where that is a part of it that holds every site."""
        base = getattr(self.full, "base_model", self.full)
        inside = {id(module) for module in base.modules()}
        held = {id(site.expert.module if site.expert else site.module) for site in self.sites}
        return base if held <= inside else self.full

    def length(self, wanted: int | None) -> int:
        """Positions of a row: `wanted`, checked; or as many as the model takes, up to 2048."""
        if wanted is None:
            return min(DEFAULT_LENGTH, self.positions or DEFAULT_LENGTH)
        if self.positions is not None and wanted > self.positions:
            raise RecordingError(
                f"length {wanted} is beyond the {self.positions} positions of this model; give "
                f"--length {self.positions} or less"
            )
        return wanted

    def run(self, ids: torch.Tensor, attention: torch.Tensor | None, **asked: Any) -> Any:
        """One forward pass; right padding leaves the positions of the tokens as they are.

        Args:
            asked: further arguments of the model's own, such as `output_hidden_states`.
        """
        highest = int(ids.max())
        if highest >= self.vocabulary:
            raise RecordingError(
                f"token {highest} is beyond the {self.vocabulary} of this model: the texts were "
                "tokenised for another one"
            )
        mask = None if attention is None else onto(attention, self.device)
        given = {"input_ids": onto(ids, self.device), "attention_mask": mask}
        if self.full.config.is_encoder_decoder:  # type: ignore[union-attr]
            given |= {f"decoder_{name}": tensor for name, tensor in given.items()}
        return self.backbone(**given, **asked, use_cache=False)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Without dropout and gradients; afterwards every module is in the mode it was in."""
        with evaluating(self.full), torch.no_grad():
            yield

    def batch_size(self, length: int) -> int:
        """Rows a batch: what keeps a CPU busy, or half of what fits into the device's memory."""
        if self.device.type == "cpu":
            return max(1, CPU_BATCH_TOKENS // length)
        size = 1
        with self.evaluating():
            while size * 2 * length <= DEVICE_BATCH_TOKENS:
                try:
                    self.run(torch.zeros(size * 2, length, dtype=torch.long), None)
                except torch.cuda.OutOfMemoryError:
                    return max(1, size // 2)
                size *= 2
        return size


def onto(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """`tensor` on `device`; from pinned memory, as other copies wait for what a GPU is doing."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
