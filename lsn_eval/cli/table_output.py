"""Tables of commands, as text, CSV or JSON: on the screen, or in a file that appears whole."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsn_eval.errors import LsnError

if TYPE_CHECKING:
    from lsn_eval.tables import Table


def put(parts: Iterable[str], out: Path | None) -> None:
    """Print, or write; a name in it may hold bytes that are none of UTF-8."""
    from lsn_eval.storage.whole_files import whole_file

    if out is None:
        sys.stdout.writelines(parts)
        return
    with whole_file(out, LsnError) as file:
        file.writelines(part.encode(errors="replace") for part in parts)


def put_records(
    name: str,
    out: Path | None,
    document: Any,
    rows: Iterable[Mapping[str, Any]],
    table: Callable[[], Table],
    *,
    signatures: bool = False,
) -> None:
    """What a command found, in the format of this name.

    Args:
        document: of JSON.
        rows: of CSV.
        table: makes that of the other formats.
        signatures: list every one below it, instead of what they share.
    """
    from lsn_eval.tables.formats import render
    from lsn_eval.tables.tidy_files import csv_lines
    from lsn_eval.wording.numbers import finite
    from lsn_eval.wording.text_tables import screen_width

    if name == "json":
        parts = iter([json.dumps(finite(document), indent=2, ensure_ascii=False) + "\n"])
    elif name == "csv":
        parts = csv_lines(rows)
    else:
        width = screen_width() if out is None else None
        parts = iter([render([table()], name, signatures=signatures, width=width)])
    put(parts, out)
    if out is not None:
        print(f"written to {out}")
