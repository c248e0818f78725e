"""What counts as knowing a fact (Zhao et al. 2024, and the authors' `pred_evaluation.py`).

Of a masked language model, with an object of tokens y1 ... yn and, for every number of masks k, the
most probable token of each of the k masks:

- `exact_match`: with k = n the tokens are y1 ... yn.
- `full_match`: the same once tokens that are a mere space (XLM-R's "▁") are left out of both, for
  any k. This is the authors' P@1. In a vocabulary without such tokens it is `exact_match`.
- `partial_match`: for some k every one of y1 ... yn is among the tokens, in whatever order.
- `one_token`: `full_match` with one mask, over the facts whose object is one token. The others have
  no such number.

Of a model that continues a text: `full_match` where greedy decoding gives the object's tokens,
exactly as many; `partial_match` where the object is in what it writes in as many tokens as the
longest object of the relation has, case aside. Its `exact_match` is its `full_match`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lsn_eval.facts.blanks import without_spaces

METRICS = ("full_match", "exact_match", "partial_match", "one_token")


def of_fillings(gold: Sequence[str], fillings: Sequence[Sequence[str]]) -> dict[str, float]:
    """The metrics of one fact.

    Args:
        gold: tokens of the object.
        fillings: tokens by number of masks, one mask first.
    """
    bare = without_spaces(gold)
    bare_fillings = [without_spaces(filling) for filling in fillings]
    return {
        "full_match": float(bare in bare_fillings),
        "exact_match": float(list(gold) in [list(filling) for filling in fillings]),
        "partial_match": float(any(set(bare) <= set(filling) for filling in bare_fillings)),
        **_one_token(bare, bare_fillings[0] == bare),
    }


def of_continuation(
    gold: Sequence[str], label: str, greedy: bool, continuation: str
) -> dict[str, float]:
    """The metrics of one fact, of a model that reads from left to right.

    Args:
        gold: tokens of the object.
        label: the object itself.
        greedy: whether greedy decoding gives the object.
        continuation: what it gives.
    """
    within = greedy or label.casefold() in continuation.casefold()
    return {
        "full_match": float(greedy),
        "exact_match": float(greedy),
        "partial_match": float(within),
        **_one_token(without_spaces(gold), greedy),
    }


def added_tokens(gold: Sequence[str], fillings: Sequence[Sequence[str]]) -> list[str] | None:
    """What the shortest filling that holds every token of the object has beside them; None where
    there is none. Of two as long it is the one with fewer masks."""
    rests = [
        list((Counter(filling) - Counter(without_spaces(gold))).elements())
        for filling in fillings
        if set(without_spaces(gold)) <= set(filling)
    ]
    return min(rests, key=len, default=None)


def _one_token(bare: Sequence[str], matched: bool) -> dict[str, float]:
    return {"one_token": float(matched)} if len(bare) == 1 else {}
