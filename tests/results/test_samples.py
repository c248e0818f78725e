"""Reading the samples that lm-eval logs."""

from __future__ import annotations

import json

import pytest

from lsn_eval.results.rows import ResultsError
from lsn_eval.results.samples import Texts, read_samples, results_path, samples, samples_path


def write(folder, *lines):
    results = folder / "results_2026-01-01.json"
    samples_path(results, "t").write_text("\n".join(lines), "latin-1")
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
        '{"doc_id": 1, "metrics": "acc"}',
        "[" * 5000,
        "\xff",
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


def test_texts_are_read_where_they_are_asked_for(tmp_path):
    arguments = {"gen_args_0": {"arg_0": "Why?", "arg_1": {"until": []}}}
    words = {"doc": {"question": "q", "context": "c"}, "target": 7, "arguments": arguments,
             "resps": [["a", "b"]], "filtered_resps": ["a"]}  # fmt: skip
    path = samples_path(write(tmp_path, json.dumps({**LINE, **words}), json.dumps(LINE)), "t")
    assert [sample.texts for sample in samples(path)] == [None, None]
    full, bare = samples(path, texts=True)
    assert full.texts == Texts("q", "c", "Why?", "7", ("a", "b"), ("a",), generated=True)
    assert bare.texts == Texts(None, None, "", "", ("-1.5", "False"), (), generated=False)


def test_a_samples_file_names_its_results_and_task(tmp_path):
    results = tmp_path / "results_2026-01-02T03-04-05.678.json"
    assert results_path(samples_path(results, "flores_en_de")) == (results, "flores_en_de")
    assert results_path(tmp_path / "samples_x.jsonl") is None
