"""`Condition`: what is done to which neurons in one evaluation.

    none                       the baseline
    de:zero                    German neurons set to 0
    de:1.5   de:mean           set to a number, or to a statistic recorded for German
    de:1.5mean                 set to a multiple of it
    de:x0.5                    scaled
    de:+1.5  de:+0.5mean       added to: a number, or a statistic or a multiple of one
    es:zero/zh:mean            several terms; where neurons overlap, the later term wins
    random1-de:zero            control number 1 for German
    de:zero@generated          at some positions alone, of all terms the same
    de:tuned-0a1b2c3d          in results alone: an adapter that `lsn-eval finetune` made

`plan` turns a condition and a mask into the values to write. Neither needs torch.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import ConditionError, MaskError
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.masks.names import (
    ADD_STATISTICS,
    CONTROL_NAME,
    LANGUAGE_NAME,
    STATISTICS,
    is_statistic,
)
from lsn_eval.models.layout import Place

Operation = Literal["set", "scale", "add", "tune"]
_NUMBER = r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_WHAT = re.compile(rf"(?P<mark>[x+]?)(?:(?P<number>{_NUMBER})?(?P<statistic>[a-z][a-z0-9]*)?)")


@dataclass(frozen=True)
class _Form:
    """What may stand behind a mark, besides a number."""

    operation: Operation
    takes: Callable[[str], bool]
    """Whether a statistic of this name may, also as a multiple (`1.5mean`)."""


_FORMS = {
    "": _Form("set", lambda name: is_statistic(name) and name != "diffmean"),
    "x": _Form("scale", lambda name: False),
    "+": _Form("add", is_statistic),
}
"""The grammar of WHAT, by its mark; a difference of means is only added."""
Positions = Literal["all", "prompt", "generated", "last"]
POSITIONS: tuple[Positions, ...] = get_args(Positions)
"""Where a condition writes while text is generated: at every position, those of the prompt, those
of generated tokens, or those from which a token is predicted (the last of the prompt, and every
generated one)."""
_MARKS = {form.operation: mark for mark, form in _FORMS.items()} | {"tune": ""}
_TUNED = re.compile(r"tuned-[0-9a-f]{8}")
"""What was done by tuning, with the start of the digest of how."""
ALL_NEURONS = "full"
"""WHO of an adapter on whole layers."""
_EXPECTED = (
    "expected 'none' or terms WHO:WHAT joined by '/', where WHO is a language of the mask or a "
    "control such as random1-de, and WHAT is zero, a number, a statistic "
    f"({', '.join(STATISTICS[:-1])}) or a multiple of one (1.5mean), xNUMBER to scale, or + and "
    "a number or statistic to add (+1.5, +mean, +0.5diffmean); behind it may stand @ and one of "
    f"{', '.join(POSITIONS)}"
)

_LARGEST = float(np.finfo(np.float32).max)


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"


UNSET = Unset.UNSET
"""No condition was given, which differs from None: lm-eval hands `condition=none` on as None."""


@dataclass(frozen=True)
class Term:
    """One WHO:WHAT. `operand` is a number, or the name of a stored statistic, of which `factor`
    times as much is taken."""

    who: str
    operation: Operation
    operand: float | str
    factor: float = 1.0
    positions: Positions = "all"

    @staticmethod
    def parse(text: str) -> Term:
        """Read one term; raises ConditionError."""
        who, colon, what = text.strip().partition(":")
        if not colon or not LANGUAGE_NAME.fullmatch(who):
            raise ConditionError(f"{text!r} is no term of a condition: {_EXPECTED}")
        if _TUNED.fullmatch(what):
            return Term(who, "tune", what)
        what, at, place = what.partition("@")
        positions = next((name for name in POSITIONS if name == (place if at else "all")), None)
        if positions is None:
            raise ConditionError(f"{place!r} in {text!r} is none of the positions: {_EXPECTED}")
        parts = _WHAT.fullmatch("0" if what == "zero" else what)
        form, statistic = _FORMS[parts["mark"] if parts else ""], parts and parts["statistic"]
        if (
            parts is None
            or not (parts["number"] or statistic)
            or not (statistic is None or form.takes(statistic))
        ):
            raise ConditionError(f"{what!r} in {text!r} is nothing to write: {_EXPECTED}")
        number = _number(parts["number"] or "1", text)
        if statistic and number:
            return Term(who, form.operation, statistic, number, positions)
        return Term(who, form.operation, number, positions=positions)

    def __str__(self) -> str:
        what = _shortest(self.operand) if isinstance(self.operand, float) else self.operand
        if self.operand == 0 and self.operation == "set":
            what = "zero"
        if self.factor != 1:
            what = f"{_shortest(self.factor)}{what}"
        return f"{self.who}:{_MARKS[self.operation]}{what}{self.at}"

    @property
    def at(self) -> str:
        """The positions as they are written, nothing for all."""
        return "" if self.positions == "all" else f"@{self.positions}"


def _number(text: str, term: str) -> float:
    if abs(float(text)) > _LARGEST:
        raise ConditionError(
            f"{text!r} in {term!r} is beyond {_LARGEST:.6g}, the largest number of float32, in "
            "which values are kept; give a smaller one"
        )
    return float(text)


def _shortest(number: float) -> str:
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)


@dataclass(frozen=True)
class Condition:
    """The terms of a condition; no terms is the baseline `none`. `str()` gives its one spelling."""

    terms: tuple[Term, ...] = ()

    @staticmethod
    def parse(text: str | Condition | None) -> Condition:
        """Read a condition; None is `none`.

        Raises:
            ConditionError: it cannot be read, or names the same WHO twice.
        """
        if isinstance(text, Condition):
            return text
        if text is None or text == "none":
            return Condition()
        if not isinstance(text, str):
            raise ConditionError(f"{text!r} is no condition: {_EXPECTED}")
        try:
            terms = tuple(Term.parse(term) for term in text.split("/"))
        except ConditionError as error:
            raise ConditionError(f"condition {text!r}: {error}") from None
        written = [term for term in terms if term.operation != "tune"]
        whos = [term.who for term in written]
        for who in whos:
            if whos.count(who) > 1:
                raise ConditionError(f"{text!r} names {who!r} twice; give each WHO one term")
        if len(positions := {term.positions for term in written}) > 1:
            raise ConditionError(
                f"{text!r} writes at {' and '.join(sorted(positions))} positions; give every term "
                "the same"
            )
        return Condition(terms)

    @property
    def positions(self) -> Positions:
        """Where all of its terms write."""
        return self.terms[0].positions if self.terms else "all"

    @staticmethod
    def of(mask: NeuronMask, text: str | Condition | Unset | None = UNSET) -> Condition:
        """The condition meant for `mask`; without one, `LANG:zero` for a mask of one language.

        Raises:
            ConditionError: it cannot be read; or none was given and the mask has several
                languages, which are listed.
        """
        if text is not UNSET:
            return Condition.parse(text)
        if len(mask.languages) > 1:
            raise ConditionError(
                "no condition was given and the mask has several languages "
                f"({', '.join(mask.languages)}); say which, e.g. "
                f"condition={mask.languages[0]}:zero, or condition=none for the baseline"
            )
        return Condition((Term(mask.languages[0], "set", 0.0),))

    def __str__(self) -> str:
        return "/".join(map(str, self.terms)) or "none"


class Steering(NamedTuple):
    """From which languages to which a condition steers."""

    sources: tuple[str, ...]
    """Whose neurons are weakened; none where a target's alone are written."""
    targets: tuple[str, ...]
    """Whose neurons are made active: set to a statistic or a number above 0, added to, or scaled
    up."""


@functools.lru_cache(maxsize=4096)
def is_tuned(condition: str) -> bool:
    """Whether a condition of results is of a tuned model."""
    return any(term.operation == "tune" for term in Condition.parse(condition).terms)


@functools.lru_cache(maxsize=4096)
def steering(condition: str) -> Steering | None:
    """What a condition steers, None for one that only weakens neurons: an ablation.

    `es:zero/zh:mean` steers from es to zh, and by name so does its control
    `random1-es:zero/random1-zh:mean`; random neurons beside a language's own are nobody's.

    Raises:
        ConditionError: the condition cannot be read.
    """
    terms = Condition.parse(condition).terms
    controls = [CONTROL_NAME.fullmatch(term.who) for term in terms]
    ends: tuple[list[str], list[str]] = [], []
    for term, control in zip(terms, controls, strict=True):
        if term.operation != "tune" and (control is None or all(controls)):
            ends[_activates(term)].append(control[2] if control else term.who)
    return Steering(tuple(ends[0]), tuple(ends[1])) if ends[1] else None


def _activates(term: Term) -> bool:
    """Whether a term makes neurons more active, as far as the condition says it."""
    amount = term.factor if isinstance(term.operand, str) else term.operand
    return amount > (1 if term.operation == "scale" else 0)


@dataclass(frozen=True, eq=False)
class Write:
    """What is written at one hookpoint of one layer: y = operand, y * operand or y + operand.

    `indices` int32 [neuron] sorted; `operations` one of "set", "scale", "add" per neuron;
    `operands` float32 [neuron].
    """

    indices: NDArray[np.int32]
    operations: NDArray[np.str_]
    operands: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class InterventionPlan:
    """Every write of a condition, and how many neurons a later term took from an earlier one."""

    condition: Condition
    writes: Mapping[Place, Write]
    overlaps: Mapping[str, int]
    """Neurons by "EARLIER/LATER" names of the terms whose neurons overlap."""
    empty: tuple[str, ...] = ()
    """WHOs of the condition that have no neurons in the mask."""

    @property
    def neurons(self) -> int:
        """Number of neurons written."""
        return sum(write.indices.size for write in self.writes.values())

    def neurons_per_layer(self) -> dict[str, dict[str, int]]:
        """Neurons written, by hookpoint and layer."""
        counts: dict[str, dict[str, int]] = {}
        for (hookpoint, layer), write in self.writes.items():
            counts.setdefault(hookpoint, {})[layer] = int(write.indices.size)
        return counts


def plan(mask: NeuronMask, condition: Condition) -> InterventionPlan:
    """The values that `condition` writes with the neurons and statistics of `mask`.

    Raises:
        ConditionError: a WHO the mask does not know, a statistic it does not store, or what an
            adapter does.
    """
    if tuned := [str(term) for term in condition.terms if term.operation == "tune"]:
        raise ConditionError(
            f"{tuned[0]} is what an adapter of 'lsn-eval finetune' does, and nothing is written "
            "for it: give peft=FOLDER and leave it out of the condition"
        )
    owners: dict[Place, dict[int, tuple[int, float]]] = {}
    overlaps: dict[str, int] = {}
    empty = []
    for number, term in enumerate(condition.terms):
        places = _neurons(mask, term)
        if not places:
            empty.append(term.who)
        for place, indices in places.items():
            operands = _operands(mask, term, place, indices)
            owned = owners.setdefault(place, {})
            for index, operand in zip(indices.tolist(), operands.tolist(), strict=True):
                if index in owned:
                    pair = f"{condition.terms[owned[index][0]].who}/{term.who}"
                    overlaps[pair] = overlaps.get(pair, 0) + 1
                owned[index] = (number, operand)
    writes = {}
    for place, owned in owners.items():
        indices = np.array(sorted(owned), dtype=np.int32)
        chosen = [owned[index] for index in indices.tolist()]
        writes[place] = Write(
            indices,
            np.array([condition.terms[number].operation for number, _ in chosen]),
            np.array([operand for _, operand in chosen], dtype=np.float32),
        )
    return InterventionPlan(condition, writes, overlaps, tuple(empty))


def _neurons(mask: NeuronMask, term: Term) -> Mapping[Place, NDArray[np.int32]]:
    control = CONTROL_NAME.fullmatch(term.who)
    language = control[2] if control else term.who
    if language not in mask.languages:
        controls = f"; its controls are random1-{mask.languages[0]} and so on" if control else ""
        raise ConditionError(
            f"{term.who!r} in condition '{term}' is not in the mask, whose languages are "
            f"{', '.join(mask.languages)}{controls}"
        )
    if term.who in mask.who:
        return {place: mask.indices(term.who, *place) for place in mask.places(term.who)}
    assert control is not None, term
    if isinstance(term.operand, str):
        stored = ", ".join(f"random{number}" for number in mask.controls(language)) or "none"
        raise ConditionError(
            f"condition '{term}' needs the statistics of a stored control, and the mask stores "
            f"{stored} for {language}; use a stored one, zero or a number, or {ADD_STATISTICS}"
        )
    try:
        return mask.draw_control(language, int(control[1]))
    except MaskError as error:
        raise ConditionError(str(error)) from error


def _operands(
    mask: NeuronMask, term: Term, place: Place, indices: NDArray[np.int32]
) -> NDArray[np.float32]:
    if not isinstance(term.operand, str):
        return np.full(indices.size, term.operand, np.float32)
    try:
        values = mask.values(term.who, *place, term.operand)
    except MaskError as error:
        raise ConditionError(f"condition '{term}': {error}") from error
    with np.errstate(over="ignore"):
        operands = values * np.float32(term.factor)
    if not np.isfinite(operands).all():
        raise ConditionError(
            f"condition '{term}': {term.factor:g} times a value of {term.who} is "
            f"beyond {_LARGEST:.6g}; give a smaller factor"
        )
    return operands
