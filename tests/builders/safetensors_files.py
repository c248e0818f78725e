"""Safetensors files of ours, changed after they were written."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
    """Write the file again after `change(header, document)`; what it returns, if it is a text,
    takes the document's place."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    document = json.loads(header["__metadata__"]["lsn_eval"])
    text = change(header, document)
    if "__metadata__" in header:
        replaced = text if isinstance(text, str) else json.dumps(document)
        header["__metadata__"]["lsn_eval"] = replaced
    written = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(written)) + written + content[8 + length :])


def put(*path: str | int, value: Any) -> Callable[[Any, Any], None]:
    """A change that puts `value` at a place of the document."""

    def change(header: Any, document: Any) -> None:
        inner = document
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value

    return change


NESTED = "[" * 100_000
ATTACKS = [
    (lambda header, document: header.pop("__metadata__"), "its metadata lacks 'lsn_eval'"),
    (lambda header, document: "{", "cannot be read as JSON"),
    (lambda header, document: "[]", r"is \[\]; an object was expected"),
    (lambda header, document: NESTED, "nested deeper"),
    (lambda header, document: '{"format": "\\ud800"}', "half a character"),
    (put("format_version", value=3), "format version 3 was given and 2 is read"),
    (put("format_version", value=True), "format version True was given and 2 is read"),
    (put("format", value="something"), "was expected, not 'something'"),
    (put("format", value=["x"]), r"was expected, not \['x'\]"),
    (put("model", value=3), "model is 3; an object was expected"),
    (put("model", "layers", value=2147483648), "layers is 2147483648; a whole number from 1 to"),
    (put("model", "layers", value=-1), "layers is -1"),
    (put("model", "layers", value=1.5), "layers is 1.5"),
    (put("model", "layers", value=10**400), "401 digits"),
    (put("model", "layer_names", value=["0"]), "names 1"),
    (put("model", "layer_names", value=[["0"]]), "a list of texts was expected"),
    (put("model", "widths", "mlp.act", value=2**40), "mlp.act is 1099511627776; a whole number"),
    (put("model", "widths", "mlp.act", value="5"), 'mlp.act is "5"'),
    (put("model", "name", value=7), "name is 7; a text was expected"),
    (put("languages", value="de"), 'languages is "de"; a list of texts'),
    (put("languages", value=[["de"]]), "a list of texts was expected"),
    (put("languages", value=["de", "de"]), "twice|each once|sample of fr"),
    (put("provenance", value=[]), "provenance is"),
    (put("digest", value=1), "digest is 1; a text was expected"),
    (put("digest", value="0" * 64), "the file was changed after it was written"),
]
"""Changes to a mask's or statistics' document (its first language is de, it has mlp.act), and a
pattern of the error's message."""
