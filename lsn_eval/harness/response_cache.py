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

from lsn_eval.errors import LsnError
from lsn_eval.models.weights import files_identity
from lsn_eval.storage.outside_files import decoded, parse_json

RECORD_KEY = "lsn"
"""Under it a table keeps what the hooks saw; responses have SHA-256 keys."""

_NO_SOURCE = frozenset({"mask", "offload_folder"})
"""Arguments that may name a folder or file which is none of the model's."""


def _encode(value: Any) -> sqlite3.Binary:
    return sqlite3.Binary(json.dumps(value, ensure_ascii=False).encode())


def _decode(blob: bytes) -> Any:
    where = "a response in the cache"
    value = parse_json(decoded(bytes(blob), where, LsnError), where, LsnError)
    # lm-eval's loglikelihood responses are (logprob, is_greedy) tuples.
    return tuple(value) if isinstance(value, list) else value


def table_name(identity: Mapping[str, Any]) -> str:
    """A table for everything that decides a response: model, mask, condition, versions."""
    return f"lsn_{digest(identity)}"


def digest(document: Any) -> str:
    """SHA-256 of a document of JSON types; anything else in it counts as its text."""
    canonical = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def use_table(database: Any, name: str) -> None:
    """Point lm-eval's `SqliteDict` at table `name`, so that the harness reads and writes there.

    lm-eval's wrapper and its hook share this one object; there is no other way to reach it.
    """
    database.tablename = name
    database.encode, database.decode = _encode, _decode
    database.conn.execute(f'CREATE TABLE IF NOT EXISTS "{name}" (key TEXT PRIMARY KEY, value BLOB)')
    database.conn.commit()


def model_files(arguments: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The files behind a model's arguments: path, bytes and time of change of each, by argument.

    Any argument may name a folder or a file: `pretrained` (with `subfolder`), `tokenizer`, `peft`,
    `delta`, `gguf_file`, ... A name on the Hub is told apart by itself and `revision`.
    """
    identities = {}
    for name, value in arguments.items():
        if name in _NO_SOURCE or not isinstance(value, str):
            continue
        path = Path(value)
        if path.is_dir():
            subfolder = arguments.get("subfolder") if name == "pretrained" else None
            identities[name] = files_identity(path, str(subfolder) if subfolder else None)
        elif path.is_file():
            identities[name] = [[path.name, path.stat().st_size, path.stat().st_mtime_ns]]
    return identities


def tokenizer_digest(tokenizer: Any) -> str:
    """What tells one loaded tokenizer from another."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = tokenizer.get_vocab() if backend is None else json.loads(backend.to_str())
    if backend is not None:  # what the last call left there
        vocabulary |= {"padding": None, "truncation": None}
    template = getattr(tokenizer, "chat_template", None)
    return digest([vocabulary, tokenizer.special_tokens_map, template])
