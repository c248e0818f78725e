"""lm-eval's response cache (`--use_cache`), kept apart by what answered.

lm-eval keys a cached response by the request alone. Run again with another mask and the same
cache, and it answers with the first mask's numbers. Here every model, mask and condition has a
table of its own in the cache file, and none shares lm-eval's table, which plain `hf` uses.

Values are JSON: nothing read from a cache file can run code.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.harness.identity import digest
from lsn_eval.storage.outside_files import decoded, parse_json

RECORD_KEY = "lsn"
"""Under it a table keeps what the hooks saw; responses have SHA-256 keys."""


def _encode(value: Any) -> sqlite3.Binary:
    return sqlite3.Binary(json.dumps(value, ensure_ascii=False).encode())


def _decode(blob: bytes) -> Any:
    where = "a response in the cache"
    value = parse_json(decoded(bytes(blob), where, LsnError), where, LsnError)
    # lm-eval's loglikelihood responses are (logprob, is_greedy) tuples.
    return tuple(value) if isinstance(value, list) else value


def use_table(database: Any, identity: Mapping[str, Any]) -> None:
    """Point lm-eval's `SqliteDict` at the table of everything that decides a response (model, mask,
    condition, versions), so that the harness reads and writes there.

    lm-eval's wrapper and its hook share this one object; there is no other way to reach it.
    """
    database.tablename = name = f"lsn_{digest(identity)}"
    database.encode, database.decode = _encode, _decode
    database.conn.execute(f'CREATE TABLE IF NOT EXISTS "{name}" (key TEXT PRIMARY KEY, value BLOB)')
    database.conn.commit()
