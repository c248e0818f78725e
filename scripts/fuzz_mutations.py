"""Mutations of a file: bytes flipped, cut, repeated, inserted; JSON values replaced by odd ones."""

from __future__ import annotations

import random
import struct

ODD_VALUES = (
    "null", "true", "-1", "0", "1e400", "NaN", "9" * 400, "2147483648", "[]", "{}", '""',
    '"\\ud800"', '"\\u0000"', "[" * 3000 + "]" * 3000, '{"a":' * 500 + "1" + "}" * 500, '"de"',
    "1.5", '"x/y"',
)  # fmt: skip


def mutated(content: bytes, choose: random.Random) -> bytes:
    """One to three mutations of a file's bytes."""
    for _ in range(choose.choice((1, 1, 1, 2, 3))):
        content = choose.choice((_flip, _cut, _insert, _repeat, _replace_value, _replace_value))(
            content, choose
        )
    return content


def _flip(content: bytes, choose: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(choose.randint(1, 4)):
        if changed:
            changed[choose.randrange(len(changed))] = choose.randrange(256)
    return bytes(changed)


def _cut(content: bytes, choose: random.Random) -> bytes:
    start, end = sorted(choose.randint(0, len(content)) for _ in range(2))
    return content[:start] if choose.random() < 0.5 else content[:start] + content[end:]


def _insert(content: bytes, choose: random.Random) -> bytes:
    place = choose.randint(0, len(content))
    piece = choose.choice((b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\n", b"{", b'"', b"\x1b[2J"))
    return content[:place] + piece * choose.choice((1, 1, 50)) + content[place:]


def _repeat(content: bytes, choose: random.Random) -> bytes:
    start = choose.randint(0, len(content))
    piece = content[start : start + choose.randint(1, 200)]
    return content[:start] + piece * choose.choice((2, 20)) + content[start:]


def _replace_value(content: bytes, choose: random.Random) -> bytes:
    """A JSON value somewhere in the file by an odd one; the header of a safetensors file, too."""
    head, text, tail = b"", content, b""
    if len(content) > 8 and content[8:9] == b"{":
        (length,) = struct.unpack("<Q", content[:8])
        head, text, tail = content[:8], content[8 : 8 + length], content[8 + length :]
    ends = [place for place in range(len(text)) if text[place : place + 1] in (b":", b",", b"[")]
    if not ends:
        return _flip(content, choose)
    start = choose.choice(ends) + 1
    end = next((p for p in range(start, len(text)) if text[p : p + 1] in b",]}"), len(text))
    odd = choose.choice(ODD_VALUES)
    quoted = text[max(0, start - 3) : start + 2].count(b"\\") > 0  # JSON within a JSON text
    value = odd.replace("\\", "\\\\").replace('"', '\\"') if quoted else odd
    text = text[:start] + value.encode() + text[end:]
    return (struct.pack("<Q", len(text)) + text + tail) if head else text
