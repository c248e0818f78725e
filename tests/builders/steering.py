"""Results of a language task under conditions that steer, with answers whose language stands in
them."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

from builders.results_files import write_document
from lsn_eval.language_scores.identification import Identifier

LANGUAGES = ("es", "zh", "fr")
CONDITIONS = (
    "none", "es:zero",
    *(f"{a}:zero/{b}:mean" for a, b in itertools.permutations(LANGUAGES, 2)),
    *(f"random{n}-{a}:zero/random{n}-{b}:mean"
      for n in (1, 2) for a, b in itertools.permutations(LANGUAGES, 2)),
    "zh:+mean", "random1-zh:+mean",
)  # fmt: skip
DOCUMENTS = 20


class StandIn(Identifier):
    """`zh text` is in zh."""

    def probable(self, text: str) -> tuple[str, float | None]:
        return text.split()[0], 0.9


def spoken(condition: str, asked: str, rng: random.Random) -> str:
    """The language of an answer: of the true target mostly, of a control hardly ever."""
    target = condition.rpartition("/")[2].partition(":")[0]
    if condition in ("none", "es:zero") or rng.random() < 0.3:
        return asked if condition != "es:zero" or asked != "es" or rng.random() < 0.5 else "de"
    if target.startswith("random"):
        return asked if rng.random() < 0.95 else target.partition("-")[2]
    return target


def write(folder: Path, conditions=CONDITIONS, edit=None) -> dict[tuple[str, str], list[str]]:
    """Samples of a language task; the languages of the answers by condition and language asked."""
    rng, answers = random.Random(5), {}
    for condition in conditions:
        logged = {}
        for asked in LANGUAGES:
            labels = [spoken(condition, asked, rng) for _ in range(DOCUMENTS)]
            answers[condition, asked] = labels
            logged[f"ask_{asked}"] = [
                {
                    "doc_id": n, "filter": "none", "doc_hash": f"{asked} {n}", "prompt_hash": str(n),
                    "target_hash": "t", "arguments": {"gen_args_0": {"arg_0": "p", "arg_1": {}}},
                    "resps": [[f"{label} text"]], "filtered_resps": [f"{label} text"],
                    "metrics": ["lsn_language_accuracy"],
                    "lsn_language_accuracy": float(label == asked),
                }
                for n, label in reversed(list(enumerate(labels)))
            ]  # fmt: skip
        results = {
            task: {
                "alias": task,
                "lsn_language_accuracy,none": sum(s["lsn_language_accuracy"] for s in of) / len(of),
            }
            for task, of in logged.items()
        }
        name = condition.replace(":", "_").replace("/", "+")
        write_document(
            folder / name, results, condition=condition, samples=logged,
            documents=dict.fromkeys(results, DOCUMENTS),
            higher_is_better={"lsn_language_accuracy": True},
        )  # fmt: skip
    return answers
