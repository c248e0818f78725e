"""Reading texts, and splitting them into recorded and held out."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
from pathlib import Path

import numpy as np
import pytest
import torch

from lsn_eval.errors import RecordingError
from lsn_eval.recording.texts import (
    DatasetTexts,
    Document,
    TextFiles,
    document_identity,
    find_files,
    is_held_out,
    read_tokens,
)

TEXTS = ["Grüße aus Köln", "你好，世界", "one two  three"]
ROWS = [{"id": str(n), "text": text} for n, text in enumerate([*TEXTS, "", " \n"])]
JSON_LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
PLAIN = "\n \n\n".join(TEXTS)  # no final newline, as some published files


def write(path: Path) -> Path:
    suffixes = "".join(path.suffixes)
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.Table.from_pylist([{**row, "other": 1} for row in ROWS])
        pyarrow.parquet.write_table(table, path)
        return path
    content = (JSON_LINES if ".jsonl" in suffixes else PLAIN).encode()
    if path.suffix == ".zst":
        import pyarrow

        with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
            file.write(content)
        return path
    packers = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    path.write_bytes(packers.get(path.suffix, bytes)(content))
    return path


KINDS = ["a.txt", "a.jsonl", "a.parquet"] + [
    f"a.{kind}.{packed}" for kind in ("txt", "jsonl") for packed in ("gz", "bz2", "xz", "zst")
]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file(tmp_path: Path, name: str) -> None:
    """Its documents but the blank ones."""
    files = TextFiles(str(write(tmp_path / name)))
    documents = list(files)
    assert [document.text for document in documents] == TEXTS
    identities = TEXTS if ".txt" in name else ["0", "1", "2"]
    assert [document.identity for document in documents] == identities
    shares = [document.read or 0 for document in documents]
    assert shares == sorted(shares)
    assert 0 < shares[-1] <= 1
    assert list(files) == documents  # read anew


def test_folders_and_globs(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "b.txt")
    write(tmp_path / "deep" / "a.jsonl.gz")
    (tmp_path / "README.md").write_text("no text")
    (tmp_path / ".hidden.txt").write_text("no text")
    assert [file.name for file in find_files(str(tmp_path))] == ["b.txt", "a.jsonl.gz"]
    assert [d.text for d in TextFiles(str(tmp_path))] == TEXTS * 2
    assert [file.name for file in find_files(str(tmp_path / "**" / "*.gz"))] == ["a.jsonl.gz"]
    (tmp_path / "c.jsonl").write_text('{"content": "x"}\n')
    assert [d.text for d in TextFiles(str(tmp_path / "c.jsonl"), column="content")] == ["x"]
    for source in ("missing.txt", "*.bz2", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(RecordingError, match=r"no file|holds no texts"):
            find_files(str(tmp_path / source))


def test_line_ends_are_kept_for_packing(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("﻿erste\r\n\n \nzweite".encode())
    assert [d.text for d in TextFiles(str(path), line_ends=True)] == ["erste\r\n", "zweite"]
    assert [d.text for d in TextFiles(str(path))] == ["erste", "zweite"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"x", "are read"),
        ("a.txt", b"\xff\xfe", "line 1 is not UTF-8"),
        ("a.jsonl", b'{"text": "a"}\n{', "line 2 cannot be read as JSON"),
        ("a.jsonl", b"[" * 100_000, "line 1: JSON nested deeper"),
        ("a.jsonl", rb'{"text": "\ud800"}', "half a character"),
        ("a.jsonl", b'{"text": "a", "n": 1' + b"0" * 5000 + b"}", "an integer of 5001 digits"),
        ("a.jsonl", b'{"texts": "a"}', "no text in column 'text'; there is texts"),
        ("a.jsonl", b'{"text": 3}', "no text in column 'text'"),
        ("a.jsonl", b"[1]", "there is a list"),
        ("a.jsonl.gz", b"no gzip", "damaged"),
        ("a.txt.xz", b"no xz", "damaged"),
        ("a.parquet", b"no parquet", "no whole parquet file"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=message):
        list(TextFiles(str(tmp_path / name)))


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("a.txt", "a.jsonl")])
def test_damaged_files_are_said_to_be(tmp_path: Path, name: str) -> None:
    """Cut anywhere, and with bytes exchanged anywhere: read as it was, or an error of ours."""
    whole = write(tmp_path / name).read_bytes()
    damaged = 0
    places = range(0, len(whole), 1 + len(whole) // 200)
    for at in places:
        for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
            (tmp_path / name).write_bytes(content)
            try:
                list(TextFiles(str(tmp_path / name)))
            except RecordingError:
                damaged += 1
    assert damaged > len(places) / 2


def test_held_out_is_a_tenth_by_sha256() -> None:
    identities = [str(number) for number in range(20_000)]
    held = [identity for identity in identities if is_held_out(identity)]
    assert 0.09 < len(held) / len(identities) < 0.11
    first = int.from_bytes(hashlib.sha256(held[0].encode()).digest()[:8], "big")
    assert first % 10 == 0
    assert document_identity({"id": 12, "text": "x"}, "x") == "12"
    assert document_identity({"text": "x"}, "x") == "x"
    is_held_out("\ud800")  # a lone surrogate, as JSON can hold


def test_a_dataset_is_streamed_with_its_configuration(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    configs = []
    for language in ("de", "fr"):
        lines = [{"id": f"{n}", "text": f"{language} {n}" if n < 5 else " "} for n in range(6)]
        (tmp_path / f"{language}.jsonl").write_text("\n".join(map(json.dumps, lines)))
        configs.append(f"- config_name: v1.{language}\n  data_files: {language}.jsonl\n")
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{''.join(configs)}---\n")
    texts = DatasetTexts(f"{tmp_path}:v1.{{lang}}", "fr")
    assert list(texts) == [Document(f"fr {n}", f"{n}") for n in range(5)]
    assert texts.hold_out
    assert not TextFiles(str(tmp_path / "de.jsonl")).hold_out
    for wrong in (f"{tmp_path}:v2.{{lang}}", f"{tmp_path}/nowhere", "no/such-dataset-at-all"):
        with pytest.raises(RecordingError, match="cannot be streamed"):
            list(DatasetTexts(wrong, "fr"))
    for message, options in (("cannot be streamed", "split"), ("there is id, text", "column")):
        with pytest.raises(RecordingError, match=message):
            list(DatasetTexts(f"{tmp_path}:v1.{{lang}}", "fr", **{options: "body"}))


def test_token_tensors(tmp_path: Path) -> None:
    path = tmp_path / "id.de.pt"
    torch.save(torch.arange(10), path)
    found = read_tokens(str(path))
    np.testing.assert_array_equal(found, np.arange(10))
    assert found.source == str(path)
    for wrong in (torch.zeros(3), {"a": 1}, torch.zeros(1, 1, 1, dtype=torch.long)):
        torch.save(wrong, path)
        with pytest.raises(RecordingError, match="a LongTensor of token ids|whole numbers"):
            read_tokens(str(path))
    torch.save({"x": Path("/")}, path)
    with pytest.raises(RecordingError, match="could run code"):
        read_tokens(str(path))
