"""What stands above the numbers of a report: no-ops, refusals, failed conditions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from builders.report_results import (
    ENGLISH,
    GERMAN,
    SWEEP,
    Outline,
    report,
    sample,
    write_run,
)  # fmt: skip
from builders.results_files import edited

from lsn_eval.errors import LsnError
from lsn_eval.reporting import report as write_report


def test_no_warning_where_there_is_none(tmp_path):
    for condition, answer, right in (("none", GERMAN, 1.0), ("de:zero", ENGLISH, 0.0)):
        logged = [sample(n, "p", answer, right if n else 1.0) for n in range(30)]
        write_run(tmp_path / condition, condition, {"de": logged})
    page = report(tmp_path)
    assert "No warnings" in page
    assert 'id="cautions"' not in page


def cautions(folder: Path, **options) -> dict[str, str]:
    written = write_report([folder], folder / "r.html", **options)
    return {caution.title: caution.text for caution in written.cautions}


@pytest.mark.parametrize(
    ("samples", "told"), [((False, False), "2 of 2"), ((True, False), "1 of 2")]
)
def test_changes_without_interval_and_test_are_counted(tmp_path, samples, told):
    logged = {"de": [sample(n, "p", GERMAN, 1.0) for n in range(4)]}
    write_run(tmp_path / "none", "none", logged, samples=any(samples))
    for condition, with_samples in zip(("de:zero", "de:mean"), samples, strict=True):
        answers = {"de": [sample(n, "p", ENGLISH, n % 2) for n in range(4)]}
        write_run(tmp_path / condition, condition, answers, samples=with_samples)
    found = cautions(tmp_path)
    assert found["No interval and no test"].startswith(f"{told} changes, which may ")
    assert ("too short" in found.get("About the intervals and means", "")) == any(samples)
    assert "No warnings" not in (tmp_path / "r.html").read_text()


def test_a_metric_that_is_left_out_can_tell_that_it_was_no_no_op(tmp_path):
    for condition, perplexity in (("none", 5.0), ("de:zero", 9.0)):
        write_run(
            tmp_path / condition, condition, {"de": [sample(0, "p", GERMAN, 1.0)]},
            perplexities={"de": perplexity}, samples=False,
        )  # fmt: skip
    assert "Likely no-op" not in cautions(tmp_path, metric="accuracy")


def test_warnings_stand_above_the_numbers(tmp_path):
    write_run(tmp_path / "a", "none", perplexities={"de": 5.0, "zh": 8.0})
    write_run(
        tmp_path / "b", "de:zero", perplexities={"de": 5.0, "zh": 8.0}, unchanged=["mlp.act/1"]
    )
    write_run(tmp_path / "c", "zh:zero", perplexities={"de": 5.1, "zh": 9.0}, model_dtype="bf16")
    write_run(tmp_path / "d", "zh:mean", perplexities={"de": 5.1, "zh": 9.0})
    path = write_run(tmp_path / "e", "fr:mean", perplexities={"de": 5.1, "zh": 8.1})
    seen = {"hookpoints": {"mlp.act": {"values_overwritten": 9, "values_changed": 0}}}
    edited(path, lambda document: document["config"]["lsn"]["seen"].update(seen))
    page = report(tmp_path)
    text = Outline(page).text
    assert "Likely no-op: de:zero" in text
    assert "Nothing was changed:" in text
    assert re.search(r"Unchanged sites: .{,200}de:zero: mlp.act/1", text)
    assert re.search(r"Comparison refused: 2 numbers: not comparable with", text)
    assert page.index('id="cautions"') < page.index("<table")
    assert re.search(r'class="flag" href="#cautions">\d warnings below', page)


def test_many_places_of_a_warning_are_counted(tmp_path):
    codes = [f"x{number:02}" for number in range(30)]
    write_run(tmp_path / "a", "none", perplexities=dict.fromkeys(codes, 5.0), model_dtype="bf16")
    write_run(tmp_path / "b", "de:zero", perplexities=dict.fromkeys(codes, 6.0))
    text = Outline(report(tmp_path)).text
    assert "Comparison refused: 30 numbers: " in text
    assert "and 18 more" in text


def test_failed_conditions_of_a_sweep_are_told(tmp_path):
    write_run(tmp_path / "none" / "small", "none", perplexities={"de": 5.0})
    (tmp_path / "sweep.json").write_text(json.dumps({"arguments": SWEEP}))
    fail(tmp_path, "de:zero", "out of memory")
    text = Outline(report(tmp_path / "none", out=tmp_path / "r.html")).text
    assert f"de:zero in {tmp_path}: out of memory" in text


@pytest.mark.parametrize(
    "content",
    [b"", b"[" * 100_000, b"\xff{}", b"[]", b'{"reason": {"a": [1]}}', b"{" + b" " * (1 << 21)],
)
def test_a_record_of_a_failure_may_be_damaged(tmp_path, content):
    write_run(tmp_path / "none" / "small", "none", perplexities={"de": 5.0})
    fail(tmp_path, "de:zero", "")
    (tmp_path / "de_zero" / "failed.json").write_bytes(content)
    (tmp_path / "sweep.json").write_bytes(content)
    assert "Failed conditions" in cautions(tmp_path)


def test_a_sweep_that_failed_whole_is_refused_with_its_reasons(tmp_path):
    fail(tmp_path / "bad", "none", "no such tokenizer hf_abcdefgh12")
    with pytest.raises(LsnError, match=r"none: no such tokenizer \*\*\* \(.*failed\.json\)"):
        write_report([tmp_path / "bad"], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_what_failed_does_not_hide_what_did_not(tmp_path):
    write_run(tmp_path / "good", "none", perplexities={"de": 5.0})
    fail(tmp_path / "bad", "none", "no such tokenizer")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "r.html"
    written = write_report([tmp_path / "good", tmp_path / "bad"], out)
    told = next(caution for caution in written.cautions if caution.title == "Failed conditions")
    assert told.items == (f"none in {tmp_path / 'bad'}: no such tokenizer",)
    assert f"lsn-eval report {tmp_path / 'good'} {tmp_path / 'bad'} " in out.read_text()
    # The same below one folder, and an empty folder is still refused.
    assert write_report([tmp_path], out).cautions == written.cautions
    with pytest.raises(LsnError, match="empty holds no results"):
        write_report([tmp_path / "good", tmp_path / "empty"], out)


def fail(folder: Path, condition: str, reason: str) -> None:
    place = folder / condition.replace(":", "_")
    place.mkdir(parents=True)
    record = {"condition": condition, "error": "ValueError", "reason": reason}
    (place / "failed.json").write_text(json.dumps(record))
