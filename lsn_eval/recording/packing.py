"""From documents to the rows of tokens that a model runs.

Packed, as in Tang et al. (2024): the tokens of all documents one after the other, cut into rows
of one length; the rest that does not fill a row is dropped. Or one text a row, cut at the length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import RecordingError
from lsn_eval.recording.texts import Document, source_of, token_array
from lsn_eval.recording.tokenizing import PIECE, Tokenize, Tokens, tokenized
from lsn_eval.statistics.document_sketch import DocumentSketch

LONGEST_TOKEN = 64
"""Characters of a token, on average, that a text may have and still fill a long row of its own."""

Row = NDArray[np.int64]
"""Token ids [position]."""
Item = TypeVar("Item")


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


class RowStream:
    """The rows of one language's corpus, one pass, with an account of what was read.

    Args:
        texts: documents or strings; or token ids [token], or [row, token] with a row a text.
    """

    def __init__(
        self,
        language: str,
        texts: Iterable[str | Document] | Any,
        tokenize: Tokenize,
        settings: RowSettings,
    ) -> None:
        self.language, self.settings = language, settings
        self.source = source_of(texts)
        self.rows = self.tokens = self.documents = 0
        self.sketch = DocumentSketch()
        self.first_row_sha256: str | None = None
        """Of packed rows: whatever is cut off at the end, texts that begin alike have it."""
        self._texts, self._tokenize = texts, tokenize
        self._share: float | None = None
        self._pending = 0
        self._sha = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Digest of the rows given out so far."""
        return self._sha.hexdigest()

    @property
    def bytes_there(self) -> int | None:
        """Bytes of the files that the texts are in, if they are."""
        files = getattr(self._texts, "files", None)
        return None if files is None else sum(file.stat().st_size for file in files)

    @property
    def expected(self) -> int | None:
        """Tokens of all rows there will be, going by what is read; None where nothing tells."""
        settings = self.settings
        sizes = [size for size in (settings.limit,) if size is not None]
        if self._share:
            sizes.append(round((self.tokens + self._pending) / self._share))
        if not sizes:
            return None
        return min(sizes) // settings.length * settings.length if settings.pack else min(sizes)

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
        if self.settings.pack and self._pending:
            raise RecordingError(
                f"the texts of {self.language} have {self._pending} tokens, which do not fill one "
                f"row of {self.settings.length}; give a smaller length, more texts, or "
                "--one-text-per-row"
            )
        held = " (documents held out for evaluation are left out)" if self.settings.hold_out else ""
        raise RecordingError(f"the texts of {self.language} are empty{held}")

    def _packed(self) -> Iterator[Row]:
        length, limit = self.settings.length, self.settings.limit
        room = None if limit is None else limit // length * length
        rest = np.zeros(0, np.int64)
        for content, ids, share in self._documents():
            self._account(content, share)
            rest = np.concatenate([rest, np.asarray(ids, np.int64)])
            while rest.size >= length:
                row, rest = rest[:length], rest[length:]
                self._pending = rest.size
                yield row
                if room is not None and self.tokens >= room:
                    return
            self._pending = rest.size

    def _single(self) -> Iterator[Row]:
        limit = self.settings.limit
        for content, ids, share in self._documents():
            row = np.asarray(ids, np.int64)[: self.settings.length]
            if limit is not None:
                row = row[: limit - self.tokens]
            if row.size:
                self._account(content, share)
                yield row
            if limit is not None and self.tokens >= limit:
                return

    def _account(self, content: bytes | None, share: float | None) -> None:
        self._share = share
        if content is not None:
            self.documents += 1
            self.sketch.add(content)

    def _documents(self) -> Iterator[Tokens]:
        where = f"the texts of {self.language}"
        length, pack, hold_out = self.settings.length, self.settings.pack, self.settings.hold_out
        if hasattr(self._texts, "shape"):
            tokens = token_array(self._texts, where)
            if hold_out:
                raise RecordingError(
                    f"{where} are token ids, which cannot be split into documents; leave out "
                    "--hold-out"
                )
            rows: list[Row] = list(np.atleast_2d(tokens))
            if tokens.ndim == 1 and pack:
                rows = np.split(tokens, range(length, tokens.size, length))
            ends = np.cumsum([row.size for row in rows]) / max(1, tokens.size)
            return (
                (row.astype("<i4").tobytes(), row, float(end))
                for row, end in zip(rows, ends, strict=True)
            )
        # A row of its own needs no more than the beginning of a long text.
        most = PIECE if pack else max(PIECE, LONGEST_TOKEN * length)
        return tokenized(
            self._texts, self._tokenize, where, hold_out=hold_out, piece=most, first_piece=not pack
        )


def batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Rows in lists of `size`, the last one shorter."""
    source = iter(rows)
    while batch := list(islice(source, size)):
        yield batch


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Each item, while a thread gets the next one: texts are read and tokenised while the model
    runs. An error comes at the turn of the item that it stands for."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
