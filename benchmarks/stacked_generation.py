"""How much faster generation for eight conditions is when they share batches.

    OMP_NUM_THREADS=1 python benchmarks/stacked_generation.py --out FILE

The embedded model, eight conditions, unequal prompts. Answers are sampled with a seed a request
(batches of one), greedy until the model ends its text, or greedy and all of one length: a stack
runs until its last row ends, which costs more the more the lengths differ. At each batch size a
round generates for all conditions without stacks, again without (the control), and with stacks of
2, 4 and 8 conditions, in a changing order. Every answer of a stack must equal the one made without.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.harness.seeded_generation import seed_marker

WHO = ("en", "de", "nl", "ru", "ar", "zh", "random1-de")
CONDITIONS = ("none", *(f"{who}:zero" for who in WHO))
PROMPTS = ("Der Hund schläft in", "Куда идёт поезд", "今天天气", "The weather", "De man", "a")
TOKENS = 32
WAYS = {"alone": 0, "control": 0, "2 conditions": 2, "4 conditions": 4, "8 conditions": 8}


def requests(count: int, kind: str) -> list[Instance]:
    found = []
    for number in range(count):
        options: dict[str, Any] = {"until": [], "max_gen_toks": TOKENS}
        if kind == "sampled":
            options |= {"do_sample": True, "temperature": 1.0, "until": [seed_marker(number)]}
        if kind == "of one length":
            options["min_new_tokens"] = TOKENS
        text = f"{PROMPTS[number % len(PROMPTS)]} {number}"
        found.append(Instance("generate_until", {}, (text, options), number))
    return found


def generate(model: LsnHF, asked: list[Instance], rows: int) -> tuple[float, list[list[str]]]:
    answers = []
    start = time.perf_counter()
    for number, condition in enumerate(CONDITIONS, 1):
        model.set_condition(condition)
        model.stack(CONDITIONS[number:], rows)
        answers.append(model.generate_until(asked, disable_tqdm=True))
    return time.perf_counter() - start, answers


def measure(model: LsnHF, batch_size: int, kind: str, rounds: int) -> dict[str, Any]:
    model.batch_size_per_gpu = batch_size
    asked = requests(max(4, batch_size), kind)
    order = list(WAYS)
    ratios: dict[str, list[float]] = {way: [] for way in WAYS if way != "alone"}
    for round_ in range(rounds + 1):
        random.Random(round_).shuffle(order)
        seconds, answers = {}, {}
        for way in order:
            seconds[way], answers[way] = generate(model, asked, WAYS[way] * batch_size)
        if any(other != answers["alone"] for other in answers.values()):
            raise SystemExit("answers of a stack differ from those made without")
        if round_:  # the first one warms up
            for way, found in ratios.items():
                found.append(seconds["alone"] / seconds[way])
    figures: dict[str, Any] = {"answers": kind, "batch_size": batch_size}
    for way, found in ratios.items():
        low, median, high = statistics.quantiles(found, n=4)
        figures[way] = {
            "rows": WAYS[way] * batch_size,
            "median": round(median, 2),
            "quartiles": [round(low, 2), round(high, 2)],
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 4, 16, 32])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    model = LsnHF(
        "lsn_demo", mask="demo/planted", condition="none", dtype="float32", device=given.device,
        batch_size=1,
    )  # fmt: skip
    measured = []
    kinds = [(kind, size) for kind in ("greedy", "of one length") for size in given.batch_sizes]
    for kind, batch_size in [("sampled", 1), *kinds]:
        measured.append(measure(model, batch_size, kind, given.rounds))
        print(json.dumps(measured[-1]), flush=True)
    figures = {
        "conditions": list(CONDITIONS),
        "tokens": TOKENS,
        "rounds": given.rounds,
        "device": given.device,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "versions": {name: version(name) for name in ("torch", "transformers", "lm_eval")},
        "times_faster_than_alone": measured,
        "equal_answers": True,
    }
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
