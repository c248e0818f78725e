"""Facts that a model predicts though a corpus does not have them, and what gave them away.

Zhao et al. (2024, section 5): a fact is in a language's corpus if one text names both its subject
and its object. Of those predicted without it, some share tokens with their subject (`Nokia X`,
`Nokia`), some follow from how subjects of a relation are named (a French name, French), and of the
others nothing so simple is known.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from lsn_eval.facts.blanks import without_spaces
from lsn_eval.facts.predictions import FactsError, Prediction
from lsn_eval.language_scores.stop_words import WITHOUT_SPACES

NAMING_CUES = frozenset({"P17", "P27", "P103", "P140", "P1412"})
"""Relations whose object a name suggests: country, citizenship, native language, religion, language
spoken (the authors' `display_mathes_and_wiki.ipynb`)."""
KINDS = ("shared tokens", "naming cue", "other")
_START = 4
"""Characters by which subjects are looked up at every place of a text."""


def absent(facts: Sequence[Prediction], texts: Iterable[str], language: str) -> list[Prediction]:
    """The predicted facts whose subject and object no text names together.

    Names are looked for as whole words, case and the composition of letters aside; in a language
    that is written without spaces anywhere. The authors look for the sequences of a tokenizer's
    tokens.

    Raises:
        FactsError: there is no text.
    """
    anywhere = language in WITHOUT_SPACES
    missing = dict.fromkeys(fact for fact in facts if fact.known)
    by_start: dict[str, list[Prediction]] = defaultdict(list)
    for fact in missing:
        by_start[_folded(fact.subject)[:_START]].append(fact)
    lengths = sorted({len(start) for start in by_start})
    text = None
    for text in texts:
        folded = _folded(text)
        places = [0, *(word.end() for word in re.finditer(r"\W", folded))]
        starts = {
            folded[place : place + length]
            for place in (range(len(folded)) if anywhere else places)
            for length in lengths
        }
        for fact in [fact for start in starts & by_start.keys() for fact in by_start[start]]:
            if fact in missing and all(
                _names(folded, _folded(name), anywhere) for name in (fact.subject, fact.object)
            ):
                del missing[fact]
    if text is None:
        raise FactsError(f"there is no text of {language}, so that every fact would be absent")
    return list(missing)


def kind(fact: Prediction) -> str:
    """One of `KINDS`, the first that fits.

    `shared tokens`: the object is in the subject, case aside, or both have a token that is more
    than a space. The authors also bring Chinese into simplified script first; this does not.
    """
    if fact.object.lower() in fact.subject.lower() or (
        {*without_spaces(fact.subject_tokens)} & {*without_spaces(fact.object_tokens)}
    ):
        return KINDS[0]
    return KINDS[1] if fact.relation in NAMING_CUES else KINDS[2]


def _names(text: str, name: str, anywhere: bool) -> bool:
    if anywhere or name not in text:
        return name in text
    return any(
        not _of_word(text[found.start() - 1 : found.start()])
        and not _of_word(text[found.start() + len(name) :][:1])
        for found in re.finditer(f"(?={re.escape(name)})", text)
    )


def _of_word(character: str) -> bool:
    """Whether it is a letter, a digit or a mark on one, such as a vowel of Hindi."""
    mark = unicodedata.category(character or " ").startswith("M")
    return mark or character.isalnum() or character == "_"


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())
