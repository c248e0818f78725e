"""The key is in nothing that is written; without one nothing is asked."""

from __future__ import annotations

import json
import logging
import pickle
import re
import urllib.parse

import pytest
from builders.scripted_server import KEY, ScriptedServer, always, answers, asked, graded, session

from lsn_eval.judge import Answer, JudgeError, JudgeSession, JudgeSettings
from lsn_eval.judge.keys import Key

ESCAPED = {
    "plain": KEY,
    "slash": KEY.replace("/", "\\/"),
    "unicode": KEY.replace("s", "\\u0073"),
    "all": "".join(f"\\u{ord(letter):04X}" for letter in KEY),
}
"""The key as JSON may spell it."""


@pytest.mark.parametrize("spelled", ESCAPED.values(), ids=ESCAPED)
@pytest.mark.slow
def test_the_key_is_in_no_log_cache_error_or_reply(tmp_path, caplog, capfd, monkeypatch, spelled):
    message = b'{"error": {"message": "%s"}}' % spelled.encode()
    address = "/v1/" + urllib.parse.quote(KEY, safe="")

    def script(number, body):
        text = asked(body)
        if "question 0?" in text:
            said = json.dumps(f"Your key is {KEY}.\nGrade: 2").replace(
                json.dumps(KEY)[1:-1], spelled
            )
            return ("raw", b'{"choices": [{"message": {"content": %s}}], "model": "%s"}'
                    % (said.encode(), spelled.encode()))  # fmt: skip
        if "question 1?" in text:
            return ("raw", message, {"x-echo": KEY, "x-request-id": KEY}, 400)
        if "question 2?" in text:
            return ("raw", message, {}, 500) if number < 6 else "Grade: 3"
        if "question 3?" in text:
            return ("raw", b"", {"Location": address}, 307)
        return "Grade: 3"

    monkeypatch.setenv("OPENAI_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "lsn_eval", "httpx2", "httpx"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    with ScriptedServer(script).running() as server:
        grades, judge = graded(server, tmp_path, answers(5))
    assert [g.grade for g in grades] == [2, None, 3, None, 3]
    with always(("raw", message, {}, 401)).running() as server:
        refused, stopped = graded(server, tmp_path, [Answer("9", "new", "new")])
    assert "***" in stopped.stopped
    assert "lsn_eval.judge" in caplog.text
    assert "openai" in caplog.text
    out, err = capfd.readouterr()
    shown = [caplog.text, out, err, repr(grades), repr(refused), repr(vars(judge)), stopped.stopped]
    shown += [repr(judge.settings), json.dumps(judge.usage.as_json()), repr(caplog.records)]
    shown += [repr([vars(record) for record in caplog.records])]
    shown += [file.read_bytes().decode("utf-8", "replace") for file in tmp_path.rglob("*.*")]
    for text in shown:
        assert KEY[8:20] not in re.sub(r"\\+u00(..)", lambda code: chr(int(code[1], 16)), text)
        assert urllib.parse.quote(KEY, safe="") not in text


def test_a_logged_exception_is_shown_without_the_key_while_a_session_is_open(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with always("Grade: 4").running() as server, session(server, tmp_path):
        (redact,) = logging.getLogger("lsn_eval.judge.client").filters
        try:
            raise ValueError(f"refused {KEY}")
        except ValueError:
            logging.getLogger("openai._base_client").exception("%s", [KEY], extra={"url": KEY})
    assert "ValueError: refused ***" in caplog.text
    assert KEY not in repr(vars(caplog.records[-1]))
    for name in logging.root.manager.loggerDict:
        assert redact not in logging.getLogger(name).filters


def test_a_key_neither_prints_nor_pickles():
    key = Key(KEY)
    assert KEY not in repr(key) + str(key) + f"{key!s}"
    with pytest.raises(TypeError):
        pickle.dumps(key)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "set the environment variable OPENAI_API_KEY"),
        ("", "set the environment variable OPENAI_API_KEY"),
        ("  ", "set the environment variable OPENAI_API_KEY"),
        ("sk-two\nlines-of-a-key", "OPENAI_API_KEY holds a blank, a line break"),
        ("sk-schlüssel-schlüssel", "OPENAI_API_KEY holds a blank, a line break"),
    ],
)
def test_a_key_that_cannot_be_used_is_an_error_before_anything_is_asked(
    tmp_path, monkeypatch, value, message
):
    monkeypatch.delenv("OPENAI_API_KEY")
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(JudgeError, match=message) as caught:
        JudgeSession(JudgeSettings(model="judge"), tmp_path)
    assert not (value or "").strip() or value[3:9] not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": ""}, "no judge model"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"attempts": 0}, "attempts is 0"),
        ({"retries": -1}, "retries is -1"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": "1"}, "timeout is"),
        ({"parameters": [1]}, "a JSON object"),
        ({"parameters": {"n": 2, "stream": True}}, "may not set n, stream"),
        ({"base_url": "ftp://x/v1"}, "no http"),
        ({"base_url": "http://[::1"}, "no http"),
        ({"base_url": "http://host:port/v1"}, "no http"),
        ({"base_url": f"https://me:{KEY}@host/v1"}, "no http"),
        ({"base_url": f"https://me:{KEY[:7]}@host/v1"}, "at host carries a user"),
        ({"base_url": f"https://host/v1?key={KEY}"}, "at host carries"),
        # What the client refuses.
        ({"parameters": {"user": KEY}}, "take it out"),
        ({"parameters": {"user": urllib.parse.quote(KEY, safe="")}}, "take it out"),
        ({"parameters": {"user": "x" + KEY}}, "take it out"),
        ({"base_url": "http://xn--\u00b5/v1"}, "cannot be used"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, options, message):
    with pytest.raises(JudgeError, match=message) as caught:
        JudgeSession(JudgeSettings(**({"model": "judge"} | options)), tmp_path)
    assert KEY not in str(caught.value)
