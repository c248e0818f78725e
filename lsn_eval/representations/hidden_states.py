"""What a model's layers hold of a batch of sentences: embeddings of sentences, and logits."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import nn

from lsn_eval.errors import LsnError
from lsn_eval.recording.observing import Batch
from lsn_eval.recording.recorded_model import RecordedModel

Pooling = Literal["mean", "last"]

EMBEDDINGS = "embeddings"
"""The name of what goes into the first layer; a layer's own name is its number."""
_NUMBERED = re.compile(r"\.\d+(\.|$)")
"""A module inside a layer."""


class HiddenStates:
    """A model of one stack of layers, whose hidden states are read.

    Raises:
        LsnError: an encoder-decoder, or a model whose hidden states transformers does not give.
    """

    def __init__(self, model: Any) -> None:
        self.model = RecordedModel(model, ("mlp",))
        full: Any = self.model.full
        self.full: Any = full
        if full.config.is_encoder_decoder:
            raise LsnError(
                f"{full.config.model_type} is an encoder-decoder, whose two stacks have no "
                "layers in common; a decoder or an encoder was expected"
            )
        with self.model.evaluating():
            states = self.of(torch.zeros(1, 2, dtype=torch.long), None)
        self.width = states[0].shape[-1]
        self.layers = (EMBEDDINGS, *map(str, range(len(states) - 1)))

    def of(self, ids: torch.Tensor, attention: torch.Tensor | None) -> list[torch.Tensor]:
        """What goes into the first layer and comes out of each, [row, position, hidden]; of the
        last one behind the final normalisation, as in transformers."""
        seen = self.model.run(ids, attention, output_hidden_states=True)
        states = [*(getattr(seen, "hidden_states", None) or ())]
        last: Any = getattr(seen, "last_hidden_state", states[-1] if states else None)
        if len(states) < 2 or {state.shape for state in (*states, last)} != {
            (*ids.shape, last.shape[-1])
        }:
            raise LsnError(
                f"{self.full.config.model_type}: transformers gives no hidden state [row, "
                "position, hidden] of every layer of this model"
            )
        return [*states[:-1], last]

    def head(self) -> Head:
        """What makes logits of hidden states."""
        with self.model.evaluating():
            return Head(self.full, self.model.device)


def pooled(states: list[torch.Tensor], batch: Batch, pooling: Pooling) -> torch.Tensor:
    """Embeddings of sentences [row, layer, hidden], float32, on the CPU.

    The mean over the counted tokens of a row, or its last one.
    """
    weights = torch.from_numpy(batch.counted).float()
    if pooling == "last":
        weights *= weights.cumsum(1) == weights.sum(1, keepdim=True)
    weights /= weights.sum(1, keepdim=True)
    each = [torch.einsum("rp,rph->rh", weights.to(s.device), s.float()).cpu() for s in states]
    return torch.stack(each, 1)


class Head:
    """From hidden states to logits, by the model's own final normalisation and head.

    The head is whatever the model does behind its stack of layers, a scale or a soft cap included:
    the stack is made to answer with the states that are asked for, and the model runs. Which module
    is the final normalisation is found by running it: the outermost that puts out the stack's last
    hidden state; where only a layer does, there is none.

    Raises:
        LsnError: the model has no head, or the logits made in this way are not its own.
    """

    def __init__(self, full: Any, device: torch.device) -> None:
        self.full, self._device = full, device
        calls: list[tuple[str, Any, Any]] = []
        with ExitStack() as hooks:
            for name, module in full.named_modules():

                def keep(of: Any, given: Any, output: Any, name: str = name) -> None:
                    calls.append((name, of, output))

                hooks.callback(module.register_forward_hook(keep).remove)
            logits = getattr(self._run(3), "logits", None)
        stacks = [(m, o) for n, m, o in calls if n and hasattr(o, "last_hidden_state")]
        if logits is None or not stacks:
            raise self._error("there is no head, or no stack of layers below it")
        self._stack, self._answer = stacks[-1]
        last = self._answer.last_hidden_state
        made = [
            (name, module)
            for name, module, output in calls
            if isinstance(output, torch.Tensor)
            and (output.data_ptr(), output.numel()) == (last.data_ptr(), last.numel())
        ]
        outside = [module for name, module in made if not _NUMBERED.search(name)]
        if not made:
            raise self._error("no module puts out what goes into the head")
        self._normalisation = outside[0] if outside else nn.Identity()
        if not torch.equal(self(last[0], normalised=True), logits[0]):
            raise self._error("its head, run alone, gives other logits than the model")

    def __call__(self, states: torch.Tensor, *, normalised: bool) -> torch.Tensor:
        """Logits [token, vocabulary] of hidden states [token, hidden]."""
        if not normalised:
            states = self._normalisation(states)
        answer = copy.copy(self._answer)
        answer["last_hidden_state"] = states[None]
        with _answering(self._stack, answer):
            logits: torch.Tensor = self._run(len(states)).logits[0]
        return logits

    def _run(self, tokens: int) -> Any:
        ids = (
            torch.arange(tokens, device=self._device)[None]
            % self.full.config.get_text_config().vocab_size
        )
        return self.full(input_ids=ids, use_cache=False)

    def _error(self, why: str) -> LsnError:
        return LsnError(
            f"hidden states of this {self.full.config.model_type} model cannot be decoded: {why}; "
            "leave the logit lens out (--no-lens)"
        )


@contextmanager
def _answering(module: Any, answer: Any) -> Iterator[None]:
    """Within the block the module answers so, whatever it is given."""
    had = "forward" in vars(module)
    before = module.forward
    module.forward = lambda *args, **named: answer
    try:
        yield
    finally:
        if had:
            module.forward = before
        else:
            del module.forward
