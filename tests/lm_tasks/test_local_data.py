"""Data on this machine: where it is looked for, what is refused."""

from __future__ import annotations

import json

import pytest
from builders.our_tasks import load_task

from lsn_eval.lm_tasks.local_data import (
    LocalDataError,
    data_root,
    json_rows,
    local_file,
    refuse_secrets,
)


@pytest.mark.parametrize(
    "metadata",
    [
        {"api_key": "x"},
        {"OPENAI_API_KEY": "x"},
        {"hf_token": "x"},
        {"token": "x"},
        {"judge_key": "x"},
        {"password": "x"},
        {"note": "sk-123"},
        {"note": "hf_123"},
        {"header": "Bearer 123"},
    ],
)
def test_a_secret_in_the_metadata_is_refused_and_not_repeated(metadata):
    ((name, value),) = metadata.items()
    with pytest.raises(LocalDataError) as caught:
        refuse_secrets(metadata)
    assert repr(name) in str(caught.value)
    assert "OPENAI_API_KEY" in str(caught.value)
    if len(value) > 1:
        assert value not in str(caught.value)


def test_model_arguments_are_no_secrets():
    refuse_secrets(
        {
            "pretrained": "a/b", "tokenizer": "a/b", "add_bos_token": "True", "prefix_token_id": 3,
            "think_end_token": "</think>", "tokens": "10M", "keyboard": "x", "token": None,
        }
    )  # fmt: skip


def test_the_folder_comes_from_the_metadata_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("LSN_EVAL_DATA", raising=False)
    assert data_root({}) is None
    monkeypatch.setenv("LSN_EVAL_DATA", str(tmp_path))
    assert data_root({}) == tmp_path
    other = tmp_path / "other"
    other.mkdir()
    assert data_root({"data_root": str(other)}) == other
    with pytest.raises(LocalDataError, match="absent does not exist"):
        data_root({"data_root": str(tmp_path / "absent")})


def test_a_missing_file_names_every_place_and_where_to_get_it(tmp_path):
    (tmp_path / "b").write_text("x")
    assert local_file(tmp_path, ["a", "b"], "get it") == tmp_path / "b"
    with pytest.raises(LocalDataError) as caught:
        local_file(tmp_path, ["a", "c"], "get it from example.org")
    assert str(tmp_path / "a") in str(caught.value)
    assert str(tmp_path / "c") in str(caught.value)
    assert "get it from example.org" in str(caught.value)


def test_json_lines_are_lines_of_json_and_of_nothing_else(tmp_path):
    path = tmp_path / "x.jsonl"
    rows = [{"a": "one\u2028two\u0085three", "b": 1}, {"a": "", "b": 2}]
    path.write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", "utf-8"
    )
    assert [row.value for row in json_rows(path)] == rows
    for content, message in (
        ('{"a": 1}', "line 1 lacks b; a text was expected"),
        ('{"a": 1, "b": 2}', "line 1: b is 2; a text was expected"),
        ('{"a": 1, "b": ""}\n\n{"a"', "line 3 cannot be read as JSON"),
        ("[1]", r"line 1 is \[1\]; an object was expected"),
        ('{"b": "\\ud800"}', "half a character"),
        ("[" * 9_999, "nested deeper"),
        ("\n", "holds no rows"),
    ):
        path.write_text(content, "utf-8")
        with pytest.raises(LocalDataError, match=message):
            [row.text("b") for row in json_rows(path)]


NOT_UTF8 = "ä".encode("latin-1")
TSV = b"language\tgold_label\tsentence1\tsentence2\n"
PARAGRAPH = b'{"data": [{"paragraphs": [{"context": "a", "qas": [%s]}]}]}'


@pytest.mark.parametrize(
    ("task", "file", "content", "message"),
    [
        ("lsn_xquad_de", "xquad/xquad.de.json", NOT_UTF8, "not UTF-8"),
        ("lsn_xquad_de", "xquad/xquad.de.json", b"{", "cannot be read as JSON"),
        ("lsn_xquad_de", "xquad/xquad.de.json", b"[" * 9_999, "nested deeper"),
        ("lsn_xquad_de", "xquad/xquad.de.json", b"[1]", "an object was expected.*deepmind/xquad"),
        ("lsn_xquad_de", "xquad/xquad.de.json", b'{"paragraphs": []}', "lacks data; a list"),
        ("lsn_xquad_de", "xquad/xquad.de.json", b'{"data": []}', "holds no questions"),
        ("lsn_xquad_de", "xquad/xquad.de.json", b'{"data": [{"paragraphs": [{"context": 1}]}]}',
         "data 1: paragraphs 1 lacks qas"),
        ("lsn_xquad_de", "xquad/xquad.de.json",
         PARAGRAPH % b'{"id": "7", "question": "b", "answers": []}', "qas 1 has 0 answers"),
        ("lsn_xquad_de", "xquad/xquad.de.json",
         PARAGRAPH % b'{"id": 7, "question": "b", "answers": []}', "id is 7; a text"),
        ("lsn_xquad_de", "xquad/xquad.de.json",
         PARAGRAPH % b'{"id": "7", "question": "b", "answers": [{"text": "a", "answer_start": -1}]}',
         "answers 1: answer_start is -1"),
        ("lsn_xquad_de", "xquad/de.validation.jsonl",
         b'\n{"id": "1", "context": "a", "question": "b", "answers": {"text": ["a"], "answer_start": ["0"]}}',
         "line 2: answers: answer_start is .*; a list of whole numbers"),
        ("lsn_xquad_de", "xquad/de.validation.jsonl",
         b'{"id": "1", "context": "a", "question": "b", "answers": {"text": ["a"], "answer_start": []}}',
         "line 1 has 1 answers and 0 places"),
        ("lsn_mvicuna_de", "mvicuna/de.txt", NOT_UTF8, "not UTF-8"),
        ("lsn_mvicuna_de", "mvicuna/de.jsonl", b'{"question": 3}', "line 1: question is 3"),
        ("lsn_flores_en_de", "flores200_dataset/devtest/eng_Latn.devtest", NOT_UTF8, "not UTF-8"),
        ("lsn_flores_en_de", "flores_plus/devtest/eng_Latn.jsonl", b'{"id": 1, "text": []}', "text is"),
        ("lsn_xnli_de", "XNLI-1.0/xnli.dev.tsv", NOT_UTF8, "not UTF-8"),
        ("lsn_xnli_de", "XNLI-1.0/xnli.dev.tsv", b"", "its first line names none"),
        ("lsn_xnli_de", "XNLI-1.0/xnli.dev.tsv", TSV.replace(b"\tsentence2", b""),
         "no column sentence2"),
        ("lsn_xnli_de", "XNLI-1.0/xnli.dev.tsv", TSV + b"de\tmaybe\ta\tb\n",
         "line 2: label 'maybe' is none of entailment, neutral, contradiction"),
        ("lsn_xnli_de", "XNLI-1.0/xnli.dev.tsv", TSV + b"fr\tneutral\ta\tb\n",
         "no rows in 'de'; it has fr"),
        ("lsn_xnli_de", "XNLI-1.0/xnli.dev.tsv", TSV + b"de\tneutral\ta\n",
         "line 2: fewer fields"),
        ("lsn_xnli_de", "XNLI-1.0/xnli.dev.tsv", TSV + b"de\tneutral\ta\rb\tc\n", "damaged"),
        ("lsn_xnli_de", "XNLI-1.0/xnli.dev.tsv", TSV + b"de\tneutral\t" + b"a" * 200_000, "damaged"),
        ("lsn_xnli_de", "xnli/de.validation.jsonl",
         b'{"premise": "a", "hypothesis": "b", "label": [1]}', r"label \[1\] is none of"),
        ("lsn_xnli_de", "xnli/de.validation.jsonl",
         b'{"premise": 1, "hypothesis": "b", "label": 1}', "premise is 1; a text"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_an_error_that_says_what_and_where(
    tmp_path, task, file, content, message
):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(LocalDataError, match=message) as caught:
        load_task(task, data_root=str(tmp_path))
    assert str(path) in str(caught.value)
