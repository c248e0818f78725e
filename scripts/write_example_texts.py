"""Write examples/texts: text of the embedded model's kind to record, one document a line; and
examples/parallel: translations of each other, line by line.

`python scripts/write_example_texts.py`; none of it is in the training or the held-out text.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from demo_corpus import recording_documents
from demo_corpus.documents import pairs_of, write_document

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LANGUAGES = ("en", "de", "nl", "ru", "ar", "zh")
DOCUMENTS, SEED = 200, 1
PARALLEL = 60


def lines(language: str) -> list[str]:
    """The documents of a language."""
    return [document.text for document in recording_documents(language, DOCUMENTS, SEED)]


def parallel_lines(language: str) -> list[str]:
    """The same facts in the same templates, whatever the language."""
    chosen = Random(SEED).sample(pairs_of("recording"), PARALLEL)
    return [
        write_document(Random(f"parallel/{number}"), language, pair)
        for number, pair in enumerate(chosen)
    ]


def main() -> None:
    """One file a language."""
    for folder, written in (("texts", lines), ("parallel", parallel_lines)):
        (EXAMPLES / folder).mkdir(parents=True, exist_ok=True)
        for language in LANGUAGES:
            text = "\n".join(written(language)) + "\n"
            (EXAMPLES / folder / f"{language}.txt").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
