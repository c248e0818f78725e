"""Results files as tidy rows; the files are written here in lm-eval's own format."""

from __future__ import annotations

import math
import time

import pytest
from builders.results_files import edited, ppl, task_results, write_results

from lsn_eval.results import read_results
from lsn_eval.results.rows import ResultsError
from lsn_eval.results.run_files import read_file


def test_a_row_holds_the_number_and_what_it_was_measured_with(tmp_path):
    path = write_results(
        tmp_path, {ppl("de"): task_results(token_perplexity=5.5)}, condition="de:zero"
    )
    (row,) = read_results([tmp_path])
    assert (row.file, row.model, row.task, row.language) == (path, "lsn_demo", ppl("de"), "de")
    assert row.key == ("lsn_demo", "de:zero", ppl("de"), "token_perplexity")
    assert (row.filter, row.value, row.stderr, row.higher_is_better) == ("none", 5.5, None, False)
    assert (row.version, row.shots, row.documents, row.date) == ("1.0", 0, 48, 1795166306.2)
    assert row.signature == (
        "model:lsn_demo|dtype:float32|mask:sha256-3986c9d8f34d|method:planted|condition:de:zero"
        "|hookpoint:mlp.act|data:lsn_demo_ppl_de:1.0|v0.1.0"
    )
    assert (row.dtype, row.mask, row.method, row.hookpoint) == ("float32", "sha256-3986c9d8f34d", "planted", "mlp.act")  # fmt: skip
    assert (row.unchanged, row.warnings, row.older) == ((), (), 0)


@pytest.mark.parametrize(
    "model_args",
    [{"pretrained": "org/model", "dtype": "float32"}, "pretrained=org/model,dtype=float32"],
)
def test_a_plain_run_of_hf_is_the_baseline_and_has_a_like_signature(tmp_path, model_args):
    write_results(tmp_path, {"xnli_de": task_results(acc=(0.4, 0.01))}, condition=None, higher_is_better=True, model_args=model_args)  # fmt: skip
    (row,) = read_results([tmp_path])
    assert (row.model, row.condition, row.value, row.stderr) == ("org/model", "none", 0.4, 0.01)
    assert row.higher_is_better is True
    assert row.signature == (
        "model:org/model|dtype:float32|mask:none|method:none|condition:none|hookpoint:none"
        "|data:xnli_de:1.0|lm_eval:0.4.13"
    )


def test_filters_stay_apart_and_a_group_without_a_number_gives_no_row(tmp_path):
    results = {
        "gsm8k": {"alias": "gsm8k", "exact_match,strict-match": 0.1, "exact_match,flexible": 0.2,
                  "exact_match_stderr,strict-match": 0.01},
        "group": {"alias": "group"},
    }  # fmt: skip
    rows = read_file(write_results(tmp_path, results)).rows
    assert [(row.name, row.value, row.stderr) for row in rows] == [
        ("exact_match,strict-match", 0.1, 0.01),
        ("exact_match,flexible", 0.2, None),
    ]


@pytest.mark.parametrize("value", [math.nan, None, "N/A", " ", math.inf])
def test_what_is_no_number_is_not_usable(tmp_path, value):
    (row,) = read_file(write_results(tmp_path, {ppl("de"): task_results(p=value)})).rows
    assert row.value == math.inf if value == math.inf else math.isnan(row.value)
    assert not row.usable


def test_what_changed_nothing_and_a_mask_of_another_model_are_warnings_of_every_row(tmp_path):
    path = write_results(tmp_path, {ppl("de"): task_results(p=1.0)}, condition="de:zero", unchanged=["mlp.act/1"])  # fmt: skip
    edited(path, lambda document: document["config"]["lsn"]["seen"].update(doubts=["of x, not y"]))
    (row,) = read_results([tmp_path])
    assert row.unchanged == ("mlp.act/1",)
    nothing = "every value written to mlp.act/1 was there already"
    assert row.warnings == (nothing, "of x, not y")


def test_the_newest_file_of_a_model_condition_and_task_wins(tmp_path):
    for folder, date, value in (("a", 3.0, 30), ("b", 9.0, 90), ("c", 5.0, 50)):
        write_results(tmp_path / folder, {ppl("de"): task_results(p=value)}, date=date)
    write_results(tmp_path / "d", {ppl("en"): task_results(p=1)}, date=1.0)
    write_results(tmp_path / "e", {ppl("de"): task_results(p=2)}, condition="de:zero", date=1.0)
    rows = {(row.condition, row.task): row for row in read_results([tmp_path])}
    assert {key: (row.value, row.older) for key, row in rows.items()} == {
        ("none", ppl("de")): (90, 2),
        ("none", ppl("en")): (1, 0),
        ("de:zero", ppl("de")): (2, 0),
    }


@pytest.mark.parametrize("other", [{"digest": "f" * 64}, {"dtype": "float16"}])
def test_two_masks_and_two_dtypes_under_one_condition_both_count(tmp_path, other):
    results = {ppl("de"): task_results(p=1.0)}
    write_results(tmp_path, results, condition="de:zero", date=1.0, **other)
    write_results(tmp_path, results, condition="de:zero", date=2.0)
    assert [(row.date, row.older) for row in read_results([tmp_path])] == [(1.0, 0), (2.0, 0)]


def test_an_older_file_is_left_out_with_a_warning_and_one_named_twice_read_once(tmp_path):
    results = {ppl("de"): task_results(p=1.0)}
    write_results(tmp_path / "x", results, condition="de:zero", date=1.0, version=2.0)
    path = write_results(tmp_path / "x", results, condition="de:zero", date=2.0)
    (row,) = read_results([tmp_path, path, tmp_path / "x" / ".." / "x"])
    assert (row.value, row.older) == (1.0, 1)
    (warning,) = row.warnings
    assert "data:lsn_demo_ppl_de:2.0" in warning


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("\udcff", "is not UTF-8"),
        ("[" * 100_000, "nested deeper"),
        ("[1]", "holds no JSON object"),
        ('{"results": {}}', "has no 'configs'"),
        ('{"results": {"a": 1}, "configs": {}, "config": {"model": "hf"}}', "the results of a are no object"),
        ('{"results": {"a": {"m,none": 1}}, "configs": {}, "config": {"lsn": {"version": "1"}}}', "is damaged: config.lsn lacks model"),
    ],
)  # fmt: skip
def test_what_is_no_results_file_is_an_error_that_names_it(tmp_path, content, message):
    path = tmp_path / "results_x.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ResultsError) as raised:
        read_results([tmp_path])
    assert str(path) in str(raised.value)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["config"]["lsn"].update(condition=["de:zero"]),
        lambda d: d["config"]["lsn"]["model"].update(name=None),
        lambda d: d["config"]["lsn"]["model"].update(dtype=None),
        lambda d: d["config"]["lsn"]["mask"].update(digest=5),
        lambda d: d["config"]["lsn"]["mask"].update(languages="de"),
        lambda d: d["config"]["lsn"].update(neurons_per_layer=[3]),
        lambda d: d["config"]["lsn"].update(neurons_per_layer={"mlp.act": {"0": "many"}}),
        lambda d: d["config"]["lsn"].update(seen={"hookpoints": {"mlp.act": 1}}),
        lambda d: d["config"]["lsn"].update(seen="all"),
        lambda d: d["config"].update(lsn=[]),
        lambda d: d.update(date="today"),
    ],
)
def test_a_record_of_wrong_types_is_an_error_that_names_the_place(tmp_path, change):
    path = write_results(tmp_path, {ppl("de"): task_results(p=1.0)}, condition="de:zero")
    edited(path, change)
    with pytest.raises(ResultsError, match="config.lsn|date is"):
        read_results([tmp_path])


def test_no_file_and_no_path_are_errors(tmp_path):
    with pytest.raises(ResultsError, match=r"holds no results_\*\.json"):
        read_results([tmp_path])
    (tmp_path / "mask.safetensors").write_bytes(b"\xff")
    with pytest.raises(ResultsError, match=r"mask\.safetensors is no results file of lm-eval"):
        read_results([tmp_path / "mask.safetensors"])
    with pytest.raises(ResultsError, match="does not exist"):
        read_results([tmp_path / "absent"])


@pytest.mark.slow
def test_a_thousand_files_take_seconds(tmp_path):
    languages = ("de", "en", "zh", "ru", "ar", "nl")
    results = {ppl(code): task_results(token_perplexity=3.0, acc=0.5) for code in languages}
    for number in range(1000):
        write_results(tmp_path / str(number), results, condition=f"random{number}-de:zero")
    start = time.process_time()  # others may be using the machine
    rows = read_results([tmp_path])
    assert len(rows) == 12_000
    assert time.process_time() - start < 5
