"""Task data that lies on this machine, in the official releases' own files.

    lm_eval --metadata '{"data_root": "DIR"}' ...      or      LSN_EVAL_DATA=DIR lm_eval ...

Without either the Hub is used. lm-eval writes metadata into results files, so a secret in it is
refused before it gets there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.storage.masked_secrets import NOT_SECRET, SECRET_NAME, SECRET_STARTS
from lsn_eval.storage.outside_files import Fields, json_lines

DATA_ROOT = "data_root"
ENVIRONMENT = "LSN_EVAL_DATA"


class LocalDataError(LsnError):
    """A file that is not there or not what it should be, or metadata that must not be written."""


def refuse_secrets(metadata: Mapping[str, Any]) -> None:
    """Raise LocalDataError for metadata that looks like a key or a token; never print its value."""
    for name, value in metadata.items():
        named = name not in NOT_SECRET and SECRET_NAME.search(name.lower())
        looks = isinstance(value, str) and value.startswith(SECRET_STARTS)
        if (named and isinstance(value, str)) or looks:
            raise LocalDataError(
                f"metadata {name!r} looks like a secret, and metadata is written into results "
                "files; give keys and tokens by their environment variables (OPENAI_API_KEY, "
                "HF_TOKEN)"
            )


def data_root(metadata: Mapping[str, Any]) -> Path | None:
    """The folder of local data: `data_root` in the metadata, else `LSN_EVAL_DATA`, else None."""
    given = metadata.get(DATA_ROOT) or os.environ.get(ENVIRONMENT)
    if not given:
        return None
    root = Path(str(given)).expanduser()
    if not root.is_dir():
        raise LocalDataError(f"the data folder {root} does not exist ({DATA_ROOT}, {ENVIRONMENT})")
    return root


def local_file(root: Path, candidates: Sequence[str], where_to_get: str) -> Path:
    """The first of `candidates` (paths below `root`) that exists.

    Raises:
        LocalDataError: none does; the message lists what was looked for and where to get it.
    """
    for candidate in candidates:
        if (root / candidate).is_file():
            return root / candidate
    looked = " or ".join(str(root / candidate) for candidate in candidates)
    raise LocalDataError(f"{looked} does not exist; {where_to_get}")


def json_rows(path: Path) -> list[Fields]:
    """Rows of a JSON lines file that has the Hub's column names.

    Raises:
        LocalDataError: a line is no JSON object, or there is none; so does asking a row for a
            column that it lacks or that is of another type.
    """
    rows = [
        Fields(row, f"{path}, line {number}", LocalDataError)
        for number, row in json_lines(path, LocalDataError)
    ]
    if not rows:
        raise LocalDataError(f"{path} holds no rows")
    return rows
