"""From documents to the rows of tokens that a model runs.

Packed, as in Tang et al. (2024): the tokens of all documents one after the other, cut into rows
of one length; the rest that does not fill a row is dropped. Or one text a row, cut at the length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import RecordingError
from lsn_eval.recording.texts import Document, is_held_out, token_array
from lsn_eval.statistics.document_sketch import DocumentSketch

TOKENIZED_TOGETHER = 256
"""Documents handed to the tokenizer at a time: fast tokenizers share them among their threads."""

Row = NDArray[np.int64]
"""Token ids [position]."""

Tokenize = Callable[[Sequence[str]], Sequence[Sequence[int]]]


@dataclass(frozen=True)
class RowSettings:
    """How documents become rows."""

    length: int
    """Positions of a packed row; the most that a text's own row may have."""
    pack: bool = True
    """Concatenate and cut, instead of one text a row."""
    limit: int | None = None
    """Tokens of a language, at most."""
    hold_out: bool = False
    """Leave out the documents that are held out for evaluation."""

    def __post_init__(self) -> None:
        if self.length < 1:
            raise RecordingError(f"length {self.length}: at least 1 token was expected")
        if self.limit is not None and self.limit < (self.length if self.pack else 1):
            raise RecordingError(
                f"{self.limit} tokens a language do not fill one row of {self.length}; give more "
                "tokens or a smaller length"
            )


def tokenize_with(tokenizer: Any, add_special_tokens: bool) -> Tokenize:
    """Token ids of texts by a Hugging Face tokenizer."""

    def tokenize(texts: Sequence[str]) -> Sequence[Sequence[int]]:
        encoded = tokenizer(
            list(texts),
            add_special_tokens=add_special_tokens,
            return_attention_mask=False,
            verbose=False,  # a document longer than the model is what packing is for
        )
        return encoded["input_ids"]

    return tokenize


class RowStream:
    """The rows of one language's corpus, one pass, with an account of what was read.

    Args:
        texts: documents or strings; or token ids [token], or [row, token] with a row a text.
    """

    def __init__(
        self,
        language: str,
        texts: Iterable[str | Document] | Any,
        tokenize: Tokenize | None,
        settings: RowSettings,
    ) -> None:
        self.language = language
        self.settings = settings
        self.rows = 0
        self.tokens = 0
        self.documents = 0
        self.sketch = DocumentSketch()
        self.first_row_sha256: str | None = None
        """Of packed rows: whatever is cut off at the end, texts that begin alike have it."""
        self._texts = texts
        self._tokenize = tokenize
        self._unused = 0
        self._sha = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Digest of the rows given out so far."""
        return self._sha.hexdigest()

    def __iter__(self) -> Iterator[Row]:
        for row in self._packed() if self.settings.pack else self._single():
            self.rows += 1
            self.tokens += row.size
            self._sha.update(row.size.to_bytes(8, "little") + row.astype("<i4").tobytes())
            if self.rows == 1 and self.settings.pack:
                self.first_row_sha256 = self.sha256
            yield row
        if self.rows:
            return
        if self.settings.pack and self._unused:
            raise RecordingError(
                f"the texts of {self.language} have {self._unused} tokens, which do not fill one "
                f"row of {self.settings.length}; give a smaller length, more texts, or "
                "--one-text-per-row"
            )
        held = " (documents held out for evaluation are left out)" if self.settings.hold_out else ""
        raise RecordingError(f"the texts of {self.language} are empty{held}")

    def _packed(self) -> Iterator[Row]:
        length, limit = self.settings.length, self.settings.limit
        room = None if limit is None else limit // length * length
        seen = 0
        rest = np.zeros(0, np.int64)
        for texts, group in self._tokenized():
            for text, ids in zip(texts, group, strict=True):
                if room is None or seen < room:
                    self._account(text)
                seen += len(ids)
            rest = np.concatenate([rest, *(np.asarray(ids, np.int64) for ids in group)])
            while rest.size >= length:
                yield rest[:length]
                rest = rest[length:]
                if room is not None and self.tokens >= room:
                    return
        self._unused = rest.size

    def _single(self) -> Iterator[Row]:
        limit = self.settings.limit
        for texts, group in self._tokenized():
            for text, ids in zip(texts, group, strict=True):
                row = np.asarray(ids, np.int64)[: self.settings.length]
                if limit is not None:
                    row = row[: limit - self.tokens]
                if row.size:
                    self._account(text)
                    yield row
                if limit is not None and self.tokens >= limit:
                    return

    def _account(self, text: str | bytes) -> None:
        self.documents += 1
        # Line ends, which only packing keeps, make no other document.
        self.sketch.add(text.strip().encode() if isinstance(text, str) else text)

    def _tokenized(self) -> Iterator[tuple[Sequence[str | bytes], Sequence[Sequence[int] | Row]]]:
        """Texts and their tokens; token ids that were given stand for texts of their own."""
        if hasattr(self._texts, "shape"):
            tokens = token_array(self._texts, f"the texts of {self.language}")
            if self.settings.hold_out:
                raise RecordingError(
                    f"the texts of {self.language} are token ids, which cannot be split into "
                    "documents; leave out --hold-out"
                )
            rows: list[Row] = list(tokens)
            if tokens.ndim == 1:
                cuts = range(self.settings.length, tokens.size, self.settings.length)
                rows = np.split(tokens, cuts) if self.settings.pack else [tokens]
            yield [row.astype("<i4").tobytes() for row in rows], rows
            return
        if self._tokenize is None:
            raise RecordingError("texts need a tokenizer; give one, or token ids")
        texts = self._recorded()
        while group := list(islice(texts, TOKENIZED_TOGETHER)):
            yield group, self._tokenize(group)

    def _recorded(self) -> Iterator[str]:
        if isinstance(self._texts, str):
            raise RecordingError(
                f"the texts of {self.language} are one string; a list of texts was expected"
            )
        for item in self._texts:
            document = item if isinstance(item, Document) else Document(item, item)
            if not isinstance(document.text, str):
                raise RecordingError(
                    f"a text of {self.language} is a {type(document.text).__name__}; a string was "
                    "expected"
                )
            if not (self.settings.hold_out and is_held_out(document.identity)):
                yield document.text


def batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Rows in lists of `size`, the last one shorter."""
    source = iter(rows)
    while batch := list(islice(source, size)):
        yield batch
