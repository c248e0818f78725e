"""Which statistic the samples are the parts of: the one that gives the value of the results file."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from builders.panels import row
from builders.results import write_run

from lsn_eval.comparing.kinds import MEAN, RATIO
from lsn_eval.comparing.scores import NoScores, SampleColumns, SampleReader, scores
from lsn_eval.results import read_results


def scored(items, value, scale="linear", like=None, documents=None):
    """Scores of items, one a document, that a results file gives `value` for."""
    ids = tuple((n, f"d{n}", f"p{n}", "") for n in range(len(items)))
    columns = SampleColumns(ids, np.arange(len(items)), {"m": items})
    return scores(
        columns, replace(row("none", "de", value, metric="m"), documents=documents), scale, like
    )


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
    found = scored(items, value, scale)
    assert (found.kind.name, found.kind.scale) == (name, scale)
    assert found.value == pytest.approx(value)
    moved = found.kind.on_scale(found.columns.sum(axis=0))
    assert float(moved) == pytest.approx(math.log(value) if scale == "log" else value)


@pytest.mark.parametrize(
    ("items", "value"),
    [([1, 0, 1, 1], 0.7500011), (PAIRS, 3.0), (["yes", "no"], 1.0), ([math.nan, 1.0], 0.5),
     ([[1, 2, 3]], 2.0), ([{"a": 1}], 1.0), ([(1, 0)], 1.0)],
)  # fmt: skip
def test_samples_that_do_not_give_the_value_give_no_scores(items, value):
    found = scored(items, value)
    assert found.unlike_value
    assert found.reason.startswith("no test: the samples do not give the value of m in the")


@pytest.mark.parametrize(
    ("items", "documents", "reason"),
    [([], None, "m was not logged document by document"),
     ([None, None], None, "m was not logged document by document"),
     ([1, 0], 3, "samples of 2 documents were logged, and 3 were evaluated")],
)  # fmt: skip
def test_samples_that_are_not_whole_contradict_nothing(items, documents, reason):
    assert scored(items, 0.5, documents=documents) == NoScores(f"no test: {reason}")


def test_a_document_twice_is_refused():
    columns = SampleColumns(((0, "", "", ""),) * 2, np.arange(2), {"m": [1, 0]})
    found = scores(columns, replace(row("none", "de", 0.5, metric="m"), documents=2), "linear")
    assert found == NoScores("no test: a document was logged twice")


def test_documents_without_a_number_stay_in_their_place_and_count_nothing():
    found = scored([1.0, None, 0.0, None], 0.5)
    assert [document[0] for document in found.documents] == [0, 1, 2, 3]
    assert found.columns.tolist() == [[1, 1], [0, 0], [0, 1], [0, 0]]


def test_of_two_statistics_with_the_value_the_baselines_is_taken():
    items = [(0.0, 4), (0.0, 2)]  # nothing in any document: the ratio and the bits are both 0
    assert scored(items, 0.0).kind.name == RATIO.name
    bits = scored(PAIRS, -loop(PAIRS) / math.log(2)).kind
    assert scored(items, 0.0, like=bits).kind.name == bits.name
    assert scored(items, 0.0, like=MEAN).kind.name == RATIO.name


def test_columns_are_kept_by_filter_and_documents_once(tmp_path):
    def strict(_, sample):
        sample["filter"] = "strict" if sample["doc_id"] else "none"

    for condition, right in (("none", 1.0), ("de:zero", 0.0)):
        tasks = {"x_de": {"acc": [right, right]}}
        write_run(tmp_path / condition[:2], condition, tasks, edit_sample=strict)
    reader = SampleReader()
    first, second = (reader.columns(row) for row in read_results([tmp_path]))
    values = {name: list(columns.values["acc"]) for name, columns in first.items()}
    assert values == {"none": [0.0], "strict": [0.0]}
    assert first["strict"].documents is second["strict"].documents
