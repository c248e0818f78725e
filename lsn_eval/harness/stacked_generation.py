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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import StoppingCriteriaList

from lsn_eval.conditions import Condition
from lsn_eval.harness.seeded_generation import take_seed
from lsn_eval.harness.stacked_decoding import NotStackableError, StackedDecoding, can_decode
from lsn_eval.interventions.intervention import Intervention, SiteCounts
from lsn_eval.interventions.stacked import StackedIntervention

logger = logging.getLogger(__name__)

MOST_ROWS = 64
"""Rows of a stack, its conditions times the batch size, where nothing else is asked for; measured
by `benchmarks/stacked_generation.py`."""


@dataclass(frozen=True)
class _Member:
    condition: Condition
    intervention: Intervention | None


@dataclass(frozen=True)
class _Kept:
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
        self._now = _Member(Condition(), None)
        self._following: tuple[Condition, ...] = ()
        self._most_rows = 0
        self._members: dict[Condition, _Member] = {}
        self._kept: dict[Condition, dict[bytes, _Kept]] = {}
        self._not_stackable: set[str] = set()
        self._said: set[str] = set()

    @property
    def rows_ahead(self) -> int:
        """Answers kept for conditions to come."""
        return sum(len(kept.tokens) for calls in self._kept.values() for kept in calls.values())

    def turn_to(self, condition: Condition, intervention: Intervention | None) -> None:
        """Answer under `condition` from now on; nothing is stacked until `follow`."""
        if condition != self._now.condition:
            self._kept.pop(self._now.condition, None)
        self._now = _Member(condition, intervention)
        self._following = ()

    def follow(self, following: Sequence[Condition], most_rows: int | None = None) -> None:
        """Stack with these, in this order, up to `most_rows` rows; kept answers of others go."""
        following = [condition for condition in following if condition != self._now.condition]
        self._following = tuple(following) if can_decode() else ()
        self._most_rows = MOST_ROWS if most_rows is None else most_rows
        known = {*following, self._now.condition}
        self._kept = {
            condition: kept for condition, kept in self._kept.items() if condition in known
        }
        self._members = {c: member for c, member in self._members.items() if c in known}

    def answer(
        self,
        context: torch.Tensor,
        max_length: int,
        stop: Sequence[str],
        attention_mask: torch.Tensor | None = None,
        **options: Any,
    ) -> torch.Tensor | None:
        """This condition's tokens [row, position], or None: then generate them without a stack."""
        key = _key(context, max_length, stop, attention_mask, options)
        if key is None:
            return None
        if (kept := self._kept.get(self._now.condition, {}).pop(key, None)) is not None:
            return self._take(kept, context)
        kind = repr(options)
        while kind not in self._not_stackable:
            members = self._together(context.shape[0], key)
            if len(members) < 2:
                break
            try:
                made = self._stacked(members, context, max_length, stop, attention_mask, options)
            except NotStackableError:
                self._not_stackable.add(kind)
            except _OUT_OF_MEMORY:
                self._most_rows = len(members) * context.shape[0] // 2
                self._say_once(
                    "memory is short for generating for %d conditions at once; going on with "
                    "fewer. Give --stack with a smaller number of rows",
                    len(members),
                )
            except Exception as error:
                # Perhaps one condition's fault: it will fail by itself, and only it.
                self._following = ()
                self._say_once(
                    "generating for several conditions at once failed (%s); going on with each by "
                    "itself",
                    error,
                )
            else:
                for member, kept in zip(members[1:], made[1:], strict=True):
                    self._kept.setdefault(member.condition, {})[key] = kept
                return self._take(made[0], context)
            # Out of the except block, which keeps the tensors of the failed call alive.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return None

    def _together(self, rows: int, key: bytes) -> list[_Member]:
        """This condition and those to come that fit and have no answer to this call yet."""
        members = [self._now]
        for condition in self._following:
            if (len(members) + 1) * rows > self._most_rows:
                break
            if key in self._kept.get(condition, {}):
                continue
            if condition not in self._members:
                try:
                    member = _Member(condition, self._prepare(condition))
                except Exception:  # said at its own turn
                    self._following = tuple(c for c in self._following if c != condition)
                    continue
                self._members[condition] = member
            members.append(self._members[condition])
        return members

    def _stacked(
        self,
        members: Sequence[_Member],
        context: torch.Tensor,
        max_length: int,
        stop: Sequence[str],
        attention_mask: torch.Tensor | None,
        options: dict[str, Any],
    ) -> list[_Kept]:
        rows, times = context.shape[0], len(members)
        marked, real = take_seed(stop)
        seed = marked if marked is not None else options.get("seed")
        stacked = StackedIntervention([member.intervention for member in members])
        decoding = StackedDecoding(
            rows,
            [self._criteria(real, context.shape[1], rows) for _ in members],
            None if seed is None else int(seed),
            stacked.finish,
        )
        given = {name: value for name, value in options.items() if name != "seed"}
        if attention_mask is not None:
            given["attention_mask"] = attention_mask.repeat(times, 1)
        with stacked.active(rows):
            tokens = self._generate(
                context=context.repeat(times, 1),
                max_length=max_length,
                stop=[],
                seed=seed,
                custom_generate=decoding,
                **given,
            )
        return [
            _keep(part, context, stacked.counts(number))
            for number, part in enumerate(decoding.parts(tokens))
        ]

    def _take(self, kept: _Kept, context: torch.Tensor) -> torch.Tensor:
        if self._now.intervention is not None and kept.counts:
            self._now.intervention.add_counts(kept.counts)
        tokens = kept.tokens.to(context)
        return torch.cat([context, tokens], dim=1) if kept.after_context else tokens

    def _say_once(self, message: str, *details: object) -> None:
        if message not in self._said:
            self._said.add(message)
            logger.warning(message, *details)


_OUT_OF_MEMORY: type[Exception] = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)


def _key(
    context: torch.Tensor,
    max_length: int,
    stop: Sequence[str],
    attention_mask: torch.Tensor | None,
    options: dict[str, Any],
) -> bytes | None:
    """A digest of everything in a call, or None where an option is no plain value."""
    try:
        json.dumps(options)
    except TypeError:
        return None
    parts = [repr((max_length, list(stop), sorted(options.items()))).encode()]
    for tensor in (context, attention_mask):
        if tensor is not None:
            parts.append(repr((tuple(tensor.shape), tensor.dtype)).encode())
            parts.append(tensor.cpu().numpy().tobytes())
    digests = [hashlib.sha256(part).digest() for part in parts]
    return hashlib.sha256(b"".join(digests)).digest()


def _keep(tokens: torch.Tensor, context: torch.Tensor, counts: list[SiteCounts]) -> _Kept:
    length = context.shape[1]
    after_context = torch.equal(tokens[:, :length], context)
    own = tokens[:, length:] if after_context else tokens
    return _Kept(own.to("cpu", torch.int32), after_context, counts)
