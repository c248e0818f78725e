"""Steering against a slow count: answers written by hand, a stand-in for the language identifier
that reads the language at the start of an answer, and plain loops."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
from builders import panels
from builders.commands import invoke
from builders.results_files import edited
from builders.steering import CONDITIONS, DOCUMENTS, LANGUAGES, StandIn, write

from lsn_eval.comparing import Change, Pair, answer_languages, compare, pairs, with_targets
from lsn_eval.comparing.pairs import answer_counts
from lsn_eval.conditions import steering
from lsn_eval.reporting.facts import facts
from lsn_eval.results import read_results
from lsn_eval.tables import answers_table, forcing_tables


@pytest.fixture(autouse=True)
def identifier(monkeypatch):
    found = StandIn("stand-in", None)
    monkeypatch.setattr(answer_languages, "load_identifier", lambda lid=None: found)


def panels_of(folder: Path):
    return {panel.metric: panel for panel in compare([folder]).panels}


@pytest.mark.parametrize(
    ("condition", "ends"),
    [
        ("none", None), ("es:zero", None), ("es:x0.5", None), ("es:zero/zh:x0", None),
        ("es:-1", None), ("es:+-0.5mean", None),
        ("es:zero/zh:mean", (("es",), ("zh",))), ("zh:mean/es:zero", (("es",), ("zh",))),
        ("zh:p90", ((), ("zh",))), ("zh:2", ((), ("zh",))), ("zh:x1.5", ((), ("zh",))),
        ("zh:+0.5diffmean", ((), ("zh",))), ("es:x0.5/fr:zero/zh:+1", (("es", "fr"), ("zh",))),
        ("random2-es:zero/random2-zh:mean", (("es",), ("zh",))), ("random1-zh:p90", ((), ("zh",))),
        # Random neurons made active beside a language's own are of no language.
        ("es:zero/random1-zh:mean", None), ("random1-es:zero/zh:mean", ((), ("zh",))),
    ],
)  # fmt: skip
def test_what_a_condition_steers(condition, ends):
    assert steering(condition) == ends


def test_success_by_pair_equals_a_slow_count(tmp_path):
    answers = write(tmp_path)
    found = panels_of(tmp_path)
    assert set(found) == {
        "lsn_language_accuracy", *(f"lsn_target_accuracy_{x}" for x in LANGUAGES),
    }  # fmt: skip
    seen = set()
    for target in LANGUAGES:
        for pair in pairs(found[f"lsn_target_accuracy_{target}"]):
            seen.add((pair.condition, pair.source, pair.target))
            labels = answers[pair.condition, pair.source]
            before = answers["none", pair.source]
            change = pair.change
            assert change.row.value == pytest.approx(labels.count(target) / DOCUMENTS)
            assert change.baseline.value == pytest.approx(before.count(target) / DOCUMENTS)
            a, _, b = pair.condition.partition("/")
            names = [f"random{n}-{a}/random{n}-{b}" if b else f"random{n}-{a}" for n in (1, 2)]
            assert change.controls == pytest.approx({
                name: (answers[name, pair.source].count(target) - before.count(target)) / DOCUMENTS
                for name in names if (name, pair.source) in answers
            })  # fmt: skip
            assert change.interval[0] <= change.shift <= change.interval[1]
            assert pair.succeeded == (
                change.interval[0] > 0 and change.shift > max(change.controls.values())
            )
            # Wilson's interval holds every rate p with |rate - p| <= z sqrt(p (1 - p) / n).
            low, high = pair.interval(0.95)
            rate = change.row.value
            inside = [
                p / 10_000 for p in range(10_001)
                if abs(rate - p / 1e4) <= 1.959964 * math.sqrt(p / 1e4 * (1 - p / 1e4) / DOCUMENTS)
            ]  # fmt: skip
            assert (low, high) == pytest.approx((inside[0], inside[-1]), abs=2e-4)
    assert seen == {
        *((f"{a}:zero/{b}:mean", a, b) for a, b in itertools.permutations(LANGUAGES, 2)),
        ("zh:+mean", "es", "zh"), ("zh:+mean", "fr", "zh"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "control", "succeeded"),
    [((0.1, 0.9), 0.4, True), ((0.1, 0.9), 0.5, False), ((0.0, 0.9), 0.4, False),
     ((0.1, 0.9), None, True), (None, 0.4, None)],
)  # fmt: skip
def test_a_pair_is_steered_beyond_chance_and_every_control(interval, control, succeeded):
    place = {"condition": "es:zero/zh:mean", "language": "es", "metric": "lsn_target_accuracy_zh"}
    controls = {} if control is None else {"random1": -0.1, "random2": control}
    change = Change(
        row=panels.row(**place, value=0.5), baseline=panels.row(**place | {"condition": "none"}, value=0.0),
        scale="linear", interval=interval, controls=controls,
    )  # fmt: skip
    assert Pair("es:zero/zh:mean", "es", "zh", change).succeeded is succeeded


def test_languages_of_answers_are_counted_by_condition_and_language_asked(tmp_path):
    answers = write(tmp_path)
    panel = panels_of(tmp_path)["lsn_language_accuracy"]
    counted = {(c, asked): counts for c, asked, counts in answer_counts(panel)}
    shown = [c for c in CONDITIONS if not c.startswith("random")]
    assert set(counted) == set(itertools.product(shown, LANGUAGES))
    for place, counts in counted.items():
        for label in {*LANGUAGES, "de"}:
            assert counts[label] == answers[place].count(label)
    table = answers_table(panel)
    rows = {(r[0].text, r[1].text): [c.text for c in r[2:]] for r in table.rows}
    assert table.columns[2:] == (*panel.languages, "de", "all")
    for (condition, asked), cells in rows.items():
        labels = answers[condition, asked]
        expected = [labels.count(x) for x in (*panel.languages, "de")]
        assert cells == [*(str(n or "") for n in expected), str(DOCUMENTS)]
    # Rows that say nothing are counted.
    at_home = sum(set(answers[c, x]) == {x} for c in shown for x in LANGUAGES)
    assert len(rows) == len(counted) - at_home
    assert table.notes == (f"{at_home} further rows: every answer in the language asked",)


def test_forcing_is_a_table_from_question_to_target(tmp_path):
    answers = write(tmp_path)
    comparison = compare([tmp_path])
    (table,) = forcing_tables(comparison.panels)
    assert table.title.startswith("Language forcing, zero/mean, on ask_*")
    for row in table.rows:
        rates = []
        for cell, column in zip(row[1:-1], table.columns[1:-1], strict=True):
            source, target = row[0].text, column.removeprefix("to ")
            if source == target:
                assert cell.value is None
                continue
            labels = answers[f"{source}:zero/{target}:mean", source]
            rates.append(labels.count(target) / DOCUMENTS)
            assert cell.value == pytest.approx(rates[-1])
        assert row[-1].value == pytest.approx(sum(rates) / len(rates))
    assert table.notes == ("6 of 6 pairs steered",)


def test_steering_has_its_own_verdict_and_ablation_counts_ablations(tmp_path):
    write(tmp_path)
    verdicts = {entry.name: entry for entry in facts(compare([tmp_path]))}
    assert set(verdicts) == {
        "lsn_language_accuracy of ask_*",
        *(f"lsn_target_accuracy_{x} of ask_*, steering" for x in LANGUAGES),
    }  # fmt: skip
    ablation = verdicts["lsn_language_accuracy of ask_*"]
    assert list(ablation.conditions) == ["es:zero"]
    assert "1 of 1 conditions changed their own language most" in ablation.verdict
    steered = verdicts["lsn_target_accuracy_zh of ask_*, steering"]
    assert steered.findings[0] == "4 of 4 pairs of languages steered to zh"
    assert steered.selectivity is None
    rates = [pair.change.row.value for pair in steered.pairs]
    assert f"success rate {sum(rates) / 4:.3f} on average" in steered.findings[1]
    assert "largest of 6 controls" in steered.verdict


def test_the_command_prints_pairs_and_writes_them(tmp_path):
    write(tmp_path)
    text = invoke("compare", tmp_path, "--resamples", 200, "--permutations", 199).output
    for told in (
        "answers in the language steered to", "languages of the answers", "Language forcing",
        "es:zero/zh:mean",
    ):  # fmt: skip
        assert told in text
    assert "lsn_target_accuracy" not in invoke("compare", tmp_path, "--no-tests").output
    lines = invoke("compare", tmp_path, "--json", "--metric", "lsn_target_accuracy_fr").output
    numbers = json.loads(lines)["numbers"]
    assert {row["metric"] for row in numbers} == {"lsn_target_accuracy_fr"}
    assert {row["condition"] for row in numbers if not row["control_of"]} == {
        "none", "es:zero/fr:mean", "zh:zero/fr:mean",
    }  # fmt: skip


def test_answers_that_contradict_their_file_give_no_rate_and_say_why(tmp_path):
    write(tmp_path, ("none", "es:zero/zh:mean"))
    (path,) = (tmp_path / "es_zero+zh_mean").glob("samples_ask_es_*")
    first, *rest = path.read_text().splitlines()
    sample = json.loads(first)
    sample["lsn_language_accuracy"] = 1 - sample["lsn_language_accuracy"]
    path.write_text("\n".join([json.dumps(sample), *rest]) + "\n")
    rows = with_targets(read_results([tmp_path]))
    told = [row for row in rows if row.warnings]
    assert [(row.condition, row.language) for row in told] == [("es:zero/zh:mean", "es")]
    assert "stand-in finds" in told[0].warnings[0]
    rates = [row for row in rows if row.metric == "lsn_target_accuracy_zh"]
    assert ("es:zero/zh:mean", "es") not in {(row.condition, row.language) for row in rates}
    assert len(rates) == 5


def test_without_logged_answers_there_is_no_rate_and_a_rate_in_the_file_is_taken(tmp_path):
    write(tmp_path / "bare", ("none", "es:zero/zh:mean"))
    for path in (tmp_path / "bare").rglob("samples_*"):
        path.unlink()
    comparison = compare([tmp_path / "bare"])
    assert [panel.metric for panel in comparison.panels] == ["lsn_language_accuracy"]
    (entry,) = facts(comparison)
    assert "success rates need logged answers (--log_samples)" in entry.verdict
    write(tmp_path / "own", ("none", "es:zero/zh:mean"))
    (path,) = (tmp_path / "own" / "es_zero+zh_mean").glob("results_*")
    edited(path, lambda d: d["results"]["ask_es"].update({"lsn_target_accuracy_zh,none": 0.125}))
    rows = with_targets(read_results([tmp_path / "own"]))
    (row,) = [
        row for row in rows
        if (row.condition, row.language, row.metric)
        == ("es:zero/zh:mean", "es", "lsn_target_accuracy_zh")
    ]  # fmt: skip
    assert row.value == 0.125
