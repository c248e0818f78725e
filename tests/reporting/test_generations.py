"""Answers side by side in a report: which are shown, their language, and what is left out."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from builders.report_results import (
    CHINESE,
    ENGLISH,
    GERMAN,
    Outline,
    report,
    sample,
    write_run,
)  # fmt: skip
from builders.results_files import edited


def test_answers_have_their_language_and_differing_ones_are_marked(page):
    articles = page.split("<article")[1:]
    assert len(articles) == 2 * 5
    first = articles[0]
    cards = re.findall(r'<li class="(answer[^"]*)">(.*?)</li>', first, flags=re.DOTALL)
    assert [classes for classes, _ in cards] == [
        "answer", "answer differs", "answer", "answer",
    ]  # fmt: skip
    assert re.search(r'class="lid other">en [01]\.\d\d, not de<', cards[1][1])
    assert re.search(r'class="lid">de [01]\.\d\d<', cards[0][1])
    assert f'dir="auto" lang="en">{ENGLISH}' in cards[1][1]
    assert f'lang="zh">{CHINESE}' in page
    assert "The first 5 of 8 documents." in page


def test_a_translation_is_expected_in_its_target_language(tmp_path):
    path = write_run(tmp_path, "none", {"de": [sample(0, GERMAN, ENGLISH, 1.0)]})
    kwargs = {"source": "de", "target": "en"}
    edited(path, lambda d: d["configs"]["ask_de"].update(dataset_kwargs=kwargs))
    page = report(tmp_path)
    assert "answer differs" not in page
    assert f'dir="auto" lang="de">{GERMAN}' in page


def test_the_first_documents_are_chosen_whatever_the_order_of_the_file(tmp_path):
    def logged(answer):
        return [sample(n, f"prompt {n}", f"{answer} {n}", 1.0) for n in (7, 3, 9, 0, 5)]

    write_run(tmp_path / "a", "none", {"de": logged(GERMAN)})
    write_run(tmp_path / "b", "de:zero", {"de": logged(ENGLISH)})
    text = Outline(report(tmp_path, samples=2)).text
    assert re.findall(r"Document (\d)", text) == ["0", "3"]
    assert f"{ENGLISH} 3" in text
    assert f"{ENGLISH} 5" not in text


def test_a_document_that_a_condition_lacks_is_said_to_be_missing(tmp_path):
    def logged(numbers):
        return [sample(n, "prompt", GERMAN, 1.0) for n in numbers]

    write_run(tmp_path / "a", "none", {"de": logged([0, 1])})
    write_run(tmp_path / "b", "de:zero", {"de": logged([1])})
    assert Outline(report(tmp_path)).text.count("not evaluated on this document") == 1


def test_long_empty_several_filtered_and_odd_answers(tmp_path):
    empty, several = sample(0, "p", " \n", 1.0), sample(1, "p", GERMAN, 1.0)
    several["resps"] = [[GERMAN, ENGLISH, ENGLISH]]
    several["filtered_resps"] = ["42"]
    odd = sample(2, "p", GERMAN, 1.0) | {"arguments": 7, "resps": {"a": 1}, "target": [None]}
    long = sample(3, "p", "wort " * 2000, 1.0)
    write_run(tmp_path, "none", {"de": [empty, several, odd, long]})
    page = report(tmp_path)
    text = Outline(page).text
    assert "empty answer" in text
    assert "and 2 further answers" in text
    assert re.search(r"Scored\s*42", text)
    assert re.search(r"Prompt\s*7", text)
    assert "[null]" in text
    assert "all 10,000 characters" in page
    assert "6,000 further characters in the samples file" in page


def test_without_samples_the_page_says_so(tmp_path):
    write_run(tmp_path, "none", {"de": [sample(0, "p", GERMAN, 1.0)]}, samples=False)
    page = report(tmp_path)
    assert "Without logged samples (--log_samples): ask_de." in page
    assert "neither intervals nor tests" in page


DEEP = '{"doc_id": 0, "resps": ' + "[" * 50_000 + "]" * 50_000 + "}"


@pytest.mark.parametrize(
    "content",
    [
        b'{"doc_id": ', b"[]", b"\xff\n", b'{"doc_id": "x"}', b'{"doc_id": 1e999}', DEEP.encode(),
        b'{"doc_id": 0, "resps": [["\\ud800"]], "doc_hash": ""}', b'{"doc_id": -1}',
        b'{"doc_id": 0, "metrics": {"a": 1}}', b"\x1f\x8b\x08",
    ],
)  # fmt: skip
def test_samples_that_cannot_be_read_are_named(tmp_path, content):
    write_run(tmp_path / "a", "none", {"de": [sample(0, "p", GERMAN, 1.0)]})
    path = write_run(tmp_path / "b", "de:zero", {"de": [sample(0, "p", GERMAN, 1.0)]})
    path.with_name("samples_ask_de_2026-01-01.jsonl").write_bytes(content)
    answers = Outline(report(tmp_path)).text.split("Answers side by side")[1]
    assert "de:zero: " + str(path.parent) in answers
    assert "not evaluated on this document" in answers


def test_huge_answers_take_little_memory(tmp_path):
    logged = [sample(n, "p" * 3_000_000, "wort " * 600_000, 1.0) for n in range(8)]
    write_run(tmp_path, "none", {"de": logged})
    del logged
    report(tmp_path, samples=1)  # what is imported, and the language model
    tracemalloc.start()
    try:
        report(tmp_path, samples=8)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


def test_the_number_of_documents_can_be_chosen(sweep, tmp_path):
    assert report(sweep, samples=1).count("<article") == 2
    none = report(sweep, samples=0)
    assert none.count("<article") == 0
    assert "--samples 0" in none
