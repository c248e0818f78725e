"""Generation for several conditions in one batch, against one condition after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lm_eval.api.instance import Instance

from benchmarks.measuring import Options, interleaved, work
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.harness.seeded_generation import seed_marker

CONDITIONS = ("none", *(f"{w}:zero" for w in ("en", "de", "nl", "ru", "ar", "zh", "random1-de")))
PROMPTS = ("Der Hund schläft in", "Куда идёт поезд", "今天天气", "The weather", "De man", "a")
TOKENS = 32


def rows(options: Options) -> Iterator[dict[str, Any]]:
    model = LsnHF(
        "lsn_demo", mask="demo/planted", condition="none", dtype="float32",
        device=options.device, batch_size=1,
    )  # fmt: skip
    kinds = ("greedy", "greedy, all of one length")
    cases = [
        ("sampled, a seed each", 1),
        *((kind, size) for kind in kinds for size in (1, 4, 16, 32)),
    ]
    for kind, size in options.of([("greedy", 2)], [(kinds[1], 4)], cases):
        model.batch_size_per_gpu = size
        asked = _requests(max(options.of(2, 4, 4), size), kind)
        expected = _generate(model, asked, 0)
        stacks = options.of((2,), (8,), (2, 4, 8))
        for times in stacks:
            if _generate(model, asked, times * size) != expected:
                raise SystemExit("answers of a stack differ from those made without")
        ways = {
            "alone": work(lambda a=asked: _generate(model, a, 0)),
            **{
                f"{times} conditions": work(lambda a=asked, m=times * size: _generate(model, a, m))
                for times in stacks
            },
        }
        case = f"{kind}, batch size {size}"
        yield from interleaved("generation", case, ways, options.of(1, 3, 9), options.device)


def _requests(count: int, kind: str) -> list[Instance]:
    found = []
    for number in range(count):
        settings: dict[str, Any] = {"until": [], "max_gen_toks": TOKENS}
        if kind.startswith("sampled"):
            settings |= {"do_sample": True, "temperature": 1.0, "until": [seed_marker(number)]}
        if kind.endswith("one length"):
            settings["min_new_tokens"] = TOKENS
        text = f"{PROMPTS[number % len(PROMPTS)]} {number}"
        found.append(Instance("generate_until", {}, (text, settings), number))
    return found


def _generate(model: LsnHF, asked: list[Instance], rows: int) -> list[list[str]]:
    answers = []
    for number, condition in enumerate(CONDITIONS, 1):
        model.set_condition(condition)
        model.stack(CONDITIONS[number:], rows)
        answers.append(model.generate_until(asked, disable_tqdm=True))
    return answers
