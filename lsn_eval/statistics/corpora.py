"""What was counted: entries about corpora, by which no token is added up twice.

An entry holds what recording knows of a corpus: `source`, `documents`, `rows`, `tokens`,
`texts_sha256` of all rows of which a shard took its part, `first_row_sha256`, `document_sketch`,
`batch_size`, `held_out` and `shard` as [number, of].
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lsn_eval.errors import StatisticsError
from lsn_eval.statistics.content import StatisticsContent
from lsn_eval.statistics.document_sketch import SIZE, shared_documents
from lsn_eval.storage.outside_files import Fields

SHARED = 0.25
"""Two corpora of a language count tokens twice if this share of the documents of one is in the
other; each has a few that stand in many places."""
SAME = 0.9
"""Two languages have the same texts from here on: texts that they have in common are no mistake."""

Entry = Mapping[str, Any]


def check_corpora(document: Fields) -> None:
    """Raise the fields' own error unless the provenance of a statistics file can be relied on."""
    provenance = document.fields("provenance")
    provenance.mapping("settings", None)
    corpora = Fields(
        provenance.mapping("corpora", {}), f"{provenance.where}: corpora", provenance.error
    )
    for language in corpora:
        for number, value in enumerate(corpora.list(language)):
            entry = Fields(value, f"{corpora.where}: {language}: {number}", corpora.error)
            for name in ("source", "texts_sha256", "first_row_sha256"):
                entry.text(name, None)
            for name in ("documents", "rows", "tokens", "tokens_asked", "batch_size"):
                entry.whole(name, None)
            entry.flag("held_out", None)
            shard = entry.list("shard", [1, 1])
            if [type(n) for n in shard] != [int, int] or not 1 <= shard[0] <= shard[1]:
                raise entry.error(f"{entry.where}: shard is {shard}; [number, of] was expected")
            sketch = entry.list("document_sketch", [])
            if len(sketch) > SIZE or any(type(number) is not int for number in sketch):
                raise entry.error(
                    f"{entry.where}: document_sketch: at most {SIZE} whole numbers were expected"
                )


def counted_once(parts: Sequence[StatisticsContent]) -> dict[str, list[dict[str, Any]]]:
    """The entries of all parts by language, sorted; all the shards of a corpus become one.

    Raises:
        StatisticsError: the same tokens are in two of them.
    """
    corpora: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        for language, entries in (part.provenance.get("corpora") or {}).items():
            for entry in entries:
                for other_language, others in corpora.items():
                    for other in others:
                        check_pair(language, entry, other_language, other)
                corpora.setdefault(language, []).append(dict(entry))
    _check_counts(parts)
    return {language: _joined(entries) for language, entries in corpora.items()}


def _check_counts(parts: Sequence[StatisticsContent]) -> None:
    """No two parts hold equal numbers: nothing else tells imported counts apart."""
    sizes = Counter(tokens for part in parts for tokens in part.tokens.values())
    seen: dict[bytes, tuple[StatisticsContent, str]] = {}
    for part, language in [(each, name) for each in parts for name in each.languages]:
        tokens = part.tokens[language]
        digest = _digest(part, language) if tokens and sizes[tokens] > 1 else None
        if digest is None:
            continue
        other, other_language = seen.setdefault(digest, (part, language))
        # Shards of a text that repeats itself may be alike, and are known to be others.
        if other is not part and not (
            _recorded(part, language) and _recorded(other, other_language)
        ):
            raise StatisticsError(
                f"{other_language} and {language} of two files hold the same numbers of the same "
                f"{tokens:,} tokens, which would count twice; add each file once, under one "
                "language"
            )


def _recorded(part: StatisticsContent, language: str) -> bool:
    """Whether the entries say of which tokens the numbers are."""
    entries = (part.provenance.get("corpora") or {}).get(language) or []
    return bool(entries) and all(entry.get("texts_sha256") for entry in entries)


def _digest(part: StatisticsContent, language: str) -> bytes | None:
    """A digest of one language's numbers; None where all are 0."""
    row = part.languages.index(language)
    rows = [part.arrays[at][name][row] for at in part.hookpoints for name in part.names(at)]
    sha = hashlib.sha256()
    for numbers in rows:
        sha.update(numbers.tobytes())
    return sha.digest() if any(numbers.any() for numbers in rows) else None


def _shard(entry: Entry) -> tuple[int, int]:
    number, of = entry.get("shard") or (1, 1)
    return number, of


def check_pair(language: str, entry: Entry, other_language: str, other: Entry) -> None:
    """Raise StatisticsError if both are of the same tokens, or two languages of the same texts."""

    def same(name: str) -> bool:
        return entry.get(name) is not None and entry.get(name) == other.get(name)

    alike = same("texts_sha256")
    sketches = [each.get("document_sketch") or [] for each in (entry, other)]
    most = SHARED if language == other_language else SAME
    if not (alike or same("first_row_sha256") or shared_documents(*sketches) >= most):
        return
    if language != other_language:
        raise StatisticsError(
            f"{language} and {other_language} were recorded from the same texts "
            f"({_named(entry)} and {_named(other)}); each language needs texts of its own"
        )
    if not alike:
        raise StatisticsError(
            f"{language}: {_named(entry)} and {_named(other)} are cut from the same texts and "
            "share tokens, which would count twice; record the texts once, or in shards with one "
            "--tokens"
        )
    if entry.get("batch_size") != other.get("batch_size"):
        raise StatisticsError(
            f"{language}: the same texts ({_named(entry)}) were cut into batches of "
            f"{other.get('batch_size')} and of {entry.get('batch_size')}, so that shards "
            "share tokens; record every shard with one batch size"
        )
    (number, of), (other_number, other_of) = _shard(entry), _shard(other)
    if (number - other_number) % math.gcd(of, other_of) == 0:
        raise StatisticsError(
            f"{language}: shards {number}/{of} and {other_number}/{other_of} of the same "
            f"texts ({_named(entry)}) share tokens, which would count twice; add each "
            "shard once, all cut alike"
        )


def _named(entry: Entry) -> str:
    source, texts = entry.get("source", "not stated"), entry.get("texts_sha256") or "not stated"
    return f"{source}, sha256 {texts[:12]}"


def _joined(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by_corpus: dict[Any, list[dict[str, Any]]] = {}
    for number, entry in enumerate(entries):
        texts = entry.get("texts_sha256")
        by_corpus.setdefault((texts, _shard(entry)[1]) if texts else number, []).append(entry)
    joined = []
    for shards in by_corpus.values():
        count = _shard(shards[0])[1]
        if 1 < count == len(shards):
            whole = {**sorted(shards, key=_shard)[0], "shard": [1, 1]}
            for name in ("rows", "tokens"):
                whole[name] = sum(shard.get(name) or 0 for shard in shards)
            joined.append(whole)
        else:
            joined += shards
    return sorted(joined, key=lambda entry: (entry.get("texts_sha256") or "", _shard(entry)))
