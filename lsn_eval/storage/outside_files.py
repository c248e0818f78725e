"""The one seam through which files of others are read: decoded, bounded, and of the types expected.

Whatever is wrong with a file becomes the caller's own error, which names the place. What comes
through is plain: valid Unicode, JSON no deeper than `DEEPEST` and no integer beyond a float.

    document = read_json(path, MaskError)
    for number, record in json_lines(path, ResultsError): ...
    fields = Fields(document["model"], f"{path}: model", MaskError)
    layers = fields.whole("layers", least=1, most=100_000)
"""

from __future__ import annotations

import builtins
import csv
import io
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from lsn_eval.errors import LsnError
from lsn_eval.visible_text import shortened

MOST_BYTES = 1 << 30
"""Of a file that is read as a whole."""
MOST_BYTES_OF_A_LINE = 1 << 26
"""64 MiB: a logged sample with its prompt and all its answers takes a few."""
DEEPEST = 64
"""Containers within containers; lm-eval's files have about ten."""
_LONGEST_INTEGER = 300
"""Digits; a float ends at 309."""
_BOM = b"\xef\xbb\xbf"
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_bytes(
    path: str | os.PathLike[str], error: type[LsnError], most: int = MOST_BYTES
) -> bytes:
    """All of a file, if it is not larger than `most` bytes."""
    try:
        with open(path, "rb") as file:
            # Not `most` at once: Python takes the memory for as much as it is asked to read.
            size = os.fstat(file.fileno()).st_size
            content = file.read(min(size, most) + 1)
            if size < len(content) <= most:  # a pipe, or a file that grows
                content += file.read(most + 1 - len(content))
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or cause
        raise error(f"{os.fspath(path)} cannot be read ({reason})") from cause
    if len(content) > most:
        raise error(f"{os.fspath(path)} is larger than {most:,} bytes, more than such a file has")
    return content


def read_text(path: str | os.PathLike[str], error: type[LsnError], most: int = MOST_BYTES) -> str:
    """A file as UTF-8, without a byte order mark."""
    return decoded(read_bytes(path, error, most), os.fspath(path), error)


def decoded(content: bytes, where: str, error: type[LsnError]) -> str:
    """Bytes as UTF-8, without a byte order mark."""
    try:
        return content.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as cause:
        raise error(
            f"{where} is not UTF-8 (byte {cause.start}: {cause.reason}); convert it to UTF-8"
        ) from cause


def read_json(path: str | os.PathLike[str], error: type[LsnError], most: int = MOST_BYTES) -> Any:
    """The JSON document of a file."""
    return parse_json(read_text(path, error, most), os.fspath(path), error)


def parse_json(text: str, where: str, error: type[LsnError]) -> Any:
    """A JSON document; `NaN` and infinities are let through, as lm-eval writes them."""
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise error(f"{where}: JSON nested deeper than {DEEPEST} levels") from None
    except ValueError as cause:
        raise error(f"{where} cannot be read as JSON ({cause})") from cause
    if text.count("[") + text.count("{") > DEEPEST:
        _check_depth(value, where, error)
    if ("\\ud" in text or "\\uD" in text) and _ESCAPED_SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise error(f"{where} holds half a character (a lone surrogate) in \\u") from None
    return value


def json_lines(path: str | os.PathLike[str], error: type[LsnError]) -> Iterator[tuple[int, Any]]:
    """The line number and the JSON document of every line that is not blank, one at a time."""
    where = os.fspath(path)
    try:
        with open(path, "rb") as file:
            for number, line in bounded_lines(file, where, error):
                if line.strip():
                    place = f"{where}, line {number}"
                    yield number, parse_json(decoded(line, place, error), place, error)
    except OSError as cause:
        raise error(f"{where} cannot be read ({cause.strerror or cause})") from cause


def csv_rows(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    error: type[LsnError],
    expected: str = "",
    **how: Any,
) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row of a CSV file is, and the row.

    Args:
        columns: those that it and every row of it must have.
        expected: what is said of them where one is missing.
        how: of `csv.reader`: delimiter and quoting.
    """
    reader = csv.DictReader(io.StringIO(read_text(path, error), newline=""), **how)
    try:
        names = reader.fieldnames or ()
        if missing := [column for column in columns if column not in names]:
            there = expected or f"its first line names {', '.join(names) or 'none'}"
            raise error(f"{path} has no column {', '.join(missing)}; {there}")
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            if any(row[column] is None for column in columns):
                raise error(
                    f"{place}: fewer fields than its first line names; the file is cut off or "
                    "damaged, get it again"
                )
            yield place, row
    except csv.Error as cause:
        raise error(f"{path}, line {reader.line_num} is damaged ({cause})") from cause


def bounded_lines(
    file: BinaryIO, where: str, error: type[LsnError], most: int = MOST_BYTES_OF_A_LINE
) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers from 1, ends kept; one that is longer than `most` is an error
    before it is in memory."""
    number = 0
    while line := file.readline(most + 1):
        number += 1
        if len(line) > most:
            raise error(f"{where}, line {number} is longer than {most:,} bytes")
        yield number, line


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


_DECODER = json.JSONDecoder(parse_int=_integer)


def _check_depth(value: Any, where: str, error: type[LsnError]) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise error(f"{where}: JSON nested deeper than {DEEPEST} levels")


def _all_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


class Fields:
    """A JSON object whose fields are of the types that are asked for.

    Every accessor raises the error that it was made with, naming the place, what stands there and
    what was expected. With `default` a field may be missing or null.
    """

    def __init__(self, value: Any, where: str, error: type[LsnError]) -> None:
        self.where = where
        self.error = error
        if not isinstance(value, Mapping):
            self._refuse(value, "an object", where)
        self.value: Mapping[str, Any] = value

    def __contains__(self, name: str) -> bool:
        return name in self.value

    def __iter__(self) -> Iterator[str]:
        return iter(self.value)

    def text(self, name: str, default: Any = ...) -> Any:
        """A text."""
        return self._of(name, str, "a text", default)

    def flag(self, name: str, default: Any = ...) -> Any:
        """True or false."""
        return self._of(name, bool, "true or false", default)

    def whole(self, name: str, default: Any = ..., *, least: int = 0, most: int = 1 << 53) -> Any:
        """A whole number between `least` and `most`."""
        wanted = f"a whole number from {least} to {most}"
        return self._of(name, int, wanted, default, lambda value: least <= value <= most)

    def number(self, name: str, default: Any = ...) -> Any:
        """A finite number, as a float."""
        value = self._of(name, int | float, "a finite number", default, math.isfinite)
        return value if value is default else float(value)

    def texts(self, name: str, default: Any = ...) -> Any:
        """A list of texts."""
        return self._of(name, list, "a list of texts", default, _all_texts)

    def wholes(self, name: str, *, most: int = 1 << 53) -> Any:
        """A list of whole numbers from 0 to `most`."""
        value = self.list(name)
        if not all(type(entry) is int and 0 <= entry <= most for entry in value):
            self._refuse(value, f"a list of whole numbers from 0 to {most}", name)
        return value

    def list(self, name: str, default: Any = ...) -> Any:
        """A list of anything."""
        return self._of(name, list, "a list", default)

    def mapping(self, name: str, default: Any = ...) -> Any:
        """An object of anything."""
        return self._of(name, dict, "an object", default)

    def fields(self, name: str, default: Any = ...) -> Fields:
        """An object whose own fields are asked for."""
        return Fields(self.mapping(name, default), f"{self.where}: {name}", self.error)

    def each(self, name: str) -> builtins.list[Fields]:
        """Every object in an object; none where it is missing."""
        inside = self.mapping(name, {}).values()
        return [Fields(entry, f"{self.where}: {name}", self.error) for entry in inside]

    def objects(self, name: str) -> Sequence[Fields]:
        """A list of objects whose own fields are asked for; they are numbered from 1."""
        return [
            Fields(entry, f"{self.where}: {name} {number}", self.error)
            for number, entry in enumerate(self.list(name), 1)
        ]

    def only(self, needed: Iterable[str], optional: Iterable[str] = ()) -> None:
        """Raise unless it has the needed fields and no others than the optional ones."""
        needed = set(needed)
        missing = needed - set(self.value)
        unknown = set(self.value) - needed - set(optional)
        if missing:
            raise self.error(f"{self.where} lacks {', '.join(sorted(missing))}")
        if unknown:
            names = ", ".join(sorted(map(str, unknown)))
            raise self.error(f"{self.where} has {names}, which is unknown here")

    def _of(
        self,
        name: str,
        kind: Any,
        wanted: str,
        default: Any,
        right: Callable[[Any], bool] = lambda value: True,
    ) -> Any:
        value = self.value.get(name)
        if value is None:
            if default is not ...:
                return default
            if name not in self.value:
                raise self.error(f"{self.where} lacks {name}; {wanted} was expected")
        # True and false are whole numbers to Python.
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if not fits or not right(value):
            self._refuse(value, wanted, name)
        return value

    def _refuse(self, value: Any, wanted: str, name: str) -> None:
        given = shortened(json.dumps(value, ensure_ascii=False, default=str), 80)
        place = self.where if name == self.where else f"{self.where}: {name}"
        raise self.error(f"{place} is {given}; {wanted} was expected")
