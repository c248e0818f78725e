"""`lsn-eval demo`, run in process with one control."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lsn_eval.demo import run_demo
from lsn_eval.demo_matrix import DemoMatrix, percent

LANGUAGES = ("en", "de", "nl", "ru", "ar", "zh")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    return run_demo(out, controls=1), out


def test_it_prints_the_matrix_and_says_what_it_shows(demo, capsys):
    matrix, out = demo
    assert matrix.languages == LANGUAGES
    assert list(matrix.shortcomings()) == []
    assert matrix.sentence().startswith("Setting a language's planted neurons to 0 raises")
    assert "1 controls can show no less than 0.5" in matrix.sentence()
    saved = json.loads((out / "matrix.json").read_text("utf-8"))
    assert saved == json.loads(json.dumps(matrix.to_json()))
    for language in LANGUAGES:
        low, high = matrix.interval[language]
        assert low < matrix.change[language][language] < high


def test_it_writes_ordinary_results_files_with_the_record_and_the_samples(demo):
    matrix, out = demo
    found = sorted((out / "results").rglob("results_*.json"))
    assert len(found) == 1 + 6 + 6
    by_condition = {}
    for path in found:
        results = json.loads(path.read_text("utf-8"))
        record = results["config"]["lsn"]
        by_condition[record["condition"]] = results["results"]
        samples = list(path.parent.glob("samples_*.jsonl"))
        assert len(samples) == len(results["results"]) - ("lsn_demo_ppl" in results["results"])
        if record["condition"] != "none":
            assert record["seen"]["hookpoints"]["mlp.act"]["values_changed"] > 0
    for row in LANGUAGES:
        for column in LANGUAGES:
            task = f"lsn_demo_ppl_{column}"
            before = by_condition["none"][task]["token_perplexity,none"]
            after = by_condition[f"{row}:zero"][task]["token_perplexity,none"]
            assert after / before - 1 == pytest.approx(matrix.change[row][column], abs=1e-9)


def test_the_matrix_in_the_readme_is_what_the_demo_prints(demo):
    matrix, _ = demo
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
    shown = readme.split("<!-- demo output")[1].split("<!-- end of demo output")[0]
    for row in LANGUAGES:
        cells = re.search(rf"^ +{row}((?: +[-+]?[0-9.]+){{6}}) ", shown, re.MULTILINE)[1].split()
        for column, cell in zip(LANGUAGES, cells, strict=True):
            assert float(cell) == pytest.approx(100 * matrix.change[row][column], abs=0.11)
    assert "model:lsn_demo|dtype:float32|mask:sha256-" in shown
    for condition in ("none", "de:zero"):
        assert matrix.signatures[condition] in shown


def test_the_heat_map_is_a_picture(demo):
    _, out = demo
    assert (out / "heat_map.png").read_bytes().startswith(b"\x89PNG")


def made_up() -> DemoMatrix:
    return DemoMatrix(
        languages=("a", "b"),
        baseline={"a": 2.0, "b": 3.0},
        change={"a": {"a": 0.2, "b": 0.01}, "b": {"a": 0.0, "b": 0.3}},
        interval={"a": (0.1, 0.3), "b": (0.2, 0.4)},
        controls={"a": [0.01, 0.02], "b": [0.0, 0.01]},
        signatures={"none": "x"},
    )


@pytest.mark.parametrize(
    ("change", "controls", "message"),
    [
        ({"a": {"a": 0.04, "b": 0.0}}, {}, "a: its own change is +4.0%, not above 5%"),
        ({"a": {"a": 0.2, "b": -0.05}}, {}, "a: text in b changes by -5.0%, a fifth of +20.0%"),
        ({}, {"b": [0.0, 0.3]}, "b: a random control changes its text as much"),
    ],
)
def test_where_the_picture_does_not_show_it_says_so(change, controls, message):
    matrix = made_up()
    assert list(matrix.shortcomings()) == []
    changed = replace(
        matrix, change={**matrix.change, **change}, controls={**matrix.controls, **controls}
    )
    assert message in "; ".join(changed.shortcomings())
    assert changed.sentence().startswith("The expected picture does NOT show")


def test_changes_are_printed_without_negative_zeros():
    assert [percent(x) for x in (0.1234, -0.0001, 0.0, -0.02)] == ["+12.3", "0.0", "0.0", "-2.0"]
