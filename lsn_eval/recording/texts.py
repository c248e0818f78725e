"""Texts to record: files, folders, globs, Hugging Face datasets, token files.

A *document* is what a corpus calls one: a line of a `.txt` file, an entry of a `.jsonl` or
`.parquet` file or of a dataset; a blank one is left out. One in `HELD_OUT_SHARE` documents, chosen
by a hash of its identity, is held out for evaluation: `is_held_out` is the one rule for recording
and for tasks.
"""

from __future__ import annotations

import bz2
import glob
import gzip
import hashlib
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import RecordingError
from lsn_eval.storage.outside_files import bounded_lines, decoded, parse_json
from lsn_eval.storage.tensor_files import load_plain_tensors, whole_numbers
from lsn_eval.visible_text import shortened

HELD_OUT_SHARE = 10
"""One document in so many is held out."""

TEXT_SUFFIXES = (".txt", ".jsonl", ".parquet")
COMPRESSIONS: Mapping[str, Callable[[BinaryIO], Any]] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".bz2": bz2.open,
    ".zst": lambda raw: _zstandard(raw),
}
TOKEN_SUFFIX = ".pt"


@dataclass(frozen=True)
class Document:
    """A text, and what it is known by when documents are split into recorded and held out."""

    text: str
    identity: str
    read: float | None = field(default=None, compare=False)
    """Share of its corpus that is read with it, where that can be known: for the time left."""


def is_held_out(identity: str) -> bool:
    """Whether the document is for evaluation, so that recording must leave it out.

    By SHA-256 of the identity: the same on every machine, whatever the order of the documents.
    """
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % HELD_OUT_SHARE == 0


def document_identity(record: Mapping[str, Any], text: str) -> str:
    """A document's `id` (Wikipedia's page number) where it has one, else its text."""
    identity = record.get("id")
    return text if identity in (None, "") else str(identity)


class TextFiles:
    """The documents of files, folders and globs, read anew at every iteration.

    `line_ends` keeps the end of a line of a `.txt` file: packed, lines then make the file's own
    running text.
    """

    hold_out = False
    """A file that somebody names is recorded whole, unless they say otherwise."""

    def __init__(self, source: str, *, column: str = "text", line_ends: bool = False) -> None:
        self.source = source
        self.column = column
        self.line_ends = line_ends
        self.files = find_files(source)

    def __iter__(self) -> Iterator[Document]:
        sizes = [max(1, file.stat().st_size) for file in self.files]
        before = 0.0
        for file, size in zip(self.files, sizes, strict=True):
            part = size / sum(sizes)
            for document, share in self._documents(file, size):
                if document.text.strip():
                    yield replace(document, read=before + min(1.0, share) * part)
            before += part

    def _documents(self, file: Path, size: int) -> Iterator[tuple[Document, float]]:
        """Every document, and the share of the file's bytes (or rows) that is read with it."""
        try:
            if _kind(file) == ".parquet":
                yield from _parquet_documents(file, self.column)
                return
            with open(file, "rb") as raw:
                # Of a compressed file the position is only roughly what was read.
                unpacked = COMPRESSIONS.get(file.suffix.lower(), lambda plain: plain)(raw)
                for number, line in bounded_lines(unpacked, str(file), RecordingError):
                    where = f"{file}, line {number}"
                    text = decoded(line, where, RecordingError)
                    if not text.strip():
                        continue
                    if _kind(file) == ".txt":
                        stripped = text.rstrip("\r\n")
                        document = Document(text if self.line_ends else stripped, stripped)
                    else:
                        record = parse_json(text, where, RecordingError)
                        document = _column_document(record, where, self.column)
                    yield document, raw.tell() / size
        except RecordingError:
            raise
        except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
            raise RecordingError(f"{file} cannot be read ({error}); is it damaged?") from error


def _kind(file: Path) -> str:
    name = file.name.lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    return Path(name).suffix


def find_files(source: str) -> list[Path]:
    """Files meant by a path, a folder (with its subfolders) or a glob, sorted.

    Raises:
        RecordingError: there are none, or one of an unknown kind was named.
    """
    # Of `os.path`, to which a text that is too long for a name is merely no file.
    path = Path(os.path.expanduser(source))
    known = f"{', '.join(TEXT_SUFFIXES)} (also {', '.join(COMPRESSIONS)})"
    if os.path.isdir(path):
        files = sorted(file for file in path.rglob("*") if file.is_file() and _readable(file))
        if not files:
            raise RecordingError(f"the folder {path} holds no texts; {known} are read")
        return files
    there = [path] if os.path.isfile(path) else map(Path, glob.glob(str(path), recursive=True))
    files = sorted(file for file in there if file.is_file())
    if not files:
        raise RecordingError(
            f"{shortened(repr(source), 200)} is no file, no folder and no glob that matches a file"
        )
    if unknown := next((file for file in files if not _readable(file)), None):
        raise RecordingError(
            f"{unknown}: {known} and token tensors ({TOKEN_SUFFIX}) are read; convert it, or "
            "name the files to read"
        )
    return files


def _readable(file: Path) -> bool:
    return _kind(file) in (*TEXT_SUFFIXES, TOKEN_SUFFIX) and not file.name.startswith(".")


def _zstandard(raw: BinaryIO) -> io.BufferedReader:
    import pyarrow

    return io.BufferedReader(pyarrow.CompressedInputStream(raw, "zstd"))


def _column_document(record: Any, where: str, column: str) -> Document:
    text = record.get(column) if isinstance(record, Mapping) else None
    if not isinstance(text, str):
        there = ", ".join(record) if isinstance(record, Mapping) else f"a {type(record).__name__}"
        raise RecordingError(
            f"{where}: no text in column {column!r}; there is {there}. Name the column with "
            "--text-column"
        )
    return Document(text, document_identity(record, text))


def _parquet_documents(file: Path, column: str) -> Iterator[tuple[Document, float]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file)
        names = table.schema_arrow.names
        columns = [name for name in (column, "id") if name in names]
        total, read = max(1, table.metadata.num_rows), 0
        for batch in table.iter_batches(batch_size=256, columns=columns):
            for record in batch.to_pylist():
                read += 1
                record = record if column in names else dict.fromkeys(names)
                yield _column_document(record, f"{file}, row {read}", column), read / total
    except pyarrow.ArrowException as error:
        raise RecordingError(f"{file} is no whole parquet file ({error})") from error


class DatasetTexts:
    """The documents of a Hugging Face dataset, streamed: `NAME[:CONFIG]`, `{lang}` filled in."""

    hold_out = True
    """The perplexity tasks evaluate the documents held out of the same datasets."""

    def __init__(
        self, source: str, language: str, *, split: str = "train", column: str = "text"
    ) -> None:
        name, _, config = source.replace("{lang}", language).partition(":")
        self.name, self.config = name, config or None
        self.split, self.column = split, column
        self.source = f"{name}{':' if config else ''}{config}[{split}]"

    def __iter__(self) -> Iterator[Document]:
        import datasets

        try:
            stream = datasets.load_dataset(self.name, self.config, split=self.split, streaming=True)
            count = getattr((stream.info.splits or {}).get(self.split), "num_examples", None)
            for number, record in enumerate(stream):
                document = _column_document(record, f"{self.source}, entry {number}", self.column)
                if document.text.strip():
                    yield (
                        replace(document, read=min(1, (number + 1) / count)) if count else document
                    )
        except RecordingError:
            raise
        except (
            OSError, EOFError, ValueError, RuntimeError, zlib.error,
            datasets.exceptions.DatasetsError,
        ) as error:  # fmt: skip
            offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
            raise RecordingError(
                f"dataset {self.source} cannot be streamed ({error}); check the name, the "
                "configuration (NAME:CONFIG) and the split"
                + ("; HF_HUB_OFFLINE is set, so that only local ones are found" if offline else "")
            ) from error


def opened(texts: Any, *, column: str = "text", line_ends: bool = False) -> Any:
    """Texts as they are, and of a path, a folder or a glob what it holds.

    Raises:
        RecordingError: nothing that can be read is there.
    """
    if not isinstance(texts, str | os.PathLike):
        return texts
    source = os.fspath(texts)
    if source.lower().endswith(TOKEN_SUFFIX):
        return read_tokens(source)
    return TextFiles(source, column=column, line_ends=line_ends)


def source_of(texts: Any) -> str:
    """Where texts are from, in the words of the provenance."""
    return getattr(texts, "source", None) or f"given as {type(texts).__name__}"


class TokenFile(np.ndarray[Any, np.dtype[np.int64]]):
    """Token ids [token] or [row, token], and the file they are from."""

    source: str


def read_tokens(source: str) -> TokenFile:
    """The token ids of a `.pt` file that holds one LongTensor.

    Raises:
        RecordingError: it holds anything else.
    """
    files = find_files(source)
    if len(files) > 1:
        raise RecordingError(
            f"{source} is {len(files)} files; one {TOKEN_SUFFIX} file a language was expected"
        )
    loaded = load_plain_tensors(files[0], RecordingError)
    tokens = token_array(loaded, str(files[0])).view(TokenFile)
    tokens.source = source
    return tokens


def token_array(tokens: Any, where: str) -> NDArray[np.int64]:
    """Token ids as an array [token] or [row, token].

    Raises:
        RecordingError: it is something else, or an id is below 0.
    """
    array = whole_numbers(tokens, where, None, RecordingError)
    if array.ndim not in (1, 2):
        raise RecordingError(
            f"{where} has {array.ndim} axes; a LongTensor of token ids [token] or [row, token] was "
            "expected"
        )
    if array.size and array.min() < 0:
        raise RecordingError(f"{where} holds token {array.min()}; 0 or more was expected")
    return array
