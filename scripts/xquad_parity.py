"""Hold our SQuAD scores against those that lm-eval's own XQuAD takes from transformers.

    python scripts/xquad_parity.py FOLDER      (of the release: xquad.de.json, ...)

transformers has had them until version 4, so this needs an environment of its own:

    python -m venv parity
    parity/bin/pip install 'transformers<5' torch lm-eval lsn-eval
    parity/bin/python scripts/xquad_parity.py xquad

Every question's answer is compared with itself, with another question's, and with seeded
corruptions of it. A single difference, in the last bit too, is exit status 1.
"""

from __future__ import annotations

import argparse
import random
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsn_eval.lm_tasks.squad_metrics import exact_match, f1
from lsn_eval.lm_tasks.xquad import squad_rows

CORRUPTIONS = 20
"""Corrupted answers a question."""


def corrupted(answer: str, other: str, context: str, draw: random.Random) -> str:
    """An answer as a model might give it: with articles, punctuation, case and space of its own."""
    words = answer.split()
    start = draw.randrange(max(1, len(context)))
    choices = [
        lambda: draw.choice(["the ", "The ", "A ", "an\u00a0"]) + answer,
        lambda: answer + draw.choice([".", " .", "!", "。", "\u200b", "\n", "…", "’s", " the"]),
        lambda: answer.upper(),
        lambda: answer.lower(),
        lambda: answer.swapcase(),
        lambda: " ".join(draw.sample(words, len(words))),
        lambda: " ".join(words[: draw.randrange(len(words) + 1)]),
        lambda: answer + " " + other,
        lambda: answer[draw.randrange(len(answer) + 1) :],
        lambda: "".join(c for c in answer if draw.random() > 0.2),
        lambda: draw.choice(string.punctuation).join(answer),
        lambda: draw.choice(["\t", "\u3000", "\u2028", "  "]).join(words),
        lambda: context[start : start + draw.randrange(1, 80)],
        lambda: draw.choice(["", " ", "the", "a.", "?", "\u0301", "İıſß ﬁ"]),
        lambda: answer * 2,
    ]
    return draw.choice(choices)()


def pairs(path: Path, seed: int) -> Iterator[tuple[str, str]]:
    """Reference and given answer."""
    draw = random.Random(f"{seed} {path.name}")
    rows = list(squad_rows(path))
    references = [row["answers"]["text"][0] for row in rows]
    for row, reference in zip(rows, references, strict=True):
        yield reference, reference
        yield reference, draw.choice(references)
        for _ in range(CORRUPTIONS):
            other = draw.choice(references)
            yield reference, corrupted(reference, other, row["context"], draw)


def compare(path: Path, theirs: Any, seed: int) -> dict[str, int]:
    """Counts of a file: compared, different in either score, and scored between 0 and 1."""
    counts = {"compared": 0, "different": 0, "exact": 0, "partial": 0}
    for reference, answer in pairs(path, seed):
        ours = exact_match(reference, answer), f1(reference, answer)
        expected = theirs.compute_exact(reference, answer), theirs.compute_f1(reference, answer)
        counts["compared"] += 1
        counts["exact"] += ours[0]
        counts["partial"] += 0 < ours[1] < 1
        if ours != expected:
            counts["different"] += 1
            print(f"{path.name}: {reference!r}, {answer!r}: {ours}, {expected} expected")
    return counts


def main() -> int:
    """Print the counts of every file; 1 if anything differs, 2 if nothing can be compared."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where xquad.LANGUAGE.json are")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        from transformers.data.metrics import squad_metrics as theirs
    except ImportError:
        import transformers

        print(
            f"transformers {transformers.__version__} has no data.metrics.squad_metrics; "
            "install an older one in an environment of its own: pip install 'transformers<5'",
            file=sys.stderr,
        )
        return 2
    files = sorted(options.folder.glob("xquad.*.json"))
    if not files:
        print(f"{options.folder} holds no xquad.LANGUAGE.json", file=sys.stderr)
        return 2
    different = 0
    for path in files:
        counts = compare(path, theirs, options.seed)
        different += counts["different"]
        print(path.name, ", ".join(f"{name} {count}" for name, count in counts.items()))
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
