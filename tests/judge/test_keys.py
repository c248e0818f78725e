"""The key is in nothing that is written; without one nothing is asked."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path

import pytest
from builders.scripted_server import KEY, ScriptedServer, always, asked

from lsn_eval.judge import Answer, JudgeError, JudgeSession, JudgeSettings
from lsn_eval.judge.keys import Key


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def grade(server: ScriptedServer, folder: Path, to_grade: list[Answer]):
    settings = JudgeSettings(model="judge", base_url=server.url, timeout=2, first_delay=0.02)
    with JudgeSession(settings, folder) as session:
        return session.grade(to_grade), session


def test_the_key_is_in_no_log_cache_error_or_reply(tmp_path, caplog, capfd, monkeypatch):
    def script(number, body):
        text = asked(body)
        if "question 0?" in text:
            return f"Your key is {KEY}.\nGrade: 2"
        if "question 1?" in text:
            return ("status", 400, {"x-echo": KEY}, f"bad request with {KEY}")
        if "question 2?" in text:
            return ("status", 500, {}, f"crashed on {KEY}") if number < 6 else "Grade: 3"
        return "Grade: 3"

    monkeypatch.setenv("OPENAI_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "lsn_eval", "httpx2", "httpx"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    with ScriptedServer(script).running() as server:
        grades, session = grade(
            server, tmp_path, [Answer(str(i), f"question {i}?", "a") for i in range(4)]
        )
    assert [g.grade for g in grades] == [2, None, 3, 3]
    with always(("status", 401, {}, f"Incorrect API key provided: {KEY}")).running() as server:
        refused, session = grade(server, tmp_path, [Answer("9", "new", "new")])
    assert "Incorrect API key provided: [key]" in session.stopped
    assert "lsn_eval.judge" in caplog.text
    assert "openai" in caplog.text
    out, err = capfd.readouterr()
    written = [caplog.text, out, err, repr(grades), repr(refused), repr(vars(session))]
    written += [repr(session.settings), json.dumps(session.usage.as_json())]
    for file in tmp_path.rglob("*"):
        written.append(file.read_bytes().decode("utf-8", "replace"))
    for text in written:
        assert KEY not in text
        assert KEY[:16] not in text


def test_a_key_neither_prints_nor_pickles():
    key = Key(KEY)
    assert KEY not in repr(key) + str(key) + f"{key!s}"
    with pytest.raises(TypeError):
        pickle.dumps(key)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_key_is_an_error_before_anything_is_asked(tmp_path, monkeypatch, value):
    monkeypatch.delenv("OPENAI_API_KEY")
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(JudgeError, match="set the environment variable OPENAI_API_KEY"):
        JudgeSession(JudgeSettings(model="judge"), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", ["sk-two\nlines-of-a-key", "sk-schlüssel-schlüssel"])
def test_an_unusable_key_is_refused_without_showing_it(tmp_path, monkeypatch, value):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(JudgeError) as caught:
        JudgeSession(JudgeSettings(model="judge"), tmp_path)
    assert value[3:9] not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": ""}, "no judge model"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"attempts": 0}, "attempts=0"),
        ({"retries": -1}, "retries=-1"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": "1"}, "timeout='1'"),
        ({"parameters": [1]}, "a JSON object"),
        ({"parameters": {"n": 2, "stream": True}}, "may not set n, stream"),
        ({"base_url": "ftp://x/v1"}, "no http"),
        ({"base_url": f"https://me:{KEY}@host/v1"}, "at host carries a user"),
        ({"base_url": f"https://host/v1?key={KEY}"}, "at host carries"),
    ],
)
def test_settings_that_make_no_sense(options, message):
    with pytest.raises(JudgeError, match=message) as caught:
        JudgeSettings(**({"model": "judge"} | options))
    assert KEY not in str(caught.value)


def test_the_key_may_not_be_among_what_is_written(tmp_path):
    with pytest.raises(JudgeError, match="take it out") as caught:
        JudgeSession(JudgeSettings(model="judge", parameters={"user": KEY}), tmp_path)
    assert KEY not in str(caught.value)


def test_redacting_ends_with_the_session(tmp_path):
    with always("Grade: 4").running() as server:
        grade(server, tmp_path, [Answer("0", "q", "a")])
    for name in logging.root.manager.loggerDict:
        logger = logging.getLogger(name)
        assert not [f for f in logger.filters if "Redacting" in type(f).__name__]
