"""The judge against a server that misbehaves: nothing lost, counts right, no key anywhere."""

from __future__ import annotations

import itertools
import re
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from builders.scripted_server import KEY, ScriptedServer, always, answers, asked, graded, session

from lsn_eval.judge import Answer, JudgeError, JudgeSession, JudgeSettings
from lsn_eval.judge.grades import GradeSummary
from lsn_eval.judge.session import GIVE_UP_AFTER
from lsn_eval.judge.settings import Prices


@pytest.mark.slow
def test_every_kind_of_failure_is_asked_again_and_nothing_is_lost(tmp_path):
    acts = [
        ("status", 429, {"Retry-After": "1"}), ("status", 500), ("status", 503),
        ("raw", b"{nonsense"), ("raw", b'{"choices": []}'), ("raw", b'"text"'),
        ("cut",), ("silence",), "No grade here.",
    ]  # fmt: skip

    def script(number, body):
        which = int(re.search(r"question (\d+)\?", asked(body))[1])
        return acts[number] if number < len(acts) else f"Sound.\nGrade: {which % 10 + 1}"

    with ScriptedServer(script).running() as server:
        grades, judge = graded(server, tmp_path, answers(20), concurrency=3)
        assert [g.grade for g in grades] == [i % 10 + 1 for i in range(20)]
        assert judge.usage.retried == {
            "HTTP 429": 1, "HTTP 500": 1, "HTTP 503": 1, "reply is no chat completion": 3,
            "connection failed": 1, "time-out": 1,
        }  # fmt: skip
        assert judge.usage.requests == server.requests == 20 + len(acts)
        assert judge.usage.replies == 21  # one reply had no grade
        assert server.authorizations == {f"Bearer {KEY}"}

        again, judge = graded(server, tmp_path, answers(20))
        assert server.requests == 29
        assert again == grades
        assert judge.usage.requests == judge.usage.prompt_tokens == 0
        assert (judge.usage.cached, judge.usage.cached_prompt_tokens) == (21, 2100)


@pytest.mark.slow
def test_retry_after_is_honoured_and_delays_grow(tmp_path):
    acts = [("status", 429, {"Retry-After": "1"}), ("status", 500), ("status", 500), "Grade: 5"]
    with ScriptedServer(lambda number, body: acts[number]).running() as server:
        grades, _ = graded(server, tmp_path, answers(1), first_delay=0.2)
    waited = [b - a for a, b in itertools.pairwise(server.times)]
    assert grades[0].grade == 5
    # At least half of 0.4 s, then of 0.8 s.
    assert all(seconds >= least for seconds, least in zip(waited, (1, 0.2, 0.4), strict=True))


def test_a_reply_without_a_grade_is_asked_again_then_unjudged_and_never_averaged(tmp_path):
    def script(number, body):
        if "question 0?" in asked(body):
            return "I would say seven."
        if "question 1?" in asked(body):
            return "Grade: 9" if "End your reply with" in asked(body) else "Grade: 11"
        if "question 2?" in asked(body):
            return ("reply", "Grade: 1", "length")  # the 0 of a 10 did not fit
        if "question 3?" in asked(body):
            return ("reply", None)
        return "Grade: 3"

    with ScriptedServer(script).running() as server:
        grades, judge = graded(server, tmp_path, answers(6), attempts=3)
        summary = GradeSummary.of(grades)
        assert [g.grade for g in grades] == [None, 9, None, None, 3, 3]
        assert (summary.judged, summary.unjudged, summary.mean_grade) == (3, 3, 5.0)
        assert summary.unjudged_because == {"none of 3 replies could be read": 3}
        assert grades[0].replies == ("I would say seven.",) * 3
        assert server.requests == judge.usage.replies == 3 + 2 + 3 + 3 + 1 + 1
        graded(server, tmp_path, answers(6), attempts=3)
        assert server.requests == 13  # unreadable replies cost nothing a second time either
        more, _ = graded(server, tmp_path, answers(6), attempts=4)
        assert server.requests == 16
        assert GradeSummary.of(more).unjudged == 3


def test_at_most_as_many_requests_at_a_time_as_asked(tmp_path):
    with always(("slow", 0.1, "Grade: 4")).running() as server:
        graded(server, tmp_path, answers(12), concurrency=4)
        assert 1 < server.most_under_way <= 4
        assert server.requests == 12


def test_what_decides_a_grade_is_in_the_cache_key(tmp_path):
    with always("Grade: 4").running() as server:
        one = answers(1)
        equal = [Answer(str(i), one[0].question, one[0].answer) for i in range(5)]
        grades, _ = graded(server, tmp_path, equal)
        assert [(g.doc_id, g.grade) for g in grades] == [(str(i), 4) for i in range(5)]
        graded(server, tmp_path, one, concurrency=1, retries=1)
        assert server.requests == 1
        graded(server, tmp_path, one, parameters={"temperature": 0.5})
        graded(server, tmp_path, [Answer("0", one[0].question, "another")])
        graded(server, tmp_path, one, model="other")
        assert server.requests == 4
        assert server.bodies[0]["temperature"] == 0
        assert server.bodies[1]["temperature"] == 0.5
        assert "max_tokens" not in server.bodies[1]


@pytest.mark.slow
def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    with always(("slow", 0.02, "Grade: 4")).running() as server:

        def interrupt(done, of):
            if done == 6:
                raise KeyboardInterrupt

        with (
            session(server, tmp_path, concurrency=2) as judge,
            pytest.raises(KeyboardInterrupt),
        ):
            judge.grade(answers(30), interrupt)
        before = server.requests
        assert 6 <= before < 30
        grades, judge = graded(server, tmp_path, answers(30))
        assert [g.grade for g in grades] == [4] * 30
        assert server.requests == 30, "what was under way was kept too"
        assert judge.usage.cached == before


@pytest.mark.slow
def test_a_killed_run_loses_only_what_was_under_way(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from lsn_eval.judge import *\n"
        "s = JudgeSettings(model='judge', base_url=sys.argv[1], concurrency=2)\n"
        "with JudgeSession(s, Path(sys.argv[2])) as judge:\n"
        "    judge.grade([Answer(str(i), f'question {i}?', f'answer {i}') for i in range(40)])\n"
    )
    with always(("slow", 0.05, "Grade: 4")).running() as server:
        process = subprocess.Popen([sys.executable, "-c", code, server.url, str(tmp_path)])
        deadline = time.monotonic() + 120
        while server.requests < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.1)
        before = server.requests
        assert 8 <= before < 40
        _, judge = graded(server, tmp_path, answers(40))
        assert before - 2 <= judge.usage.cached <= before
        assert judge.usage.requests == 40 - judge.usage.cached


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_judge_that_refuses_is_given_up_at_once(tmp_path, code):
    with always(("status", code)).running() as server:
        grades, judge = graded(server, tmp_path, answers(20), concurrency=1)
        assert server.requests == 1
        assert f"status {code}" in judge.stopped
        assert "refuses" in judge.stopped
        summary = GradeSummary.of(grades)
        assert (summary.judged, summary.unjudged, summary.mean_grade) == (0, 20, None)


@pytest.mark.slow
def test_a_judge_that_stays_away_is_given_up_and_its_earlier_grades_are_kept(tmp_path):
    with ScriptedServer(
        lambda n, body: "Grade: 6" if n < 3 else ("status", 500)
    ).running() as server:
        grades, judge = graded(server, tmp_path, answers(20), concurrency=1, retries=1)
        assert [g.grade for g in grades] == [6] * 3 + [None] * 17
        assert server.requests == 3 + 2 * GIVE_UP_AFTER
        assert f"{GIVE_UP_AFTER} requests in a row failed" in judge.stopped
    with always("Grade: 6").running() as server:
        grades, _ = graded(server, tmp_path, answers(20))
        assert [g.grade for g in grades] == [6] * 20
        assert server.requests == 17


def test_one_rejected_answer_is_unjudged_with_the_reason(tmp_path):
    def script(number, body):
        bad = "question 1?" in asked(body)
        return ("status", 400, {}, "context length exceeded") if bad else "Grade: 8"

    with ScriptedServer(script).running() as server:
        grades, judge = graded(server, tmp_path, answers(4))
        assert [g.grade for g in grades] == [8, None, 8, 8]
        assert "context length exceeded" in grades[1].reason
        assert judge.stopped is None
        assert server.requests == 4
    shown = judge.usage.as_json(Prices(2.5, 10))
    assert shown["cost"] == pytest.approx((300 * 2.5 + 30 * 10) / 1e6)
    assert shown["prices_per_million"] == {"input": 2.5, "output": 10}
    assert "cost" not in judge.usage.as_json()


def test_a_wait_of_hours_is_not_waited_for(tmp_path):
    with always(("status", 429, {"Retry-After": "7200"})).running() as server:
        grades, _ = graded(server, tmp_path, answers(1))
        assert grades[0].reason == "HTTP 429, to be asked again in 7200 s"
        assert server.requests == 1


def test_a_file_that_is_no_cache_is_one_message(tmp_path):
    file = tmp_path / "replies.sqlite"
    file.write_text("not a database, but long enough to be looked at" * 40)
    with pytest.raises(JudgeError, match="cannot be used as the cache"):
        JudgeSession(JudgeSettings(model="judge"), tmp_path)
    file.unlink()
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(JudgeError, match="format 7"):
        JudgeSession(JudgeSettings(model="judge"), tmp_path)


@pytest.mark.parametrize("value", ["[", "[]", "{}", '{"text": 7}', "[" * 10_000])
def test_a_damaged_reply_in_the_cache_is_one_message(tmp_path, value):
    with always("Grade: 4").running() as server:
        graded(server, tmp_path, answers(1))
        with sqlite3.connect(tmp_path / "replies.sqlite") as connection:
            connection.execute("UPDATE replies SET value = ?", (value,))
        connection.close()
        with pytest.raises(JudgeError, match="a reply in .*replies.sqlite"):
            graded(server, tmp_path, answers(1))
