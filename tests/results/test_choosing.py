"""Which numbers are meant: one choice for every command."""

from __future__ import annotations

from itertools import product

import pytest
from builders.panels import row

from lsn_eval.errors import LsnError
from lsn_eval.results import Choice
from lsn_eval.results.controls import controlled

CONTROLS = ("random1-de:zero", "random12-de:zero")
CONDITIONS = ("none", "de:zero", *CONTROLS, "zh:x0.5", "de:zero/zh:mean")
ROWS = [
    row(condition, language, 1.0, metric=metric, task=task, model=model)
    for model, task, condition, language, metric in product(
        ("org/a", "b"), ("ppl", "xnli"), CONDITIONS, ("de", "zh"), ("acc", "f1,strict")
    )
]


@pytest.mark.parametrize(
    ("choice", "field", "expected"),
    [
        ({}, "metric", {"acc"}),
        ({"metrics": ("all",)}, "metric", {"acc", "f1,strict"}),
        ({"metrics": ("f1,strict",)}, "metric", {"f1,strict"}),
        ({"metrics": ("f1*,acc",)}, "metric", {"acc", "f1,strict"}),
        ({"tasks": ("ppl_de",)}, "task", {"ppl_de"}),
        ({"tasks": ("ppl_*",)}, "task", {"ppl_de", "ppl_zh"}),
        ({"tasks": ("ppl_de, xnli_zh",)}, "task", {"ppl_de", "xnli_zh"}),
        ({"tasks": ("ppl_de", "*_zh")}, "task", {"ppl_de", "ppl_zh", "xnli_zh"}),
        ({"models": ("org/*",)}, "model", {"org/a"}),
        ({"languages": ("zh",)}, "language", {"zh"}),
        ({"conditions": ("none",)}, "condition", {"none"}),
        ({"conditions": ("zh:x0.5",)}, "condition", {"none", "zh:x0.5"}),
        ({"conditions": ("de:zero",)}, "condition", set(CONDITIONS[:4])),
        ({"conditions": ("random1-*",)}, "condition", {"none", "random1-de:zero"}),
        ({"conditions": ("de:*",)}, "condition", {*CONDITIONS} - {"zh:x0.5"}),
    ],
)
def test_what_is_meant(choice, field, expected):
    assert {getattr(r, field) for r in Choice(**choice).rows(ROWS)} == expected


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"tasks": ("ppl_fr",)}, r"--task ppl_fr: no such task.*there are ppl_\*, xnli_\*"),
        ({"tasks": ("ppl_de,nope",)}, "--task nope"),
        ({"metrics": ("bleu",)}, "--metric bleu: no such metric.*there are acc"),
        ({"models": ("c",)}, "--model c: .*org/a, b"),
        ({"conditions": ("fr:zero",)}, "--condition fr:zero"),
        ({"languages": ("fr",)}, "--language fr: .*de, zh"),
        ({"tasks": ("*_de",), "languages": ("zh",)}, r"all of --task \*_de --language zh"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(choice, message):
    with pytest.raises(LsnError, match=message):
        Choice(**choice).rows(ROWS)


def test_controls_of_several_terms_come_in_any_order():
    both, control = "de:zero/zh:mean", "random3-zh:mean/random3-de:zero"
    rows = [row(condition, "de", 1.0) for condition in ("none", both, control, "zh:zero")]
    chosen = Choice(conditions=(both,)).rows(rows)
    assert [r.condition for r in chosen] == ["none", both, control]


@pytest.mark.parametrize(
    ("condition", "of"),
    [
        ("none", None),
        ("de:zero", None),
        ("random12-de:zero", "de:zero"),
        ("random3-de:zero/random3-zh:mean", "de:zero/zh:mean"),
        ("random3-de:zero/random4-zh:mean", None),
        ("random3-de:zero/zh:mean", None),
    ],
)
def test_the_condition_of_a_control(condition, of):
    assert controlled(condition) == of
