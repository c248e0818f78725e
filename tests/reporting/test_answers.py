"""The answers browser: which answers are shown beside which, their language, where they went, what
is marked in them, and what is left out."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import pytest
from builders.report_results import CHINESE, ENGLISH, GERMAN, Outline, report, sample, write_run
from builders.results_files import edited

from lsn_eval.comparing import compare
from lsn_eval.reporting import answers as browser
from lsn_eval.reporting.answer import MOST_WORDS, marked
from lsn_eval.reporting.answers import Answers, browse
from lsn_eval.results import read_runs


def browsed(folder: Path, most: int | None = None) -> Answers:
    runs = read_runs([folder])
    comparison = compare([row for run in runs for row in run.rows])
    return browse(comparison, runs, most=most, all_controls=False)


def write(folder: Path, **answers: list[str]) -> Path:
    """German questions, and what each condition answered to them."""
    for condition, texts in answers.items():
        logged = [sample(n, f"Frage {n}?", text, 1.0) for n, text in enumerate(texts)]
        write_run(folder / condition, condition.replace("_", ":"), {"de": logged})
    return folder


# What is shown


@pytest.mark.slow
def test_each_answer_stands_beside_the_baseline_s_with_its_language(page):
    documents = page.split('<details class="document"')[1:]
    assert len(documents) == 2 * 8
    baseline, *others = re.split(r'<li class="', documents[0])
    assert 'class="answer baseline"' in baseline
    assert re.search(r'class="lid">de [01]\.\d\d<', baseline)
    assert [re.split('"', other, maxsplit=1)[0] for other in others] == [
        "answer differs", "answer same", "answer same",
    ]  # fmt: skip
    assert re.match(r'[^>]* data-condition="de:zero" data-changed>', others[0])
    assert re.search(r'class="lid other">en [01]\.\d\d, not de<', others[0])
    assert "the same answer" in others[1]
    assert GERMAN not in others[1]
    assert f'lang="zh">{CHINESE}' in page


def test_a_translation_is_expected_in_its_target_language(tmp_path):
    path = write_run(tmp_path, "none", {"de": [sample(0, GERMAN, ENGLISH, 1.0)]})
    kwargs = {"source": "de", "target": "en"}
    edited(path, lambda d: d["configs"]["ask_de"].update(dataset_kwargs=kwargs))
    (task,) = browsed(tmp_path).tasks
    assert (task.language, task.expected) == ("de", "en")
    assert task.documents[0].baseline.right is True


def test_the_first_documents_are_chosen_whatever_the_order_of_the_file(tmp_path):
    def logged(answer):
        return [sample(n, f"prompt {n}", f"{answer} {n}", 1.0) for n in (7, 3, 9, 0, 5)]

    write_run(tmp_path / "a", "none", {"de": logged(GERMAN)})
    write_run(tmp_path / "b", "de:zero", {"de": logged(ENGLISH)})
    found = browsed(tmp_path, most=2)
    assert [document.number for document in found.tasks[0].documents] == [0, 3]
    assert found.tasks[0].notes[0].startswith("The first 2 of 5 documents; counted are 5.")
    (matrix,) = (table for *_, table in found.matrices)
    assert [cell.text for cell in matrix.rows[0]] == ["de", "5", "5"]


def test_a_document_that_a_condition_lacks_is_said_to_be_missing(tmp_path):
    write_run(tmp_path / "a", "none", {"de": [sample(n, "p", GERMAN, 1.0) for n in (0, 1)]})
    write_run(tmp_path / "b", "de:zero", {"de": [sample(1, "p", GERMAN, 1.0)]})
    assert Outline(report(tmp_path)).text.count("not evaluated on this document") == 1


def test_long_empty_several_filtered_and_odd_answers(tmp_path, monkeypatch):
    empty, several = sample(0, "p", " \n", 1.0), sample(1, "p", GERMAN, 1.0)
    several["resps"] = [[GERMAN, ENGLISH, ENGLISH]]
    several["filtered_resps"] = ["42"]
    odd = sample(2, "p", GERMAN, 1.0) | {"arguments": 7, "resps": {"a": 1}, "target": [None]}
    long = sample(3, "p", "wort " * 2000, 1.0)
    write_run(tmp_path, "none", {"de": [empty, several, odd, long]})
    monkeypatch.setattr(browser, "MOST_CHARACTERS", 2 * 4 * 1000)
    assert browsed(tmp_path, most=4).tasks[0].documents[3].baseline.cut == 8_000
    assert browsed(tmp_path, most=8).tasks[0].documents[3].baseline.cut == 9_000
    text = Outline(report(tmp_path, samples=4)).text
    assert "empty answer" in text
    assert "and 2 further answers" in text
    assert re.search(r"Scored\s*42", text)
    assert re.search(r"Document 2\s*7", text)
    assert "[null]" in text
    assert "8,000 further characters in the samples file" in text


# Where they went


def test_the_matrix_counts_from_which_language_to_which(tmp_path):
    write(
        tmp_path,
        none=[GERMAN, GERMAN, GERMAN, ENGLISH, ""],
        de_zero=[ENGLISH, ENGLISH, GERMAN, CHINESE, GERMAN],
        zh_mean=[GERMAN, GERMAN, GERMAN, ENGLISH, ""],
    )
    found = {condition: (line, table) for condition, line, table in browsed(tmp_path).matrices}
    line, table = found["de:zero"]
    assert line == "4 of 5 answers in another language"
    assert table.columns == ("without intervention", "de", "en", "zh", "all")
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["de", "1", "2", "", "3"], ["en", "", "", "1", "1"], ["empty", "1", "", "", "1"],
    ]  # fmt: skip
    assert found["zh:mean"][0] == "0 of 5 answers in another language"


def test_without_a_baseline_the_language_asked_for_counts(tmp_path):
    write(tmp_path, de_zero=[ENGLISH, GERMAN])
    found = browsed(tmp_path)
    ((_, line, table),) = found.matrices
    assert line == "1 of 2 answers in another language"
    assert table.columns[0] == "asked for"
    assert [document.changed for document in found.tasks[0].documents] == [1, 0]
    assert found.telling == []


def test_telling_answers_are_of_interventions_in_another_language_and_no_guesses(tmp_path):
    control = "random1-de_zero"
    write(
        tmp_path, none=[GERMAN, GERMAN, ENGLISH], de_zero=["ok the", ENGLISH, GERMAN],
        zh_mean=[GERMAN, CHINESE, ENGLISH], **{control: [ENGLISH] * 3},
    )  # fmt: skip
    telling = browsed(tmp_path).telling
    assert {(one.answer.condition, one.number, one.answer.detected) for one in telling} == {
        ("de:zero", 1, "en"), ("zh:mean", 1, "zh"),
    }  # fmt: skip
    page = report(tmp_path)
    assert page.count('<li>\n<p class="who">') == 2
    assert page.index('class="telling"') < page.index("<table")


def test_what_is_not_comparable_is_shown_and_counted_nowhere(tmp_path):
    write(tmp_path, none=[GERMAN], de_zero=[ENGLISH], zh_mean=[ENGLISH])
    (path,) = (tmp_path / "de_zero").glob("results_*.json")
    edited(path, lambda document: document.update(chat_template_sha="another"))
    found = browsed(tmp_path)
    assert [condition for condition, *_ in found.matrices] == ["zh:mean"]
    assert [one.answer.condition for one in found.telling] == ["zh:mean"]
    (document,) = found.tasks[0].documents
    assert {answer.condition for answer in document.answers} == {"de:zero", "zh:mean"}
    assert found.tasks[0].notes == ["Not comparable, and counted nowhere: de:zero."]


@pytest.mark.parametrize("asked", [None, "ha"])
def test_without_baseline_and_a_language_to_find_nothing_is_counted(tmp_path, asked):
    write(tmp_path, de_zero=[ENGLISH, GERMAN])
    (path,) = tmp_path.rglob("results_*.json")
    stated = {"language": "de", "target": "ha"} if asked else {}
    edited(path, lambda d: d["configs"]["ask_de"].update(dataset_kwargs=stated, task="ask"))
    edited(path, lambda d: d["configs"].update(ask=d["configs"].pop("ask_de")))
    edited(path, lambda d: d["results"].update(ask=d["results"].pop("ask_de")))
    (logged,) = tmp_path.rglob("samples_*.jsonl")
    logged.rename(logged.with_name(logged.name.replace("ask_de", "ask")))
    found = browsed(tmp_path)
    assert found.matrices == []
    assert [answer.right for (answer,) in (d.answers for d in found.tasks[0].documents)] == [
        None
    ] * 2


def test_answers_that_differ_only_behind_what_is_shown_are_not_the_same(tmp_path):
    write(tmp_path, none=["wort " * 600 + "eins"], de_zero=["wort " * 600 + "zwei"])
    (document,) = browsed(tmp_path).tasks[0].documents
    assert document.answers[0].pieces
    assert document.baseline.cut == document.answers[0].cut > 0


# What differs


@pytest.mark.parametrize(
    ("text", "baseline", "pieces"),
    [
        ("the cat sat", "the cat sat", ["the cat sat"]),
        ("the  big black cat", "the cat", ["the  ", "+big black", " cat"]),
        (" a b c", "x b", [" ", "+a", " b ", "+c"]),
        ("the cat", "the cat sat", ["the cat"]),
        ("火车晚上出发", "火车早上出发", ["火车", "+晚", "上出发"]),
        ("รถไฟ", "รถไป", ["รถไ", "+ฟ"]),
        ("", "the cat", []),
        ("<b>x</b> y", "y", ["+<b>x</b>", " y"]),
    ],
)
def test_words_or_characters_that_the_baseline_lacks_are_marked(text, baseline, pieces):
    found = marked(text, baseline)
    assert ["+" * new + piece for piece, new in found] == pieces
    assert "".join(piece for piece, _ in found) == text


def test_a_long_text_is_marked_in_its_beginning():
    (start, new), (_, rest) = marked("neu " * 3 * MOST_WORDS, "alt")
    assert (start.count("neu"), new, rest) == (MOST_WORDS, True, False)


# What is left out


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("MOST_ANSWERS", 16, "The first 2 of 8 documents; counted are 8. The rest is in the sam"),
        ("MOST_ANSWERS", 2, "Left out after 4 answers: ask_zh."),
        ("MOST_CONDITIONS", 2, "2 further conditions left out"),
    ],
)
def test_a_page_holds_so_many_answers_and_says_what_it_leaves_out(
    sweep, tmp_path, monkeypatch, limit, value, said
):
    monkeypatch.setattr(browser, limit, value)
    page = report(sweep, tmp_path / "r.html", samples=1 if value == 2 else None)
    assert said in Outline(page).text


def test_the_own_condition_of_a_task_stays_where_many_are_left_out(sweep, monkeypatch):
    monkeypatch.setattr(browser, "MOST_CONDITIONS", 2)
    shown = {
        task.task: [one.condition for one in task.documents[0].answers]
        for task in browsed(sweep).tasks
    }
    assert shown == {"ask_de": ["de:zero"], "ask_zh": ["zh:zero"]}


def test_without_samples_the_page_says_so(tmp_path):
    write_run(tmp_path, "none", {"de": [sample(0, "p", GERMAN, 1.0)]}, samples=False)
    page = report(tmp_path)
    assert "Without logged samples (--log_samples): ask_de." in page
    assert "neither intervals nor tests" in page


@pytest.mark.slow
def test_the_number_of_documents_can_be_chosen(sweep):
    assert report(sweep, samples=1).count('class="document"') == 2
    assert [browsed(sweep, most=0).tasks, "--samples 0" in report(sweep, samples=0)] == [[], True]


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
    (task,) = browsed(tmp_path).tasks
    assert task.notes[0].startswith(f"de:zero: {path.parent}")
    assert task.documents[0].lacking == ["de:zero"]


@pytest.mark.slow
def test_huge_answers_take_little_memory(tmp_path):
    logged = [sample(n, "p" * 3_000_000, "wort " * 600_000, 1.0) for n in range(8)]
    write_run(tmp_path, "none", {"de": logged})
    del logged
    browsed(tmp_path, most=1)  # what is imported, and the language model
    tracemalloc.start()
    try:
        browsed(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()
