"""How much of a model's text is in the language that was asked for, and how it reads.

The package is not called `language_metrics`, so that `lsn_eval.language_metrics` is the function
even after this package has been imported.
"""

from lsn_eval.language_scores.identification import LanguageScoreError, load_identifier
from lsn_eval.language_scores.metrics import TextScores, language_metrics, score_text
from lsn_eval.language_scores.stop_words import load_stop_words

__all__ = [
    "LanguageScoreError",
    "TextScores",
    "language_metrics",
    "load_identifier",
    "load_stop_words",
    "score_text",
]
