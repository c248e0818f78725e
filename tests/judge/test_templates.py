"""Prompts of the user's: what is sent, what is read, what is refused."""

from __future__ import annotations

import json

import pytest
from builders.commands import printed, refused
from builders.scripted_server import ScriptedServer

from lsn_eval.judge import Answer, JudgeError
from lsn_eval.judge.answers import spool
from lsn_eval.judge.prompts import GRADE
from lsn_eval.judge.templates import load_template, read_choice, read_rating

SINGLE = "Rate from 1 to 10.\n[Question]\n{question}\n[Answer]\n{answer}\nAs {{x}}: [[rating]]"
PAIR = "{question}\n[A]\n{answer_a}\n[B]\n{answer_b}\nSay [[A]], [[B]] or [[C]]"


@pytest.fixture
def templates(tmp_path):
    """A file in the format of FastChat's, and answers to judge."""
    lines = [
        {
            "name": "single",
            "type": "single",
            "system_prompt": "Be fair.",
            "prompt_template": SINGLE,
        },
        {"name": "pair", "type": "pairwise", "system_prompt": "", "prompt_template": PAIR},
    ]
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "single.txt").write_text(SINGLE)
    return path


def judge(server, tmp_path, *words):
    return printed(
        "judge", *words, "--model", "judge", "--base-url", server.url, "--attempts", 2,
        "--cache", tmp_path / "cache", "--out", tmp_path / "out.json", "--force",
    )  # fmt: skip


def test_answers_are_graded_with_a_template_named_in_the_signature(tmp_path, templates):
    answers = spool(
        tmp_path,
        "lsn_mvicuna_de",
        [Answer("0", "Warum {x}?", "Darum."), Answer("1", "Wer?", "Er.")],
    )
    replies = ["Good: [[7.5]]", "no rating", "Rating: [[9]]"]
    with ScriptedServer(lambda number, body: replies[number]).running() as server:
        judge(server, tmp_path, answers, "--template", f"{templates}:single", "--concurrency", 1)
        document = json.loads((tmp_path / "out.json").read_text())
        (first, again, last) = (body["messages"] for body in server.bodies)
        assert first == [
            {"role": "system", "content": "Be fair."},
            {
                "role": "user",
                "content": SINGLE.replace("{question}", "Warum {x}?", 1)
                .replace("{answer}", "Darum.")
                .replace("{{x}}", "{x}"),
            },
        ]
        assert again[1]["content"].startswith("Rate from")
        assert last[1]["content"].startswith(again[1]["content"])
        assert "[[5]]" in last[1]["content"]
        assert [entry["grade"] for entry in document["graded"][0]["grades"]] == [7.5, 9]
        assert document["graded"][0]["mean_grade"] == 8.25
        kind, prompt = load_template(f"{templates}:single")
        assert kind == "graded"
        assert prompt.digest != GRADE.digest
        assert document["judge"]["signature"] == f"judge:judge|prompt:sha256-{prompt.digest[:12]}"

        # The same without a system prompt, from a file of text: another prompt, asked anew.
        replies.extend(["[[1]]", "[[2]]"])
        judge(server, tmp_path, answers, "--template", tmp_path / "single.txt", "--concurrency", 1)
        assert [message["role"] for message in server.bodies[-1]["messages"]] == ["user"]
        assert (
            json.loads((tmp_path / "out.json").read_text())["judge"]["signature"]
            != document["judge"]["signature"]
        )


def test_pairs_are_compared_with_a_template(tmp_path, templates):
    sides = [
        spool(tmp_path / side, "t_de", [Answer("0", "Wer?", side), Answer("1", "Wo?", side)])
        for side in ("er", "sie")
    ]

    def prefers_er_and_ties_on_wo(number, body):
        said = body["messages"][-1]["content"]
        return (
            "[[C]]" if said.startswith("Wo?") else "[[A]]" if "[A]\ner" in said else "It is [[B]]."
        )

    with ScriptedServer(prefers_er_and_ties_on_wo).running() as server:
        judge(server, tmp_path, *sides, "--pairwise", "--template", f"{templates}:pair")
    document = json.loads((tmp_path / "out.json").read_text())
    assert [c["result"] for c in document["pairwise"][0]["comparisons"]] == ["first", "tie"]


@pytest.mark.parametrize(
    ("reply", "rating", "choice"),
    [
        ("Rating: [[5]]", 5, None),
        ("[[10]]. I repeat: [[10]]", 10, None),
        ("[[3]] or [[4]]", None, None),
        ("[[0]]", None, None),
        ("[[11]]", None, None),
        ("[5]", None, None),
        ("[[rating]]", None, None),
        ("[[A]]", None, "A"),
        ("Verdict [[C]]", None, "tie"),
        ("[[A]] is good, but [[B]]", None, None),
        ("[[D]]", None, None),
        ("", None, None),
    ],
)
def test_a_verdict_is_one_or_none(reply, rating, choice):
    assert (read_rating(reply), read_choice(reply)) == (rating, choice)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Rate this.", "has no placeholders"),
        ("{answer}", r"has \{answer\} placeholders; \{question\} and"),
        ("{question} {answer} {ref_answer_1}", "ref_answer_1"),
        ("{question.__class__} {answer}", "__class__"),
        ("{question!r} {answer}", "placeholders"),
        ("{question:>99999999999} {answer}", "placeholders"),
        ("{question} {answer} {", "a brace that is meant is doubled"),
    ],
)
def test_another_placeholder_is_refused(tmp_path, text, message):
    path = tmp_path / "template.txt"
    path.write_text(text)
    with pytest.raises(JudgeError, match=message):
        load_template(str(path))


def test_a_template_of_the_other_kind_or_name_is_refused(tmp_path, templates):
    answers = spool(tmp_path, "t_de", [Answer("0", "Wer?", "Er.")])
    words = [
        "judge",
        answers,
        "--model",
        "m",
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--cache",
        tmp_path / "c",
        "--out",
        tmp_path / "o",
    ]
    assert "are pairwise, and these are to be graded" in refused(
        *words, "--template", f"{templates}:pair"
    )
    assert "0 templates called 'triple'" in refused(*words, "--template", f"{templates}:triple")
    assert "of single, pair" in refused(*words, "--template", templates)
    assert not (tmp_path / "o").exists()
