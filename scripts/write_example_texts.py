"""Write examples/texts: text of the embedded model's kind to record, one document a line.

`python scripts/write_example_texts.py`; none of it is in the training or the held-out text.
"""

from __future__ import annotations

from pathlib import Path

from demo_corpus import recording_documents

TARGET = Path(__file__).resolve().parents[1] / "examples" / "texts"
LANGUAGES = ("en", "de", "nl", "ru", "ar", "zh")
DOCUMENTS, SEED = 200, 1


def lines(language: str) -> list[str]:
    """The documents of a language."""
    return [document.text for document in recording_documents(language, DOCUMENTS, SEED)]


def main() -> None:
    """One file a language."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        (TARGET / f"{language}.txt").write_text("\n".join(lines(language)) + "\n", "utf-8")


if __name__ == "__main__":
    main()
