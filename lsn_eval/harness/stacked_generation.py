"""`StackedGeneration`: answers for the conditions to come, made in the same batch as this one's.

A sweep asks the same questions in the same batches under one condition after another. Knowing the
conditions to come, a call of `generate` is made once for several of them, each on rows of its own,
and the answers of the others are kept until their turn. They are handed out to the very same call
alone: same condition, same tokens, same padding, same length, stop strings, seed and options; what
is not found is generated. Whatever cannot be stacked, or fails in a stack, is generated for each
condition by itself, so that a condition that fails does so alone, at its own turn.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import StoppingCriteriaList

from lsn_eval.conditions import Condition
from lsn_eval.harness.seeded_generation import take_seed
from lsn_eval.harness.stacked_decoding import NotStackableError, StackedDecoding, can_decode
from lsn_eval.interventions.intervention import Intervention
from lsn_eval.interventions.report import SiteCounts
from lsn_eval.interventions.stacked import StackedIntervention

logger = logging.getLogger(__name__)

MOST_ROWS = 64
"""Rows of a stack, its conditions times the batch size, where nothing else is asked for; measured
by `benchmarks/generation.py`."""


@dataclass(frozen=True)
class _Answer:
    """An answer ahead of its turn, without the context if it starts with that."""

    tokens: torch.Tensor
    after_context: bool
    counts: list[SiteCounts]


class StackedGeneration:
    """Decides what is stacked, and keeps the answers of the conditions to come.

    Args:
        generate: the model's call, by name as lm-eval makes it, with `seed`, under no condition.
        criteria: lm-eval's stopping criteria from stop strings, tokens of the context and rows.
        prepare: a condition's intervention on the model, tried out; None where it writes nothing.
    """

    def __init__(
        self,
        generate: Callable[..., torch.Tensor],
        criteria: Callable[[list[str], int, int], StoppingCriteriaList],
        prepare: Callable[[Condition], Intervention | None],
    ) -> None:
        self._generate = generate
        self._criteria = criteria
        self._prepare = prepare
        self._condition = Condition()
        self._intervention: Intervention | None = None
        self._following: tuple[Condition, ...] = ()
        self._most_rows = 0
        self._prepared: dict[Condition, Intervention | None] = {}
        self._answers: dict[Condition, dict[str, _Answer]] = {}
        self._not_stackable: set[str] = set()
        self._warnings: set[str] = set()

    @property
    def rows_ahead(self) -> int:
        """Answers kept for conditions to come."""
        return sum(len(one.tokens) for calls in self._answers.values() for one in calls.values())

    def turn_to(self, condition: Condition, intervention: Intervention | None) -> None:
        """Answer under `condition` from now on; nothing is stacked until `follow`."""
        if condition != self._condition:
            self._answers.pop(self._condition, None)
        self._condition, self._intervention = condition, intervention
        self._following = ()

    def follow(self, following: Sequence[Condition], most_rows: int | None = None) -> None:
        """Stack with these, in this order, up to `most_rows` rows; kept answers of others go."""
        following = [condition for condition in following if condition != self._condition]
        # Positions are those of a call of `generate` for one condition.
        alone = not can_decode() or self._condition.positions != "all"
        self._following = () if alone else tuple(c for c in following if c.positions == "all")
        self._most_rows = MOST_ROWS if most_rows is None else most_rows
        known = {*following, self._condition}
        self._answers = {c: answers for c, answers in self._answers.items() if c in known}
        self._prepared = {c: prepared for c, prepared in self._prepared.items() if c in known}

    def answer(
        self,
        context: torch.Tensor,
        max_length: int,
        stop: Sequence[str],
        attention_mask: torch.Tensor | None = None,
        **options: Any,
    ) -> torch.Tensor | None:
        """This condition's tokens [row, position], or None: then generate them without a stack."""
        key = _key(context, attention_mask, max_length, list(stop), options)
        if key is None:
            return None
        if ready := self._answers.get(self._condition, {}).pop(key, None):
            return self._take(ready, context)
        kind = repr(options)
        while kind not in self._not_stackable:
            members = self._together(context.shape[0], key)
            if len(members) < 2:
                break
            try:
                made = self._stacked(members, context, max_length, stop, attention_mask, options)
            except NotStackableError:
                self._not_stackable.add(kind)
            except torch.cuda.OutOfMemoryError:
                self._most_rows = len(members) * context.shape[0] // 2
                self._warn_once(
                    "memory is short for generating for %d conditions at once; going on with "
                    "fewer. Give --stack with a smaller number of rows",
                    len(members),
                )
            except Exception as error:
                # Perhaps one condition's fault: it will fail by itself, and only it.
                self._following = ()
                self._warn_once(
                    "generating for several conditions at once failed (%s); going on with each by "
                    "itself",
                    error,
                )
            else:
                for condition, answer in made.items():
                    self._answers.setdefault(condition, {})[key] = answer
                return self._take(self._answers[self._condition].pop(key), context)
            # Out of the except block, which keeps the tensors of the failed call alive.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return None

    def _together(self, rows: int, key: str) -> dict[Condition, Intervention | None]:
        """This condition and those to come that fit and have no answer to this call yet."""
        members = {self._condition: self._intervention}
        for condition in self._following:
            if (len(members) + 1) * rows > self._most_rows:
                break
            if key in self._answers.get(condition, {}):
                continue
            try:
                if condition not in self._prepared:
                    self._prepared[condition] = self._prepare(condition)
                members[condition] = self._prepared[condition]
            except Exception:  # reported at its own turn
                self._following = tuple(c for c in self._following if c != condition)
        return members

    def _stacked(
        self,
        members: Mapping[Condition, Intervention | None],
        context: torch.Tensor,
        max_length: int,
        stop: Sequence[str],
        attention_mask: torch.Tensor | None,
        options: dict[str, Any],
    ) -> dict[Condition, _Answer]:
        (rows, length), times = context.shape, len(members)
        seed, real = take_seed(stop, options.get("seed"))
        stacked = StackedIntervention(list(members.values()))
        decoding = StackedDecoding(
            rows,
            [self._criteria(real, length, rows) for _ in members],
            seed,
            stacked.finish,
        )
        options = {**options, "seed": seed, "stop": [], "custom_generate": decoding}
        if attention_mask is not None:
            options["attention_mask"] = attention_mask.repeat(times, 1)
        with stacked.active(rows):
            tokens = self._generate(
                context=context.repeat(times, 1), max_length=max_length, **options
            )
        answers = {}
        parts = zip(members, decoding.parts(tokens), strict=True)
        for number, (condition, part) in enumerate(parts):
            after_context = torch.equal(part[:, :length], context)
            own = part[:, length:] if after_context else part
            own = own.to("cpu", torch.int32)
            answers[condition] = _Answer(own, after_context, stacked.counts(number))
        return answers

    def _take(self, answer: _Answer, context: torch.Tensor) -> torch.Tensor:
        if self._intervention is not None and answer.counts:
            self._intervention.add_counts(answer.counts)
        tokens = answer.tokens.to(context)
        return torch.cat([context, tokens], dim=1) if answer.after_context else tokens

    def _warn_once(self, message: str, *details: object) -> None:
        if message not in self._warnings:
            self._warnings.add(message)
            logger.warning(message, *details)


def _key(*call: Any) -> str | None:
    """A digest of everything in a call, or None where an option is no plain value."""

    def plain(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return str(value.dtype), value.tolist()
        raise TypeError

    try:
        text = json.dumps(call, sort_keys=True, default=plain)
    except TypeError:
        return None
    return hashlib.sha256(text.encode()).hexdigest()
