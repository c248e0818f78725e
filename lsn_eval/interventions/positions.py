"""Which positions of a forward pass are written, while text is generated.

`generate` is told how long its prompt is, and runs the model over that and then over what it made,
with a cache over one token at a time and without one over everything again. Counted from the first
token of the row, padding on its left included, a position is the same in both; so each kind of
positions is a range, and all rows of a batch share it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from lsn_eval.conditions import Positions
from lsn_eval.errors import InterventionError
from lsn_eval.models.resolving import unwrap

_RANGES: dict[Positions, Callable[[int], tuple[float, float]]] = {
    "all": lambda prompt: (0, math.inf),
    "prompt": lambda prompt: (0, prompt),
    "generated": lambda prompt: (prompt, math.inf),
    "last": lambda prompt: (prompt - 1, math.inf),
}
"""First position, and the one after the last, by the length of the prompt."""


class WrittenPositions:
    """Follows a model's `generate` as long as `following` is open, and takes its positions out of
    what a hook sees."""

    def __init__(self, model: nn.Module, kind: Positions) -> None:
        self._model: Any = unwrap(model)
        self.kind = kind
        self._everywhere = kind == "all"
        self._prompt: int | None = None
        self._seen = 0
        """Tokens of a row that the model has run over."""
        self._pass = (0, 0, 0)
        """Rows and positions of this pass, and the number of its first position."""
        config: Any = self._model.config
        both = config.is_encoder_decoder
        if not self._everywhere and (both or not hasattr(self._model, "generate")):
            reason = "whose prompt and answer are in two stacks" if both else "which generates none"
            raise InterventionError(
                f"@{kind} was given for a {config.model_type} model, {reason}: positions are those "
                "of a decoder's prompt and answer; leave it out"
            )

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """Write at every position while the block runs: to see whether writes arrive."""
        before, self._everywhere = self._everywhere, True
        try:
            yield
        finally:
            self._everywhere = before

    @contextmanager
    def following(self) -> Iterator[None]:
        """Know where `generate` is while the block runs."""
        if self._everywhere:
            yield
            return
        own = vars(self._model)
        before = own.get("generate")
        own["generate"] = self._around(self._model.generate)
        handle = self._model.register_forward_pre_hook(self._begin_pass, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()
            own.pop("generate")
            if before is not None:
                own["generate"] = before

    def of(self, values: torch.Tensor) -> torch.Tensor | None:
        """The part of `values` [row, position, neuron] or [token, neuron] to write, as a view; None
        where this pass has none."""
        if self._everywhere:
            return values
        rows, width, first = self._pass
        assert self._prompt is not None
        start, stop = (
            int(max(0, min(width, end - first))) for end in _RANGES[self.kind](self._prompt)
        )
        if start >= stop:
            return None
        if values.shape[:-1] == (rows * width,):  # a module that sees tokens one after the other
            values = values.view(rows, width, -1)
        if values.shape[:-1] != (rows, width):
            raise InterventionError(
                f"a tensor of shape {list(values.shape)} was to be written at {self.kind} "
                f"positions, and has not {rows} rows of {width} tokens; leave @{self.kind} out"
            )
        return values[:, start:stop]

    def _around(self, generate: Callable[..., Any]) -> Callable[..., Any]:
        def followed(inputs: Any = None, *args: Any, **options: Any) -> Any:
            known = (inputs, options.get("input_ids"), options.get("inputs_embeds"))
            prompt = next((one for one in known if one is not None), None)
            self._prompt = 1 if prompt is None else prompt.shape[1]
            self._seen = _length(options.get("past_key_values")) or 0
            try:
                return generate(inputs, *args, **options)
            finally:
                self._prompt = None

        return followed

    def _begin_pass(
        self, module: nn.Module, args: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        if self._everywhere:
            return
        if self._prompt is None:
            raise InterventionError(
                f"@{self.kind} positions are those of `generate`: a plain forward pass, as for "
                "log-likelihoods, does not say where its prompt ends; leave it out"
            )
        known = (options.get("input_ids"), options.get("inputs_embeds"), *args)
        tokens = next(one for one in known if one is not None)
        past = options.get("past_key_values")
        first = 0 if past is None else _length(past)
        if first is None:
            first = self._seen
        elif past is not None and first != self._seen:
            raise InterventionError(
                f"the cache holds {first} tokens after {self._seen} were run over: this way of "
                f"generating goes back over tokens, so that @{self.kind} positions are not known; "
                "use greedy search or sampling"
            )
        self._pass = (*tokens.shape[:2], first)
        self._seen = first + tokens.shape[1]


def _length(past: Any) -> int | None:
    """Tokens in a cache, where it says so."""
    return int(past.get_seq_length()) if hasattr(past, "get_seq_length") else None
