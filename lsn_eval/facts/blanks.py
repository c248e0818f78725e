"""A text with a blank where a fact's object belongs: with masks in it for a masked language model,
up to it for one that reads from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsn_eval.errors import LsnError

BLANK = "[Y]"
"""Of mLAMA's templates, in every text that is asked about."""
FILL = "fill_masks"
"""Among the arguments of a request: how many masks the blank is to be filled with."""
SPACES = frozenset({"▁", "Ġ", "##", ""})
"""Tokens that hold nothing but the mark of a space or of a word that goes on."""


def masked_ids(tokenizer: Any, text: str, masks: int) -> tuple[list[int], list[int]]:
    """Token ids of `text` with so many masks, spaces between them, in its blank, and their places.

    Raises:
        LsnError: the text has no blank, or the tokenizer makes something else of it.
    """
    whole = text.replace(BLANK, " ".join([tokenizer.mask_token] * masks))
    ids = list(tokenizer(whole, verbose=False)["input_ids"])
    places = [place for place, token in enumerate(ids) if token == tokenizer.mask_token_id]
    if len(places) != masks or places[-1] - places[0] != masks - 1:
        raise LsnError(
            f"{masks} masks in a row were to be in {text!r}, and the tokenizer finds "
            f"{len(places)}; one {BLANK} and no {tokenizer.mask_token} was expected"
        )
    return ids, places


def before_blank(text: str) -> tuple[str, str]:
    """What is read before the blank, and the white space between the two.

    A model that reads from left to right sees nothing else; the text is empty where the blank comes
    first.
    """
    before = text.partition(BLANK)[0]
    read = before.rstrip()
    return read, before[len(read) :]


def without_spaces(tokens: Sequence[str]) -> list[str]:
    """Tokens that hold more than a space, as the authors compare them."""
    return [token for token in tokens if token not in SPACES]
