"""What is trained on: prompts and answers as tasks have them, and lines of files."""

from __future__ import annotations

import json

import pytest
from builders.our_tasks import write_files

from lsn_eval.errors import LsnError
from lsn_eval.lm_tasks.training_examples import training_examples

PAIR = {"premise": "It rains.", "hypothesis": "It is wet.", "label": 1}
SQUAD = {
    "data": [{"paragraphs": [{"context": "Ann is six.", "qas": [
        {"id": "1", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}]}
    ]}]}]
}  # fmt: skip


@pytest.fixture
def root(tmp_path, monkeypatch):
    files = {
        "xnli/en.validation.jsonl": json.dumps(PAIR),
        "xnli/en.train.jsonl": "\n".join([json.dumps(PAIR | {"label": n}) for n in (2, 0)]),
        "xquad/xquad.en.json": json.dumps(SQUAD),
        "lines.jsonl": json.dumps({"prompt": "1 + 1 =", "answer": " 2"}),
    }
    monkeypatch.setenv("LSN_EVAL_DATA", str(tmp_path))
    return write_files(tmp_path, files)


def test_of_choices_the_right_one_is_learned_from_where_they_differ(root):
    examples = training_examples("lsn_xnli_en", head=False)
    assert list(examples.rows) == [
        (" It rains., right? ", "No, It is wet."),
        (" It rains., right? ", "Yes, It is wet."),
    ]
    assert not examples.ends
    assert not examples.scored_split
    assert len(training_examples("lsn_xnli_en", head=False, most=1).rows) == 1


def test_questions_are_asked_as_the_task_asks_them_and_the_split_is_said(root):
    asked = ("Context: Ann is six.\n\nQuestion: Who?\n\nAnswer:", " Ann")
    of_task = training_examples("lsn_xquad_en", head=False)
    of_file = training_examples(str(root / "xquad" / "xquad.en.json"), head=False)
    assert list(of_task.rows) == list(of_file.rows) == [asked]
    assert of_task.ends
    assert of_file.ends
    assert (of_task.scored_split, of_file.scored_split) == (True, False)
    assert of_task.described()["digest"] == of_file.described()["digest"]


def test_a_head_learns_classes(root):
    rows = list(training_examples("lsn_xnli_en", head=True).rows)
    assert rows == [("It rains.", "It is wet.", 2), ("It rains.", "It is wet.", 0)]


@pytest.mark.parametrize(
    ("source", "head", "message"),
    [
        ("lines.jsonl", True, "lacks label|lacks premise|label None"),
        ("xquad/xquad.en.json", True, "premise, hypothesis and label were expected"),
        ("xnli/en.train.jsonl", False, "lacks prompt"),
        ("nowhere.jsonl", False, "cannot be read"),
        ("no_such_task", False, "is no task"),
        ("lsn_demo_ppl_de", False, "asks for no answers"),
    ],
)
def test_what_is_no_example_is_said(root, source, head, message):
    name = str(root / source) if "." in source else source
    with pytest.raises(LsnError, match=message):
        training_examples(name, head=head)
