"""Documents become tokens in bounded pieces, and what is normal is never cut."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from lsn_eval.errors import RecordingError
from lsn_eval.recording.packing import RowSettings, RowStream
from lsn_eval.recording.tokenizing import PIECE, TOGETHER, tokenized, tokenizer_doubt


class Counting:
    """One token a character, and what was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, texts):
        self.calls.append(tuple(texts))
        return [[ord(character) % 200 for character in text] for text in texts]

    @property
    def characters(self) -> int:
        return sum(len(text) for texts in self.calls for text in texts)


@pytest.mark.parametrize(("pack", "most"), [(True, 1_500_000), (False, 300_000)])
def test_a_long_line_is_read_as_far_as_it_is_needed(pack, most) -> None:
    counting = Counting()
    line = "twenty million characters " * 800_000
    stream = RowStream("de", [line], counting, RowSettings(100, pack, limit=2000))
    rows = list(stream)
    letters = Counting()([line[:2000]])[0]
    assert [token for row in rows for token in row] == letters[: len(rows) * 100]
    assert len(rows) == (20 if pack else 1)
    assert stream.documents == 1
    assert counting.characters <= most


def test_a_long_line_is_cut_before_spaces_and_nothing_is_lost() -> None:
    counting = Counting()
    line = "word " * (PIECE // 2) + "x" * (2 * PIECE)
    found = list(tokenized([line, "next"], counting, "texts"))
    pieces = [text for texts in counting.calls for text in texts]
    assert "".join(pieces) == f"{line}next"
    assert max(map(len, pieces)) <= PIECE
    assert pieces[1].startswith(" word")
    further = [content is None for content, _, _ in found]
    assert further == [False, *[True] * (len(pieces) - 2), False]


def test_normal_lines_are_tokenized_whole_and_together() -> None:
    counting = Counting()
    lines = ["a" * PIECE, *("b" * 100 for _ in range(600))]
    contents = [content for content, _, _ in tokenized(lines, counting, "texts")]
    assert contents == [line.encode() for line in lines]
    assert [text for texts in counting.calls for text in texts] == lines
    assert [len(texts) for texts in counting.calls] == [TOGETHER, TOGETHER, 601 - 2 * TOGETHER]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["ok", "half \ud800"], "half a character"),
        ("abc", "one string"),
        ([b"abc"], "a string was expected"),
    ],
)
def test_texts_that_cannot_be_tokenized(texts, message: str) -> None:
    with pytest.raises(RecordingError, match=f"texts of de.*{message}"):
        list(tokenized(texts, Counting(), "the texts of de"))


@pytest.mark.parametrize(
    ("size", "other", "said"),
    [
        (257, False, None),
        (300, False, "257 tokens and the model 300"),
        (257, True, "has other tokens than"),
    ],
)
def test_a_tokenizer_that_is_not_the_models_is_doubted(size, other, said, tokenizer, tmp_path):
    """Though its ids all fit."""
    tokenizer.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "given")
    if other:
        file = tmp_path / "given" / "tokenizer.json"
        document = json.loads(file.read_text("utf-8"))
        words = document["model"]["vocab"]
        words["e"], words["a"] = words["a"], words["e"]
        file.write_text(json.dumps(document), "utf-8")
    model = SimpleNamespace(config=SimpleNamespace(_name_or_path=str(tmp_path / "model")))
    given = type(tokenizer).from_pretrained(tmp_path / "given")
    doubt = tokenizer_doubt(model, given, size)
    assert doubt is None if said is None else said in doubt
    assert tokenizer_doubt(model, None, size) is None
