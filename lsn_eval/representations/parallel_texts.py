"""Parallel texts: line n of every language is the same sentence."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lsn_eval.errors import LsnError
from lsn_eval.masks.names import check_language_names
from lsn_eval.representations.similarity import ALL
from lsn_eval.storage.outside_files import bounded_lines, decoded

FEWEST = 2
"""Sentences, so that there are some which are no translations of each other; and languages."""


def parallel_sentences(
    texts: Mapping[str, str | os.PathLike[str] | Iterable[str]], limit: int | None = None
) -> dict[str, list[str]]:
    """Sentences by language, as many of each.

    Args:
        texts: files of one sentence a line, such as FLORES-200's `deu_Latn.devtest`; or sentences.
        limit: the first so many.

    Raises:
        LsnError: a blank line, which shifts nothing here but may hide a sentence that is missing;
            another number of sentences than in the first language; fewer than two of either.
    """
    check_language_names(texts, LsnError)
    if ALL in texts:
        raise LsnError(f"{ALL!r} stands for all pairs of languages; give a language another name")
    found = {language: _read(language, given, limit) for language, given in texts.items()}
    counts = {language: len(sentences) for language, sentences in found.items()}
    if len(set(counts.values())) > 1:
        there = ", ".join(f"{language} {count}" for language, count in counts.items())
        raise LsnError(f"parallel texts have as many sentences each, these have: {there}")
    if len(found) < FEWEST or min(counts.values()) < FEWEST:
        raise LsnError(
            f"{len(found)} languages of {min(counts.values(), default=0)} sentences were given; "
            f"at least {FEWEST} languages of {FEWEST} were expected"
        )
    return found


def sha256(sentences: Iterable[str]) -> str:
    """What tells a list of sentences from another."""
    return hashlib.sha256("\n".join(sentences).encode()).hexdigest()


def _read(
    language: str, given: str | os.PathLike[str] | Iterable[str], limit: int | None
) -> list[str]:
    where = f"the texts of {language}"
    sentences: list[str] = []
    if isinstance(given, str | os.PathLike):
        where = os.fspath(given)
        if not Path(where).is_file():
            raise LsnError(f"{where}: a file with a sentence in every line was expected")
        with open(where, "rb") as file:
            for number, line in bounded_lines(file, where, LsnError):
                if limit is not None and number > limit:
                    break
                sentences.append(decoded(line, f"{where}, line {number}", LsnError).strip())
    else:
        sentences = [sentence.strip() for sentence in given][:limit]
    if "" in sentences:
        raise LsnError(
            f"{where}, line {sentences.index('') + 1} is blank: is a sentence missing? Parallel "
            "texts have the same sentence in the same line of every language"
        )
    return sentences
