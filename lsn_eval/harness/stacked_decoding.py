"""`StackedDecoding`: one decoding loop in which every condition's rows stop and draw by themselves.

transformers' `generate` takes a function for its decoding loop; this one runs transformers' own
with two things exchanged, so that each condition's tokens are those of a call of its own:

- Stopping. lm-eval stops a batch once every row has met the same stop string. Here each
  condition's rows have that test to themselves, and are cut where their own batch would have
  ended.
- Sampling. Each condition's rows draw from a generator of their own, seeded as theirs would be.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteriaList
from transformers.generation import GenerationMode


class NotStackableError(Exception):
    """This generation is one that is run for each condition alone."""


def can_decode() -> bool:
    """Whether this release of transformers takes a function for its decoding loop."""
    parameters = inspect.signature(transformers.GenerationMixin.generate).parameters
    return (
        "custom_generate" in parameters
        and "Callable" in str(parameters["custom_generate"].annotation)
        and hasattr(transformers.GenerationMixin, "_sample")
    )


class _Stops(StoppingCriteriaList):
    """transformers' criteria row by row, and lm-eval's for each condition's rows together."""

    def __init__(
        self, of_conditions: Sequence[StoppingCriteriaList], finished: Callable[[int], None]
    ) -> None:
        super().__init__()
        self._of_conditions = of_conditions
        self._finished = finished
        self._done: torch.Tensor | None = None
        self.lengths: list[int | None] = [None] * len(of_conditions)

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        """Whether each row is done, bool [conditions * rows]; once done, a row stays so."""
        done = super().__call__(input_ids, scores, **kwargs)
        if self._done is not None:
            done = done | self._done
        parts = done.view(len(self.lengths), -1)
        tokens = input_ids.chunk(len(parts))
        for number, criteria in enumerate(self._of_conditions):
            if self.lengths[number] is None and criteria:
                parts[number] |= criteria(tokens[number], scores, **kwargs)
        for number, finished in enumerate(parts.all(1).tolist()):
            if finished and self.lengths[number] is None:
                self.lengths[number] = input_ids.shape[1]
                self._finished(number)
        self._done = done
        return done


class _Draws(LogitsProcessor):
    """Leaves every row one token: the one its condition's generator draws."""

    def __init__(self, conditions: int, seed: int, device: torch.device) -> None:
        self._generators = [
            torch.Generator(device=device).manual_seed(seed) for _ in range(conditions)
        ]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        parts = zip(scores.chunk(len(self._generators)), self._generators, strict=True)
        drawn = [torch.multinomial(part.softmax(-1), 1, generator=source) for part, source in parts]
        return torch.full_like(scores, -torch.inf).scatter_(1, torch.cat(drawn), 0.0)


class StackedDecoding:
    """The decoding loop of one call of `generate` for several conditions.

    Args:
        rows: of one condition; the batch is conditions times as long.
        criteria: lm-eval's stopping criteria for the rows of each condition.
        seed: of sampling; None where the call has none.
        finished: told the number of a condition whose rows are all done.
    """

    def __init__(
        self,
        rows: int,
        criteria: Sequence[StoppingCriteriaList],
        seed: int | None,
        finished: Callable[[int], None],
    ) -> None:
        self._rows = rows
        self._seed = seed
        self._stops = _Stops(criteria, finished)

    def __call__(
        self,
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        **model_kwargs: Any,
    ) -> Any:
        """Called by `generate` with everything prepared.

        Raises:
            NotStackableError: neither greedy nor seeded sampling, or several answers a row.
        """
        mode = generation_config.get_generation_mode()
        conditions = len(self._stops.lengths)
        if (
            generation_config.return_dict_in_generate
            or input_ids.shape[0] != self._rows * conditions
        ):
            raise NotStackableError
        if mode == GenerationMode.SAMPLE and self._seed is not None:
            draws = _Draws(conditions, self._seed, input_ids.device)
            logits_processor = LogitsProcessorList([*logits_processor, draws])
        elif mode != GenerationMode.GREEDY_SEARCH:
            raise NotStackableError
        self._stops.extend(stopping_criteria)
        return model._sample(
            input_ids,
            logits_processor=logits_processor,
            stopping_criteria=self._stops,
            generation_config=generation_config,
            **model_kwargs,
        )

    def parts(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """Each condition's tokens [rows, position], as long as a call of its own returns them."""
        parts = zip(tokens.split(self._rows), self._stops.lengths, strict=True)
        return [part[:, :length] for part, length in parts]
