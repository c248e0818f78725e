"""What comes through the seam for outside files, and what does not."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from lsn_eval.errors import LsnError, MaskError
from lsn_eval.storage.outside_files import (
    DEEPEST,
    Fields,
    bounded_lines,
    json_lines,
    parse_json,
    read_bytes,
    read_json,
    read_text,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}),
        ('"\\ud83d\\ude00"', "😀"),
        (str(2**60), 2**60),
        ("[" * DEEPEST + "]" * DEEPEST, json.loads("[" * DEEPEST + "]" * DEEPEST)),
        ("-Infinity", float("-inf")),
    ],
)
def test_plain_json_comes_through(text, value):
    assert parse_json(text, "here", LsnError) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "here cannot be read as JSON"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "deeper than 64"),
        ("[" * 100_000, "deeper than 64"),
        ('{"a":' * 100_000, "deeper than 64"),
        ('["\\ud800"]', "half a character"),
        ('{"\\uDFFF": 1}', "half a character"),
        ("9" * 301, "301 digits"),
        ("9" * 5000, "digits"),
    ],
)
def test_other_json_is_the_callers_error(text, message):
    with pytest.raises(MaskError, match=message):
        parse_json(text, "here", MaskError)


def test_files_are_decoded_and_bounded(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(path, LsnError) == [1]
    path.write_bytes(b"ab\xff")
    with pytest.raises(LsnError, match=r"not UTF-8 \(byte 2"):
        read_text(path, LsnError)
    with pytest.raises(LsnError, match="larger than 2 bytes"):
        read_bytes(path, LsnError, most=2)
    with pytest.raises(MaskError, match="cannot be read"):
        read_bytes(tmp_path / "absent", MaskError)
    with pytest.raises(MaskError, match="cannot be read"):
        read_bytes("nul\0byte", MaskError)


def test_lines_are_numbered_bounded_and_parsed_one_at_a_time(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": 1}\n\n  \n[2]\r\nnonsense\n')
    lines = json_lines(path, MaskError)
    assert [next(lines), next(lines)] == [(1, {"a": 1}), (4, [2])]
    with pytest.raises(MaskError, match="line 5 cannot be read as JSON"):
        next(lines)
    with pytest.raises(MaskError, match="line 2 is longer than 4 bytes"):
        list(bounded_lines(io.BytesIO(b"1234\n"[1:] + b"12345"), "x", MaskError, most=4))


FIELDS = Fields(
    {"t": "x", "n": 3, "f": 2.5, "b": True, "l": ["a", 1], "o": {"inner": 1}, "d": {"k": {"inner": 1}}, "nul": None, "inf": float("inf")},
    "file: part",
    MaskError,
)  # fmt: skip


def test_fields_of_the_right_type():
    assert (FIELDS.text("t"), FIELDS.whole("n"), FIELDS.flag("b")) == ("x", 3, True)
    assert (FIELDS.number("f"), FIELDS.number("n")) == (2.5, 3.0)
    assert [inner.value for inner in FIELDS.each("d")] == [{"inner": 1}]
    assert FIELDS.each("absent") == []
    assert FIELDS.fields("o").whole("inner") == 1
    assert FIELDS.text("absent", None) is None
    assert FIELDS.text("nul", "y") == "y"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: f.text("n"), r"file: part: n is 3; a text was expected"),
        (lambda f: f.text("absent"), r"file: part lacks absent; a text was expected"),
        (lambda f: f.text("nul"), r"nul is null; a text"),
        (lambda f: f.whole("b"), r"b is true; a whole number from 0"),
        (lambda f: f.whole("n", most=2), r"n is 3; a whole number from 0 to 2 was expected"),
        (lambda f: f.whole("f"), r"f is 2.5; a whole number"),
        (lambda f: f.number("b"), r"b is true; a finite number"),
        (lambda f: f.number("inf"), r"inf is Infinity; a finite number"),
        (lambda f: f.texts("l"), r'l is \["a", 1\]; a list of texts'),
        (lambda f: f.wholes("l"), r'l is \["a", 1\]; a list of whole numbers'),
        (lambda f: f.objects("l"), r'file: part: l 1 is "a"; an object was expected'),
        (lambda f: f.mapping("l"), r"an object was expected"),
        (lambda f: f.fields("t"), r"t is \"x\"; an object"),
        (lambda f: f.fields("o").text("inner"), r"file: part: o: inner is 1"),
        (lambda f: f.only({"t"}), r"has b, d, f, inf, l, n, nul, o, which is unknown"),
        (lambda f: f.fields("o").only({"other"}, {"inner"}), r"lacks other"),
    ],
)  # fmt: skip
def test_fields_of_another_type_are_named(ask, message):
    with pytest.raises(MaskError, match=message):
        ask(FIELDS)


def test_a_small_file_takes_little_memory(tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"ab")
    tracemalloc.start()
    try:
        assert read_bytes(path, LsnError) == b"ab"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_pipe_is_read_to_its_end(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with ThreadPoolExecutor() as writer:
        writer.submit(path.write_bytes, b"x" * 300_000)
        assert read_bytes(path, LsnError) == b"x" * 300_000
