"""Writes an invented inference task in XNLI's form, to see a recipe run on the embedded model.

    invented_xnli.py FOLDER      then LSN_EVAL_DATA=FOLDER

A premise is a sentence of the embedded model's texts. What follows from it is the same sentence,
what is neutral is another sentence of the same text, and what contradicts it is a sentence of
another text said backwards, word by word. All of it can be told without knowing a word.
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

TEXTS = Path(__file__).resolve().parents[3] / "examples" / "texts"
TRAINING, LANGUAGES = 240, ("en", "de", "ru", "ar", "zh")


def examples(language: str) -> list[dict[str, object]]:
    """One a text and class; those of a text stand together, so that no text is in two splits."""
    lines = (TEXTS / f"{language}.txt").read_text("utf-8").splitlines()
    texts = [of for line in lines if len(of := re.split(r"(?<=[.。؟])\s*", line.strip())[:-1]) > 1]
    draw = random.Random(0)
    rows = []
    for number, text in enumerate(texts):
        premise, other = draw.sample(text, 2)
        far = draw.choice(texts[(number + 1) % len(texts)])
        backwards = far[::-1] if language == "zh" else " ".join(reversed(far.split()))
        for label, hypothesis in enumerate((premise, other, backwards)):
            rows.append({"premise": premise, "hypothesis": hypothesis, "label": label})
    return rows


def main() -> None:
    folder = Path(sys.argv[1]) / "xnli"
    folder.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        rows = [json.dumps(row, ensure_ascii=False) for row in examples(language)]
        for split, part in (("train", rows[:TRAINING]), ("validation", rows[TRAINING:])):
            path = folder / f"{language}.{split}.jsonl"
            path.write_text("\n".join(part) + "\n", "utf-8")


if __name__ == "__main__":
    main()
