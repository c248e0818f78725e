"""`lsn-eval judge`: saved generations to grades and win rates, and messages for what cannot be."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from builders.commands import printed, refused
from builders.results_files import DIGEST, write_document
from builders.scripted_server import KEY, ScriptedServer, always, asked

from lsn_eval.judge import Answer
from lsn_eval.judge.answers import load_saved, spool
from lsn_eval.judge.prompts import GRADE, PAIR

DATE = "2026-01-02T03-04-05.678901"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)


judge = functools.partial(printed, "judge")


def row(number: int, answer: str, question: str | None = None) -> dict:
    """A sample as lm-eval writes it."""
    asked_for = question or f"question {number}?"
    return {
        "doc_id": number, "doc": {"question": asked_for, "language": "de"}, "target": "",
        "arguments": {"gen_args_0": {"arg_0": f"Q: {asked_for}\nA:", "arg_1": {"until": []}}},
        "resps": [[answer]], "filtered_resps": [answer], "filter": "none", "metrics": [],
    }  # fmt: skip


def run_of(
    folder: Path, condition: str, answers: list[str], task: str = "lsn_mvicuna_de", date: str = DATE
) -> Path:
    """A folder as `lm_eval --log_samples --output_path` leaves it."""
    logged = {task: [row(*answer) for answer in enumerate(answers)]}
    results = {task: {"bypass,none": 999}}
    write_document(folder, results, condition=condition, samples=logged, stamp=date)
    return folder


SIGNATURE = (
    f"model:lsn_demo|dtype:float32|mask:sha256-{DIGEST[:12]}|method:planted|condition:de:zero|"
    "hookpoint:mlp.act|data:lsn_mvicuna_de:1.0|v0.1.0"
)


def test_a_folder_a_results_file_and_a_samples_file_are_the_same(tmp_path):
    folder = run_of(tmp_path / "run", "de:zero", ["eins", "zwei\u2028drei"])
    files = [folder, *folder.iterdir()]
    logged = next(folder.glob("samples_*"))  # where a line of JSON may hold an end of a line
    logged.write_text(logged.read_text().replace(r"\u2028", "\u2028"), "utf-8")
    loaded = [load_saved(path)[0] for path in files]
    assert loaded[0] == loaded[1] == loaded[2]
    assert loaded[0].signature == SIGNATURE
    assert loaded[0].condition == "de:zero"
    assert [a.answer for a in loaded[0].answers] == ["eins", "zwei\u2028drei"]


def test_a_spool_file_holds_what_was_put_in(tmp_path):
    given = load_saved(run_of(tmp_path / "run", "none", ["a", "", "中\n文"]))[0].answers
    path = spool(tmp_path / "s", "task", given)
    assert path.name.startswith("task.")
    assert spool(tmp_path / "s", "task", given) == path
    assert spool(tmp_path / "s", "task", given[:2]) != path
    assert load_saved(path)[0].answers == given
    assert load_saved(path)[0].task == "task"
    half = spool(tmp_path / "s", "task", [Answer("0", "q", "half \ud83d")])
    assert load_saved(half)[0].answers == (Answer("0", "q", "half ?"),)


@pytest.mark.slow
def test_grades_of_two_runs_with_both_signatures(tmp_path):
    one = run_of(tmp_path / "one", "none", ["gut", "gut", "gut"])
    two = run_of(tmp_path / "two", "de:zero", ["gut", "bad", "worse"])

    def script(number, body):
        text = asked(body)
        return "none at all" if "worse" in text else f"Grade: {2 if 'bad' in text else 8}"

    with ScriptedServer(script).running() as server:
        arguments = (one, two, "--model", "gpt", "--base-url", server.url, "--out", "g.json",
                     "--price-input", 2, "--price-output", 8, "--attempts", 2)  # fmt: skip
        said = judge(*arguments)
        # One answer is the same on both sides: asked once.
        assert server.requests == 3 + 1 + 2
        assert "g.json is there already and would be lost" in refused("judge", *arguments)
        judge(*arguments, "--force")
        assert server.requests == 6
    written = json.loads((tmp_path / "g.json").read_text())
    assert (written["format"], written["version"]) == ("lsn_judge", 1)
    assert written["judge"]["signature"] == f"judge:gpt|prompt:sha256-{GRADE.digest[:12]}"
    assert written["judge"]["prompt"] == {"name": "grade", "version": 1, "digest": GRADE.digest}
    assert written["judge"]["parameters"] == {"temperature": 0, "max_tokens": 1024}
    first, second = written["graded"]
    assert (first["mean_grade"], first["judged"], first["unjudged"]) == (8.0, 3, 0)
    assert (second["mean_grade"], second["judged"], second["unjudged"]) == (5.0, 2, 1)
    assert second["signature"] == SIGNATURE
    assert second["grades"][2] == {
        "doc_id": "2", "grade": None, "unjudged": "none of 2 replies could be read",
        "replies": ["none at all", "none at all"],
    }  # fmt: skip
    assert written["usage"]["cost"] == 0
    assert "lsn_mvicuna_de de:zero 3 2 1 5.00 [2.00, 8.00]" in " ".join(said.split())
    assert f"de:zero: {SIGNATURE}|judge:gpt|prompt:sha256-" in said
    assert "1 unjudged: none of 2 replies could be read" in said
    assert f"cost {(600 * 2 + 60 * 8) / 1e6:.4f}" in said
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes()


@pytest.mark.slow
def test_pairwise(tmp_path):
    one = run_of(tmp_path / "one", "none", ["good 0", "good 1", "same", "good 3"])
    two = run_of(tmp_path / "two", "de:zero", ["bad 0", "bad 1", "same", "bad 3"])

    def script(number, body):
        text = asked(body)
        if "question 3?" in text:
            return "Verdict: tie"
        good_is_a = text.index("good ", text.index("<answer_A>")) < text.index("<answer_B>")
        return "Verdict: A" if good_is_a else "Verdict: B"

    with ScriptedServer(script).running() as server:
        said = judge(
            one, two, "--pairwise", "--model", "gpt", "--base-url", server.url, "--out", "p.json"
        )
        assert server.requests == 6
    written = json.loads((tmp_path / "p.json").read_text())
    assert written["judge"]["prompt"]["digest"] == PAIR.digest
    (entry,) = written["pairwise"]
    assert (entry["wins"], entry["losses"], entry["ties"], entry["unjudged"]) == (2, 0, 2, 0)
    assert entry["ties_because"] == {"tie": 1, "orders_disagree": 0, "same_answer": 1}
    assert entry["win_rate"] == 1.0
    assert entry["interval_95"][0] == pytest.approx(0.3424, abs=1e-4)
    assert entry["second"]["signature"] == SIGNATURE
    assert "none de:zero 2 0 2 0 1.00 [0.342, 1.00] 0.5" in " ".join(said.split())


@pytest.fixture
def runs(tmp_path) -> Path:
    run_of(tmp_path / "one", "none", ["a", "b"])
    run_of(tmp_path / "two", "de:zero", ["a", "b", "c"])
    run_of(tmp_path / "fr", "none", ["a"], task="lsn_mvicuna_fr")
    run_of(tmp_path / "fr", "none", ["a"])
    run_of(tmp_path / "dates", "none", ["a"])
    run_of(tmp_path / "dates", "none", ["a"], date=DATE.replace("2026", "2027"))
    (tmp_path / "empty").mkdir()
    files = {
        "results_x.json": "{}",
        "broken.jsonl": '{"doc_id": 1',
        "latin.jsonl": json.dumps(row(0, "a")) + '\n{"a": "\xfc"}',
        "deep.jsonl": "[" * 100_000,
        "half.jsonl": json.dumps(row(0, "\ud800")),
        "typed.jsonl": '{"doc_id": 0, "question": "q", "answer": 7}',
        "unnumbered.jsonl": '{"question": "q", "answer": "a"}',
        "blank.jsonl": "\n",
        "scores.jsonl": json.dumps(row(0, "a") | {"filtered_resps": [[-1.5, True]]}),
        "twice.jsonl": json.dumps(row(0, "a")) + "\n" + json.dumps(row(0, "b")),
        "other.jsonl": json.dumps(row(0, "a")) + "\n" + json.dumps(row(1, "b", "another?")),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, "latin-1")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("absent",), "absent does not exist"),
        (("empty",), "no samples belong to empty; run lm-eval with --log_samples"),
        (("results_x.json",), "no samples belong to"),
        (("dates",), "holds samples of several runs"),
        (("broken.jsonl",), "broken.jsonl, line 1 cannot be read as JSON"),
        (("latin.jsonl",), "latin.jsonl, line 2 is not UTF-8"),
        (("deep.jsonl",), "deep.jsonl, line 1: JSON nested deeper"),
        (("half.jsonl",), "half.jsonl, line 1 holds half a character"),
        (("typed.jsonl",), "typed.jsonl, line 1: answer is 7; a text was expected"),
        (("unnumbered.jsonl",), "unnumbered.jsonl, line 1 has no doc_id"),
        (("blank.jsonl",), "holds no answers"),
        (("scores.jsonl",), "line 1 holds no generated answer"),
        (("twice.jsonl",), "holds 2 answers to 1 documents"),
        (("one", "--pairwise"), "compares two runs and 1 were given"),
        (("one", "two", "--pairwise"), "document 2 (1 in all) is in"),
        (("one", "other.jsonl", "--pairwise"), "document 1 asks 'question 1?'"),
        (("one", "fr", "--pairwise"), "different tasks: lsn_mvicuna_de and lsn_mvicuna_de, lsn_mv"),
        (("one", "--out", "no/such/g.json"), "no/such does not exist; create it"),
        (("one", "--out", "empty"), "empty is a folder"),
        (("one", "--price-input", "1"), "needs both"),
        (("one", "--price-input", "-1", "--price-output", "1"), "price -1.0: a number from 0"),
        (("one", "--parameters", "{"), "--parameters cannot be read as JSON"),
        (("one", "--parameters", "[1]"), "a JSON object was expected"),
        (("one", "--timeout", "0"), "timeout=0"),
        (("one", "--base-url", "localhost:1"), "no http"),
        (("one", "--concurrency", "0"), "Invalid value for '--concurrency'"),
    ],
)
def test_bad_input_gives_a_message_exit_2_and_no_file(runs, arguments, message):
    before = sorted(runs.rglob("*"))
    with always("Grade: 1").running() as server:
        base = () if "--base-url" in arguments else ("--base-url", server.url)
        assert message in refused("judge", *arguments, "--model", "gpt", *base)
        assert server.requests == 0
    after = [path for path in runs.rglob("*") if "lsn_judge" not in path.parts]
    assert sorted(after) == before


def test_without_the_package_or_a_key_there_is_a_message_and_no_file(runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    for message in ("pip install 'lsn-eval[judge]'", "set the environment variable OPENAI_API_KEY"):
        assert message in refused("judge", "one", "--model", "gpt")
        assert not (runs / "graded.json").exists()
        assert not (runs / "lsn_judge").exists()
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.mark.slow
def test_a_judge_that_breaks_off_leaves_no_partial_file_and_goes_on_later(runs):
    with ScriptedServer(
        lambda n, body: "Grade: 4" if n < 1 else ("status", 401)
    ).running() as server:
        asked_for = ("two", "--model", "gpt", "--base-url", server.url, "--concurrency", 1)
        said = refused("judge", *asked_for)
        assert "Replies so far are kept: run the same command again" in said
        assert not (runs / "graded.json").exists()
    with always("Grade: 4").running() as server:
        judge("two", "--model", "gpt", "--base-url", server.url)
        assert server.requests == 2


@pytest.mark.parametrize("options", [(), ("two.jsonl", "--pairwise")])
def test_nothing_graded_is_a_failure_with_a_reason_and_a_file(runs, options):
    (runs / "two.jsonl").write_text(json.dumps(row(0, "c")) + "\n" + json.dumps(row(1, "d")))
    with always("\x1b[2J I cannot say.").running() as server:
        asked_for = ("one", *options, "--model", "gpt", "--base-url", server.url, "--attempts", 1)
        said = judge(*asked_for, status=1)
    assert said.count("nothing could be graded") == 1
    assert "2 unjudged: unreadable reply" in said
    usage = json.loads((runs / "graded.json").read_text())["usage"]
    assert usage["replies"] == 2 + 2 * bool(options)


def test_the_judge_sees_the_passage_that_a_question_is_about(tmp_path):
    sample = row(0, "Rom", "Welche Stadt?")
    sample["doc"]["context"] = "Rom ist alt."
    (tmp_path / "samples_lsn_xquad_de.jsonl").write_text(json.dumps(sample))
    (saved,) = load_saved(tmp_path / "samples_lsn_xquad_de.jsonl")
    assert saved.answers == (Answer("0", "Rom ist alt.\n\nWelche Stadt?", "Rom"),)


def test_a_prompt_stands_for_a_question_that_the_document_lacks(tmp_path):
    sample = row(0, "a")
    del sample["doc"]["question"]
    (tmp_path / "samples_x.jsonl").write_text(json.dumps(sample))
    saved = load_saved(tmp_path / "samples_x.jsonl")[0]
    assert (saved.task, saved.answers[0].question) == ("x", "Q: question 0?\nA:")
    assert saved.signature is None


@pytest.mark.slow
def test_neither_the_commands_nor_the_judge_import_openai_before_they_ask():
    code = (
        "import sys, lsn_eval.cli, lsn_eval.judge, lsn_eval.judge.report\n"
        "assert not {'openai', 'torch', 'lm_eval'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
