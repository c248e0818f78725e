"""From documents to their tokens, a bounded number of characters at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import RecordingError
from lsn_eval.recording.texts import Document, is_held_out
from lsn_eval.storage.shipped import model_place

TOGETHER = 256
"""Documents handed to the tokenizer at a time: fast tokenizers share them among their threads."""

PIECE = 1 << 18
"""Characters of a document that the tokenizer is given at once: a longer one is cut."""

CHARACTERS_TOGETHER = 1 << 20
"""Characters handed to it at a time, about: with a small limit of tokens few are in vain."""

Tokenize = Callable[[Sequence[str]], Sequence[Sequence[int]]]
Tokens = tuple[bytes | None, Sequence[int] | NDArray[np.int64], float | None]
"""What a document is known by, if it is not one that goes on; token ids; the share of the corpus
that is read with them, where that can be known."""


FITTING = 0.95
"""Tokens of a tokenizer by rows of its model's embedding, at least: models round up a little."""


def tokenizer_doubt(model: Any, tokenizer: Any, vocabulary: int) -> str | None:
    """What speaks against a tokenizer being the model's, though every id may fit: its size, or
    another vocabulary than that of the tokenizer on this machine under the model's name."""
    from transformers import AutoTokenizer

    own = getattr(getattr(model, "config", None), "_name_or_path", None)
    name = getattr(tokenizer, "name_or_path", "")
    if tokenizer is None or not hasattr(tokenizer, "get_vocab"):
        return None
    tokens, said = tokenizer.get_vocab(), f"the tokenizer{f' of {name}' if name else ''}"
    if len(tokens) < FITTING * vocabulary:
        return f"{said} has {len(tokens):,} tokens and the model {vocabulary:,}; is it the model's?"
    if own and name not in ("", own):
        with suppress(OSError, ValueError, ImportError):  # none is there, or it cannot be read
            theirs = AutoTokenizer.from_pretrained(model_place(own), local_files_only=True)
            if theirs.get_vocab() != tokens:
                return f"{said} has other tokens than that of {own}, the model; is it the model's?"
    return None


class Encoding:
    """How texts become token ids, and which of these count.

    Args:
        tokenizer: of the model; None where token ids are given.
        special_tokens: let it add its special tokens.
        skip_special_tokens: do not count them.
        vocabulary: ids that the model knows.
    """

    def __init__(
        self, tokenizer: Any, *, special_tokens: bool, skip_special_tokens: bool, vocabulary: int
    ) -> None:
        if tokenizer is None and skip_special_tokens:
            raise RecordingError("special tokens are known by the tokenizer; give one to skip them")
        self.tokenizer, self.special_tokens = tokenizer, special_tokens
        self.skipped = np.array(tokenizer.all_special_ids if skip_special_tokens else [], np.int64)
        pad = int(getattr(tokenizer, "pad_token_id", None) or 0)
        self.pad = pad if pad < vocabulary else 0
        self.vocabulary = vocabulary

    def __call__(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        """Token ids of texts."""
        if self.tokenizer is None:
            raise RecordingError("texts need a tokenizer; give one, or token ids")
        encoded = self.tokenizer(
            list(texts),
            add_special_tokens=self.special_tokens,
            return_attention_mask=False,
            verbose=False,  # a document longer than the model is what packing is for
        )
        return encoded["input_ids"]


def tokenized(
    texts: Iterable[str | Document],
    tokenize: Tokenize,
    where: str,
    *,
    hold_out: bool = False,
    piece: int = PIECE,
    first_piece: bool = False,
) -> Iterator[Tokens]:
    """Every document's content, without the line end that only packing keeps, its tokens, and the
    share of the corpus that is read with them.

    A document of more than `piece` characters comes in pieces, cut before a space where there is
    one, all but the first without the content.

    Args:
        where: the texts, in messages.
        hold_out: leave out the documents that are held out for evaluation.
        first_piece: leave out all but the first piece of a document.
    """
    group: list[tuple[bytes | None, str, float | None]] = []
    characters, before = 0, 0.0
    for document in _checked(texts, where, hold_out):
        text = document.text
        try:
            content: bytes | None = text.strip().encode()
        except UnicodeEncodeError as error:
            raise RecordingError(
                f"{where}: half a character (a lone surrogate) is in {text[:80]!r}; mend the text"
            ) from error
        read = document.read
        for end, part in islice(_pieces(text, piece), 1 if first_piece else None):
            share = 1.0 if first_piece else end / max(1, len(text))
            group.append((content, part, read and before + (read - before) * share))
            content = None
            characters += len(part)
            if len(group) >= TOGETHER or characters >= CHARACTERS_TOGETHER:
                yield from _tokens_of(group, tokenize)
                group, characters = [], 0
        before = read or before
    yield from _tokens_of(group, tokenize)


def _tokens_of(
    group: Sequence[tuple[bytes | None, str, float | None]], tokenize: Tokenize
) -> Iterator[Tokens]:
    if group:
        contents, parts, shares = zip(*group, strict=True)
        yield from zip(contents, tokenize(parts), shares, strict=True)


def _pieces(text: str, most: int) -> Iterator[tuple[int, str]]:
    """Where each piece ends, and the piece."""
    start = 0
    while len(text) - start > most:
        space = text.rfind(" ", start + 1, start + most)
        end = space if space > start else start + most
        yield end, text[start:end]
        start = end
    yield len(text), text[start:]


def _checked(texts: Iterable[str | Document], where: str, hold_out: bool) -> Iterator[Document]:
    if isinstance(texts, str):
        raise RecordingError(f"{where} are one string; a list of texts was expected")
    count = len(texts) if isinstance(texts, Sized) else None
    for number, item in enumerate(texts, start=1):
        document = item if isinstance(item, Document) else Document(item, item)
        if not isinstance(document.text, str):
            raise RecordingError(
                f"{where}: one is a {type(document.text).__name__}; a string was expected"
            )
        if not (hold_out and is_held_out(document.identity)):
            yield document if count is None else replace(document, read=number / count)
