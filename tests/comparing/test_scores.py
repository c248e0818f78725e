"""Which statistic the samples are the parts of: the one that gives the value of the results file."""

from __future__ import annotations

import json
import math

import pytest

from lsn_eval.comparing.kinds import MEAN, RATIO
from lsn_eval.comparing.scores import scores
from lsn_eval.results.rows import ResultsError
from lsn_eval.results.samples import Sample, read_samples, samples_path


def samples(items, metric="m", filter_name="none", start=0):
    return [
        Sample((start + n, f"d{n}", f"p{n}", ""), filter_name, {metric: item}, n)
        for n, item in enumerate(items)
    ]


PAIRS = [(-10.0, 5), (-6.5, 3), (-2.0, 4)]


def loop(pairs):
    over = under = 0.0
    for a, b in pairs:
        over, under = over + a, under + b
    return over / under


@pytest.mark.parametrize(
    ("items", "value", "scale", "name"),
    [
        ([1, 0, 1, 1], 0.75, "linear", "mean"),
        ([True, False], 0.5, "linear", "mean"),
        ([-1.0, -2.0, -0.5], math.exp(3.5 / 3), "log", "exp of the negative mean"),
        (PAIRS, math.exp(-loop(PAIRS)), "log", "perplexity"),
        (PAIRS, -loop(PAIRS) / math.log(2), "linear", "bits per unit"),
        ([(3, 4), (0, 2), (1, 1)], 4 / 7, "linear", "ratio of sums"),
        ([(0, 4), (0, 2)], 0.0, "linear", "ratio of sums"),
        ([2.0, 4.0], 3.0, "log", "mean"),
        ([-1.0, -2.0], math.exp(1.5), "linear", "exp of the negative mean"),
    ],
)
def test_the_statistic_is_the_one_that_gives_the_value(items, value, scale, name):
    found = scores(samples(items), "m", "none", value, scale)
    assert (found.kind.name, found.kind.scale) == (name, scale)
    assert found.value == pytest.approx(value)
    moved = found.kind.on_scale(found.columns.sum(axis=0))
    assert float(moved) == pytest.approx(math.log(value) if scale == "log" else value)


@pytest.mark.parametrize(
    ("items", "value"),
    [([1, 0, 1, 1], 0.7500011), (PAIRS, 3.0), ([], 0.0), ([None, None], 0.0), (["yes", "no"], 1.0),
     ([math.nan, 1.0], 0.5), ([[1, 2, 3]], 2.0), ([{"a": 1}], 1.0), ([(1, 0)], 1.0)],
)  # fmt: skip
def test_samples_that_do_not_give_the_value_give_no_scores(items, value):
    assert scores(samples(items), "m", "none", value, "linear") is None


def test_documents_without_a_number_stay_in_their_place_and_count_nothing():
    given = samples([1.0, None, 0.0])
    given.append(Sample((3, "d3", "p3", ""), "none", {}, 3))
    found = scores(given, "m", "none", 0.5, "linear")
    assert [document[0] for document in found.documents] == [0, 1, 2, 3]
    assert found.columns.tolist() == [[1, 1], [0, 0], [0, 1], [0, 0]]


def test_filters_are_kept_apart_and_a_document_twice_under_one_is_refused():
    given = samples([1, 0], filter_name="strict") + samples([1, 1], filter_name="loose")
    assert scores(given, "m", "strict", 0.5, "linear").value == 0.5
    assert scores(given, "m", "loose", 1.0, "linear").value == 1.0
    assert scores(given, "m", "none", 0.5, "linear") is None
    assert scores(samples([1, 0]) * 2, "m", "none", 0.5, "linear") is None


def test_of_two_statistics_with_the_value_the_baselines_is_taken():
    items = [(0.0, 4), (0.0, 2)]  # nothing in any document: the ratio and the bits are both 0
    assert scores(samples(items), "m", "none", 0.0, "linear").kind.name == RATIO.name
    bits = scores(samples(PAIRS), "m", "none", -loop(PAIRS) / math.log(2), "linear").kind
    assert scores(samples(items), "m", "none", 0.0, "linear", bits).kind.name == bits.name
    assert scores(samples(items), "m", "none", 0.0, "linear", MEAN).kind.name == RATIO.name


def write(folder, *lines):
    results = folder / "results_2026-01-01.json"
    samples_path(results, "t").write_text("\n".join(lines))
    return results


LINE = {"doc_id": 1, "filter": "none", "metrics": ["acc"], "acc": 1.0, "doc_hash": "d",
        "prompt_hash": "p", "target_hash": "t", "resps": [[["-1.5", "False"]]]}  # fmt: skip


def test_samples_are_read_in_the_order_of_the_documents_and_old_files_without_hashes(tmp_path):
    bare = {"doc_id": 0, "metrics": ["acc"], "acc": 0.0}
    results = write(tmp_path, json.dumps(LINE), "", json.dumps(bare))
    first, second = read_samples(results, "t")
    assert (first.document, second.document) == ((0, "", "", ""), (1, "d", "p", "t"))
    assert (first.filter, second.values) == ("none", {"acc": 1.0})
    assert first.responses != second.responses
    assert read_samples(results, "another") == []


@pytest.mark.parametrize(
    "broken",
    [
        json.dumps(LINE)[:-9],
        "[]",
        '{"doc_id": Infinity}',
        '{"metrics": []}',
        '{"doc_id": "x"}',
        "\x00",
        "5",
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_broken_line_is_an_error_that_names_the_file(tmp_path, broken, place):
    lines = [json.dumps(LINE)]
    lines.insert(place, broken)
    with pytest.raises(ResultsError, match=r"samples_t_2026-01-01\.jsonl, line [12]"):
        read_samples(write(tmp_path, *lines), "t")


def test_a_last_line_cut_off_in_a_number_is_found_by_the_value(tmp_path):
    """`{"acc": 0.75}` cut to nothing is valid; the documents left do not give the value."""
    results = write(tmp_path, *(json.dumps({**LINE, "doc_id": n, "acc": n % 2}) for n in range(3)))
    assert scores(read_samples(results, "t"), "acc", "none", 0.5, "linear") is None
