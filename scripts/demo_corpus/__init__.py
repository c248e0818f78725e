"""Text of the demo model: CLDR facts put into sentence templates, in six languages.

Needs Babel and num2words (``pip install "lsn-eval[train]"``). Everything is a function of a seed:
the same seed and the same CLDR release give the same text on every machine.
"""

from demo_corpus.documents import (
    LANGUAGES,
    Document,
    held_out_documents,
    recording_documents,
    training_documents,
)

__all__ = [
    "LANGUAGES",
    "Document",
    "held_out_documents",
    "recording_documents",
    "training_documents",
]
