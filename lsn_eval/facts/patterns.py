"""What a partial match has beside the object: a space, a preposition, a noun, an adjective.

Zhao et al. (2024) name these patterns; their public code does not decide them. Here a fact that is
matched partially and not exactly is judged by the words that its shortest such filling adds:

- `whitespace`: none; tokens that are a mere space were added, or the object's are in another order
  or twice.
- `preposition`, `related noun`, `adjective`: all added words have such a tag (ADP or DET; NOUN,
  PROPN; ADJ) in a lexicon that the user gives. Without one, or for a word that is not in it:
  function words of the stop word list are prepositions, words of a label of the language's own
  facts are nouns, and of adjectives nothing is known.
- `mixed`: words of several patterns. `other`: a word of none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsn_eval.facts.matches import added_tokens
from lsn_eval.facts.predictions import FactsError, Prediction
from lsn_eval.language_scores.stop_words import load_stop_words

PATTERNS = ("whitespace", "preposition", "related noun", "adjective", "mixed", "other")
_BY_TAG = {
    "ADP": "preposition", "DET": "preposition", "PART": "preposition",
    "NOUN": "related noun", "PROPN": "related noun", "ADJ": "adjective",
}  # fmt: skip
_MARKS = ("▁", "Ġ")
_GOES_ON = "##"


def patterns(
    facts: Sequence[Prediction], language: str, lexicon: Mapping[str, str]
) -> dict[str, int]:
    """How many facts of a language are matched partially and not exactly, by pattern.

    Args:
        lexicon: tags of Universal Dependencies by word.

    Raises:
        FactsError: the model filled no masks.
    """
    if not all(fact.fillings for fact in facts):
        raise FactsError("patterns are of filled masks: results of lsn_mlm were expected")
    listed = load_stop_words(language)
    stops = listed.words if listed else frozenset()
    labels = {
        word for fact in facts for of in (fact.subject, fact.object) for word in of.lower().split()
    }
    tags = {word.lower(): tag.upper() for word, tag in lexicon.items()}

    def of_word(word: str) -> str:
        if word in tags:
            return _BY_TAG.get(tags[word], "other")
        if word in stops:
            return "preposition"
        return "related noun" if word in labels else "other"

    every = (token for fact in facts for token in (*fact.subject_tokens, *fact.object_tokens))
    marked = any(token.startswith(_MARKS) for token in every)
    found = dict.fromkeys(PATTERNS, 0)
    for fact in facts:
        added = added_tokens(fact.object_tokens, fact.fillings)
        if added is None or fact.matches["exact_match"]:
            continue
        kinds = {of_word(word) for word in words(added, marked)}
        name = "whitespace" if not kinds else "mixed" if len(kinds) > 1 else min(kinds)
        found["other" if "other" in kinds else name] += 1
    return found


def words(tokens: Sequence[str], marked: bool) -> list[str]:
    """Tokens put together, in lower case; those that are a mere space, and punctuation, are none.

    Args:
        marked: the tokenizer marks where a word begins (SentencePiece, byte-level BPE), not where
            it goes on (WordPiece).
    """
    text = ""
    for token in tokens:
        if marked:
            begins, piece = token.startswith(_MARKS), token.lstrip("".join(_MARKS))
        else:
            begins, piece = not token.startswith(_GOES_ON), token.removeprefix(_GOES_ON)
        text += f" {piece}" if begins else piece
    return [word for word in text.lower().split() if any(map(str.isalnum, word))]
