"""Which documents statistics are of, in a few numbers: enough to tell that two corpora overlap.

A sketch is the smallest hashes of a corpus's documents (Broder 1997): whatever is cut from a
corpus, its beginning, a shard or its second half, shares the hashes of the documents in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

SIZE = 128
"""Hashes of a sketch, at most; a corpus of fewer documents has a hash of each."""
_BYTES = 6
"""Of a hash: two documents of a hundred million share one by chance once in 28,000 sketches."""


class DocumentSketch:
    """Grows as documents are read."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self._largest = 1 << 8 * _BYTES

    def add(self, document: bytes) -> None:
        """Count a document in; one that was there before changes nothing."""
        number = int.from_bytes(hashlib.sha256(document).digest()[:_BYTES], "big")
        if number < self._largest:
            self._hashes.add(number)
            if len(self._hashes) > SIZE:
                self._hashes.remove(max(self._hashes))
            if len(self._hashes) == SIZE:
                self._largest = max(self._hashes)

    @property
    def hashes(self) -> list[int]:
        """Ascending, for the provenance of statistics."""
        return sorted(self._hashes)


def shared_documents(one: Sequence[int], other: Sequence[int]) -> float:
    """Share of the smaller corpus's documents that are in the other one, as their sketches tell.

    Its standard error is at most 1 in 2 sqrt(n), n being the hashes of the smaller one that can be
    compared: about .05 for halves of one size, and a corpus of less than a hundredth of the other
    may have none, which gives 0.
    """
    # Beyond the largest hash of a full sketch nobody knows what its corpus holds.
    known = min((max(hashes) for hashes in (one, other) if len(hashes) >= SIZE), default=None)
    first, second = (
        {number for number in hashes if known is None or number <= known} for hashes in (one, other)
    )
    fewer = min(len(first), len(second))
    return len(first & second) / fewer if fewer else 0.0


def without_sketches(document: Any) -> Any:
    """A provenance to look at: hundreds of hashes say nothing to a reader."""
    if isinstance(document, Mapping):
        kept = (item for item in document.items() if item[0] != "document_sketch")
        return {name: without_sketches(value) for name, value in kept}
    return [*map(without_sketches, document)] if isinstance(document, list) else document
