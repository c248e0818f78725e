"""Corpora that overlap are told from those that do not."""

from __future__ import annotations

import pytest

from lsn_eval.statistics.document_sketch import SIZE, DocumentSketch, shared_documents


def sketch(numbers: range) -> list[int]:
    made = DocumentSketch()
    for number in numbers:
        made.add(str(number).encode())
    return made.hashes


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        (range(5000), range(5000), 1),
        (range(2500), range(5000), 1),
        (range(2500, 5000), range(5000), 1),
        (range(4000, 4500), range(5000), 1),
        (range(0, 5000, 2), range(5000), 1),
        (range(3), range(5), 1),
        (range(3000), range(1500, 6000), 0.5),
        (range(5000), range(5000, 9000), 0),
        (range(3), range(3, 6), 0),
        (range(0), range(5), 0),
    ],
)
def test_the_share_of_the_smaller_corpus(one: range, other: range, share: float) -> None:
    for pair in ((one, other), (other, one)):
        found = shared_documents(*map(sketch, pair))
        assert found == share if share in (0, 1) else found == pytest.approx(share, abs=0.15)


def test_order_and_repetition_change_nothing() -> None:
    made = DocumentSketch()
    for number in (*range(999, -1, -1), *range(1000)):
        made.add(str(number).encode())
    assert made.hashes == sketch(range(1000))
    assert len(made.hashes) == SIZE
