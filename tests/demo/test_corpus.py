"""The text behind the embedded model: what is held out is what ships, and nothing else sees it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import demo_corpus
import pytest
import write_example_texts

from lsn_eval.storage.shipped import tasks_dir

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("en", "de", "nl", "ru", "ar", "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_held_out_documents_are_those_that_ship(language):
    path = tasks_dir() / "demo" / "data" / f"{language}.jsonl"
    shipped = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    made = list(demo_corpus.held_out_documents(language))
    assert [(d.id, d.text) for d in made] == [(d["id"], d["text"]) for d in shipped]
    assert len({document["text"] for document in shipped}) == 48


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.slow
def test_training_recording_and_held_out_text_share_no_pair(language):
    held_out = {document.pair for document in demo_corpus.held_out_documents(language)}
    recorded = {document.pair for document in demo_corpus.recording_documents(language, 300, 1)}
    endless = demo_corpus.training_documents(language, 1)
    trained = {document.pair for document in itertools.islice(endless, 1500)}
    assert held_out
    assert not held_out & recorded
    assert not held_out & trained
    assert not recorded & trained


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_texts_of_the_examples_are_the_recording_documents(language):
    shipped = (ROOT / "examples" / "texts" / f"{language}.txt").read_text("utf-8").splitlines()
    assert shipped == write_example_texts.lines(language)
    parallel = (ROOT / "examples" / "parallel" / f"{language}.txt").read_text("utf-8").splitlines()
    assert parallel == write_example_texts.parallel_lines(language)


def test_the_text_is_the_same_for_a_seed_and_another_for_another():
    first = [document.text for document in demo_corpus.recording_documents("ru", 20, 7)]
    assert first == [document.text for document in demo_corpus.recording_documents("ru", 20, 7)]
    assert first != [document.text for document in demo_corpus.recording_documents("ru", 20, 8)]
