"""Data on this machine: where it is looked for, what is refused."""

from __future__ import annotations

import json

import pytest

from lsn_eval.lm_tasks.local_data import (
    LocalDataError,
    data_root,
    local_file,
    read_json_lines,
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
    assert read_json_lines(path, ["a", "b"]) == rows
    for content, message in (
        ('{"a": 1}', "line 1: b is missing; columns a, b"),
        ('{"a": 1, "b": 2}\n{"a"', "line 2: no JSON"),
        ("[1]", "a, b is missing"),
        ("\n", "holds no rows"),
    ):
        path.write_text(content, "utf-8")
        with pytest.raises(LocalDataError, match=message):
            read_json_lines(path, ["a", "b"])
