"""Stop words: a named list, and how many of a text's tokens are on it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lsn_eval.language_scores.identification import LanguageScoreError
from lsn_eval.storage.outside_files import read_text


@dataclass(frozen=True)
class StopWords:
    """A list of words and the name it has in results."""

    name: str
    words: frozenset[str]

    def count(self, text: str) -> tuple[int, int]:
        """Tokens of a text that are stop words, and its tokens: split at white space, case as is.

        That is how it was published for the answers to the multilingual Vicuna questions: a word
        with a capital or a comma is none.
        """
        tokens = text.split()
        return sum(token in self.words for token in tokens), len(tokens)


def load_stop_words(language: str, path: str | Path | None = None) -> StopWords | None:
    """The list of a language in the package stopwordsiso, or None if it has none for it, or if the
    language does not part words by white space.

    Args:
        language: ISO 639-1 code.
        path: a file with one word a line in place of it (for published numbers, NLTK's
            `corpora/stopwords/german`).

    Raises:
        LanguageScoreError: the file does not exist or holds no word.
    """
    return _load(language, None if path is None else str(path))


WITHOUT_SPACES = frozenset({"bo", "dz", "ja", "km", "lo", "my", "th", "yue", "zh"})
"""Written without white space between words, so that splitting there finds no stop words: their
ratio would be 0 whatever the text is. A file given by path is used all the same."""


@functools.lru_cache(maxsize=32)
def _load(language: str, path: str | None) -> StopWords | None:
    if path is None:
        if language in WITHOUT_SPACES:
            return None
        import stopwordsiso

        # Norwegian has one list.
        words = frozenset(stopwordsiso.stopwords("no" if language in ("nb", "nn") else language))
        return StopWords(f"stopwords-iso {stopwordsiso.__version__}", words) if words else None
    words = words_in(path)
    return StopWords(f"{Path(path).name} ({len(words)} words)", words)


def words_in(path: str | Path, counts: Callable[[str], bool] = bool) -> frozenset[str]:
    """The words of a file, one a line, that count.

    Raises:
        LanguageScoreError: it cannot be read, or has none.
    """
    lines = read_text(Path(path).expanduser(), LanguageScoreError).splitlines()
    words = frozenset(filter(counts, map(str.strip, lines)))
    if not words:
        raise LanguageScoreError(f"{path} has no words that count; one word a line was expected")
    return words
