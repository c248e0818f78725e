"""lm-eval's response cache (`--use_cache`), kept apart by what answered.

lm-eval keys a cached response by the request alone. Run again with another mask and the same
cache, and it answers with the first mask's numbers. Here every model, mask and condition has a
table of its own in the cache file, and none shares lm-eval's table, which plain `hf` uses.

Values are JSON: nothing read from a cache file can run code.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

RECORD_KEY = "lsn"
"""Under it a table keeps what the hooks saw; responses have SHA-256 keys."""


def _encode(value: Any) -> sqlite3.Binary:
    return sqlite3.Binary(json.dumps(value, ensure_ascii=False).encode())


def _decode(blob: bytes) -> Any:
    value = json.loads(bytes(blob))
    # lm-eval's loglikelihood responses are (logprob, is_greedy) tuples.
    return tuple(value) if isinstance(value, list) else value


def table_name(identity: Mapping[str, Any]) -> str:
    """A table for everything that decides a response: model, mask, condition, versions."""
    canonical = json.dumps(identity, sort_keys=True, default=str)
    return f"lsn_{hashlib.sha256(canonical.encode()).hexdigest()}"


def use_table(database: Any, name: str) -> None:
    """Point lm-eval's `SqliteDict` at table `name`, so that the harness reads and writes there.

    lm-eval's wrapper and its hook share this one object; there is no other way to reach it.
    """
    database.tablename = name
    database.encode, database.decode = _encode, _decode
    database.conn.execute(f'CREATE TABLE IF NOT EXISTS "{name}" (key TEXT PRIMARY KEY, value BLOB)')
    database.conn.commit()


def weights_identity(pretrained: str | nn.Module) -> list[Any]:
    """What tells one set of weights from another: for a folder its files, for a model its sums.

    A name on the Hub is told apart by name and revision, which are among the model's arguments.
    """
    if isinstance(pretrained, nn.Module):
        parameters = pretrained.state_dict().items()
        return [[name, list(p.shape), p.double().sum().item()] for name, p in parameters]
    folder = Path(pretrained)
    if not folder.is_dir():
        return []
    files = sorted(file for file in folder.iterdir() if file.is_file())
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
