"""`lsn-eval demo`, run in process with one control."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from builders.commands import printed, refused

from lsn_eval.comparing import compare
from lsn_eval.demo.demo import MATRIX, demo_text, run_demo
from lsn_eval.demo.verdict import DemoVerdict
from lsn_eval.errors import LsnError
from lsn_eval.results import read_results
from lsn_eval.storage.folder_lock import only_writer

LANGUAGES = ("en", "de", "nl", "ru", "ar", "zh")
CONTROL = "random1-{}:zero"


@pytest.fixture(scope="module")
def demo(finished_demo) -> tuple[DemoVerdict, Path]:
    comparison = compare(read_results([finished_demo / "results"]))
    (panel,) = (p for p in comparison.panels if (p.family, p.metric) == MATRIX)
    return DemoVerdict(panel), finished_demo


def test_the_picture_shows_and_is_kept(demo):
    verdict, out = demo
    assert verdict.languages == LANGUAGES
    assert list(verdict.shortcomings()) == []
    assert str(verdict).startswith("Setting a language's planted neurons to 0 raises")
    assert "1 controls can show no less than 0.5" in str(verdict)
    printed = demo_text(compare(read_results([out / "results"])), verdict)
    assert str(verdict) in printed
    saved = json.loads((out / "matrix.json").read_text("utf-8"))
    assert saved == json.loads(json.dumps(verdict.to_json()))
    for language in LANGUAGES:
        low, high = verdict.change(language, language).relative_interval
        assert low < verdict.relative(language, language) < high
        assert saved["interval_95"][language] == [low, high]
        assert f"{100 * verdict.relative(language, language):+.1f} %" in printed
    assert (out / "heat_map.png").read_bytes().startswith(b"\x89PNG")
    report = (out / "report.html").read_text("utf-8")
    assert "lsn_demo_langacc_" in report
    assert "lsn_demo_ppl_" in report


def test_it_writes_ordinary_results_files_with_the_record_and_the_samples(demo):
    verdict, out = demo
    found = sorted((out / "results").rglob("results_*.json"))
    assert len(found) == 1 + 6 + 6
    by_condition = {}
    for path in found:
        results = json.loads(path.read_text("utf-8"))
        record = results["config"]["lsn"]
        by_condition[record["condition"]] = results["results"]
        tasks = {name for name in results["results"] if name.rpartition("_")[2] in LANGUAGES}
        assert len(tasks) == 12
        logged = {path.name.split("_20")[0] for path in path.parent.glob("samples_*.jsonl")}
        assert logged == {f"samples_{task}" for task in tasks}
        if record["condition"] != "none":
            assert record["seen"]["hookpoints"]["mlp.act"]["values_changed"] > 0
    for row in LANGUAGES:
        for column in LANGUAGES:
            task = f"lsn_demo_ppl_{column}"
            before = by_condition["none"][task]["token_perplexity,none"]
            after = by_condition[f"{row}:zero"][task]["token_perplexity,none"]
            assert after / before - 1 == pytest.approx(verdict.relative(row, column), abs=1e-9)


def test_the_matrix_in_the_docs_is_what_the_demo_prints(demo):
    verdict, _ = demo
    page = (Path(__file__).resolve().parents[2] / "docs" / "demo.md").read_text("utf-8")
    shown = page.split("<!-- demo output")[1].split("<!-- end of demo output")[0]
    for row in LANGUAGES:
        cells = re.search(rf"^{row}:zero((?: +[-+]?[0-9.]+~?){{6}}) ", shown, re.MULTILINE)[1]
        for column, cell in zip(LANGUAGES, cells.split(), strict=True):
            expected = 100 * verdict.relative(row, column)
            assert float(cell.rstrip("~")) == pytest.approx(expected, abs=0.11)
    assert verdict.panel.change("de:zero", "de").row.signature.split("|condition")[0] in shown


OWN = {"model_args": {"pretrained": "lsn_demo", "mask": "demo/planted"}, "tasks": ["lsn_demo"]}


@pytest.mark.parametrize(
    "other",
    [
        {"tasks": ["lsn_demo_ppl"]},
        {"model_args": {"pretrained": "other", "mask": "demo/planted"}},
        {"model_args": {"pretrained": "lsn_demo", "mask": "other"}},
        {"model_args": None},
        None,
    ],
)
def test_another_sweep_and_results_of_none_are_left_alone(other, tmp_path):
    results = tmp_path / "results"
    (results / "zh_zero").mkdir(parents=True)
    (results / "zh_zero" / "results_of_mine.json").write_text("{}")
    if other is not None:
        (results / "sweep.json").write_text(json.dumps({"arguments": {**OWN, **other}}))
    before = sorted(tmp_path.rglob("*"))
    said = refused("demo", "--out", tmp_path)
    assert ("this command did not write" if other is None else "holds another sweep") in said
    assert "give another --out" in said
    assert sorted(tmp_path.rglob("*")) == before


def test_an_earlier_demo_is_replaced_unless_it_is_running(tmp_path, monkeypatch):
    results = tmp_path / "results"
    (results / "zh_zero").mkdir(parents=True)
    (results / "zh_zero" / "results_1.json").write_text("{}")
    (results / "sweep.json").write_text(json.dumps({"arguments": OWN}))
    for name in ("matrix.json", "heat_map.png", "report.html"):
        (tmp_path / name).write_text("of then")
    with only_writer(results, LsnError), pytest.raises(LsnError, match="another sweep is writing"):
        run_demo(tmp_path, controls=1)
    assert (results / "zh_zero" / "results_1.json").exists()

    def reached(settings, out):
        assert list(out.iterdir()) == []
        assert list(tmp_path.iterdir()) == [results], "nothing of then beside results of now"
        raise LsnError("reached")

    monkeypatch.setattr("lsn_eval.sweeping.running.run_sweep", reached)
    with pytest.raises(LsnError, match="reached"):
        run_demo(tmp_path, controls=1)


def test_the_quick_demo_is_three_languages_in_a_folder_of_its_own(tmp_path, monkeypatch):
    def reached(settings, out):
        assert out == Path("lsn_demo_quick", "results")
        assert settings.tasks == ("lsn_demo_ppl_de", "lsn_demo_ppl_ru", "lsn_demo_ppl_zh")
        who = [x for language in ("de", "ru", "zh") for x in (language, f"random1-{language}")]
        assert settings.conditions == ("none", *(f"{x}:zero" for x in who))
        raise LsnError("reached")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lsn_eval.sweeping.running.run_sweep", reached)
    assert "error: reached" in refused("demo", "--quick", "--controls", 1)
    results = tmp_path / "lsn_demo_quick" / "results"
    results.mkdir()
    (results / "sweep.json").write_text(json.dumps({"arguments": OWN}))
    assert "holds another sweep" in refused("demo", "--quick"), "that of the whole demo"


def changed(verdict: DemoVerdict, zeroed: str, text: str, perplexity: float) -> DemoVerdict:
    """With another perplexity in one cell."""
    place = (f"{zeroed}:zero", text)
    cell = verdict.panel.changes[place]
    cell = replace(cell, row=replace(cell.row, value=perplexity))
    return DemoVerdict(replace(verdict.panel, changes={**verdict.panel.changes, place: cell}))


def test_where_the_picture_does_not_show_it_says_so(demo):
    verdict, _ = demo
    before = verdict.change("de", "de").baseline.value
    weak = changed(verdict, "de", "de", 1.04 * before)
    assert "de: its own change is +4.0%, not above 5%" in "; ".join(weak.shortcomings())
    spread = changed(verdict, "de", "nl", 0.8 * verdict.change("de", "nl").baseline.value)
    assert "de: text in nl changes by -20.0%, a fifth of" in "; ".join(spread.shortcomings())
    none = changed(verdict, "de", "de", before)
    assert "de: a random control changes its text as much" in "; ".join(none.shortcomings())
    for wrong in (weak, spread, none):
        assert str(wrong).startswith("The expected picture does NOT show")


def test_a_picture_that_does_not_show_is_a_failure(demo, monkeypatch, tmp_path):
    verdict, _ = demo
    flat = changed(verdict, "de", "de", verdict.change("de", "de").baseline.value)
    for found, status in ((verdict, 0), (flat, 1)):
        monkeypatch.setattr("lsn_eval.demo.demo.run_demo", lambda out, found=found, **_: found)
        printed("demo", "--out", tmp_path, status=status)
