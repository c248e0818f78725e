"""From documents to rows of tokens."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from lsn_eval.errors import RecordingError
from lsn_eval.recording import packing
from lsn_eval.recording.packing import RowSettings, RowStream, ahead
from lsn_eval.recording.texts import TextFiles
from lsn_eval.statistics.document_sketch import shared_documents


def by_letter(texts):
    """A tokenizer of our own: one token a character."""
    return [[ord(character) % 200 for character in text] for text in texts]


def rows_of(texts, **settings) -> tuple[list[list[int]], RowStream]:
    stream = RowStream("de", texts, by_letter, RowSettings(**settings))
    return [row.tolist() for row in stream], stream


def test_packing_concatenates_and_cuts() -> None:
    texts = ["abc", "", "defgh", "ij", "k"]
    letters = by_letter(["abcdefghijk"])[0]
    rows, stream = rows_of(texts, length=4)
    assert rows == [letters[:4], letters[4:8]]  # the rest does not fill a row
    assert (stream.rows, stream.tokens) == (2, 8)
    rows, stream = rows_of(texts, length=2, limit=5)
    assert rows == [letters[:2], letters[2:4]]
    assert stream.documents == 3  # "abc", "" and the one that was cut


def test_one_text_a_row() -> None:
    rows, stream = rows_of(["abc", "", "defgh", "ij"], length=4, pack=False)
    assert [len(row) for row in rows] == [3, 4, 2]
    assert stream.documents == 3
    rows, _ = rows_of(["abc", "defgh", "ij"], length=4, pack=False, limit=5)
    assert [len(row) for row in rows] == [3, 2]


@pytest.mark.parametrize(
    "kind", ["list", "one text", "txt", "jsonl", "ids", "rows of ids", "stream"]
)
@pytest.mark.parametrize("pack", [True, False])
def test_what_is_to_come_is_known_from_the_texts(
    tmp_path, monkeypatch, kind: str, pack: bool
) -> None:
    """So that a bar without a limit of tokens is right from the first rows on."""
    monkeypatch.setattr(packing, "PIECE", 1000)
    lines = [f"text number {number} of many" for number in range(500)]
    for number in range(5):
        part = lines[100 * number : 100 * number + 100]
        if kind == "jsonl":
            part = [f'{{"text": "{line}"}}' for line in part]
        (tmp_path / f"{number}.{kind}").write_text("\n".join(part))
    ids = torch.arange(9000) % 200
    given = {
        "list": lines,
        "one text": ["\n".join(lines)],
        "stream": iter(lines),
        "ids": ids,
        "rows of ids": ids.reshape(-1, 20),
    }
    texts = given[kind] if kind in given else TextFiles(str(tmp_path / f"*.{kind}"), line_ends=True)
    stream = RowStream("de", texts, by_letter, RowSettings(length=32, pack=pack))
    expected = [stream.expected for _ in stream]
    if kind == "stream":
        assert set(expected) == {None}
    else:
        assert np.allclose(expected[len(expected) // 50 :], stream.tokens, rtol=0.1)
        assert expected[-1] == stream.tokens
    limited = RowStream("de", iter(lines), by_letter, RowSettings(length=32, pack=pack, limit=100))
    assert {limited.expected for _ in limited} == {96 if pack else 100}


def test_token_ids_become_rows() -> None:
    tokens = torch.arange(10)
    assert rows_of(tokens, length=4)[0] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert rows_of(tokens.reshape(5, 2), length=4)[0] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert rows_of(tokens.reshape(5, 2), length=4, pack=False)[0][1] == [2, 3]
    with pytest.raises(RecordingError, match="cannot be split into documents"):
        rows_of(tokens, length=4, hold_out=True)
    for wrong in (torch.zeros(4), torch.zeros(4, dtype=torch.bfloat16), torch.eye(2).to_sparse()):
        with pytest.raises(RecordingError, match="whole numbers"):
            rows_of(wrong, length=2)
    with pytest.raises(RecordingError, match="texts of de holds token -3; 0 or more"):
        rows_of(tokens - 3, length=2)


def test_whatever_is_cut_from_a_text_shares_its_documents() -> None:
    texts = [f"text {number}\n" for number in range(900)]
    tokens = torch.randint(0, 200, (9000,), generator=torch.Generator().manual_seed(0))

    def sketch(texts, **settings) -> list[int]:
        return rows_of(texts, **{"length": 8, **settings})[1].sketch.hashes

    whole = sketch(texts)
    cuts = [sketch(texts, limit=2000), sketch(texts[450:]), sketch(texts, length=5)]
    stripped = [text.strip() for text in texts]
    cuts += [sketch(stripped, pack=False), sketch(stripped[100:], limit=1000)]
    assert [shared_documents(whole, cut) for cut in cuts] == [1] * 5
    assert shared_documents(whole, sketch([f"other {text}" for text in texts])) == 0
    cuts = [sketch(tokens, limit=800), sketch(tokens[4496:])]
    assert [shared_documents(sketch(tokens), cut) for cut in cuts] == [1] * 2


@pytest.mark.parametrize(
    ("texts", "settings", "message"),
    [
        (["abc"], {"length": 4}, "3 tokens, which do not fill one row of 4"),
        ([], {"length": 4}, "texts of de are empty"),
        ([], {"length": 4, "pack": False, "hold_out": True}, "held out for evaluation"),
        (["a"], {"length": 0}, "at least 1 token"),
        (["a"], {"length": 4, "limit": 3}, "do not fill one row"),
    ],
)
def test_rows_that_cannot_be(texts, settings, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        rows_of(texts, **settings)


def test_the_digest_covers_cuts_and_tokens() -> None:
    cases = ((["abcd"], 2), (["abcd"], 4), (["abce"], 4), (["ab", "cd"], 4))
    digests = [rows_of(texts, length=length)[1].sha256 for texts, length in cases]
    assert len(set(digests)) == 3
    assert digests[3] == digests[1]


def test_the_next_batch_is_read_while_one_is_used_and_errors_come_in_turn():
    reached = [threading.Event() for _ in range(3)]

    def source():
        for number, event in enumerate(reached):
            event.set()
            yield [number]
        raise RecordingError("the texts end here")

    items = ahead(source())
    for number, following in enumerate(reached[1:]):
        assert next(items) == [number]
        assert following.wait(10)
    assert next(items) == [2]
    with pytest.raises(RecordingError, match="end here"):
        next(items)
