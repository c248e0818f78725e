"""A server that sends what no client expects: bounded, unjudged, and one message."""

from __future__ import annotations

import gzip
import json
import threading
import time

import pytest
from builders.scripted_server import always, answers, completion, graded

from lsn_eval.judge.client import MOST_BYTES, PATIENCE

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
NO_COMPLETION = "reply is no chat completion, after 0 retries"


def unjudged(folder, act, **options):
    """Why one answer has no grade."""
    with always(act).running() as server:
        (grade,), session = graded(server, folder, answers(1), retries=0, **options)
    assert grade.grade is None
    assert session.stopped is None
    return grade.reason


def with_content(content: str) -> bytes:
    return b'{"choices": [{"message": {"content": %s}}]}' % content.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"text"', b"{nonsense", b'{"choices": []}', b'{"choices": {"0": 1}}',
        b'{"choices": [[]]}', b'{"choices": [{}]}', b'{"choices": [{"message": "Grade: 7"}]}',
        with_content('"Grade: 7\\ud800"'), b'{"choices": ["\xff"]}',
        with_content("[" * 200_000 + "]" * 200_000), with_content("9" * 100_000),
        b"[" * 1_000_000,
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_completion_is_unjudged(tmp_path, body):
    assert unjudged(tmp_path, ("raw", body)) == NO_COMPLETION


@pytest.mark.parametrize(
    "usage",
    [None, 7, {}, {"prompt_tokens": 10**200, "completion_tokens": -1}, {"prompt_tokens": True}],
)
def test_a_reply_counts_without_what_else_servers_send(tmp_path, usage):
    choice = {"message": {"content": "Grade: 7"}, "finish_reason": ["x"]}
    body = {"choices": [choice], "model": 7, "usage": usage}
    with always(("raw", json.dumps(body).encode())).running() as server:
        (grade,), judge = graded(server, tmp_path, answers(1))
    assert grade.grade == 7
    assert judge.usage.replies_without_token_counts == 1


def endless(head: bytes, piece: bytes = b" " * (1 << 20), pause: float = 0.0):
    """A head, and then more than anybody wants."""

    def pieces():
        yield head
        while True:
            yield piece
            yield pause

    return pieces


@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request"])
def test_a_reply_without_end_is_not_read_to_the_end(tmp_path, status):
    began = time.monotonic()
    reason = unjudged(tmp_path, ("wire", endless(b"HTTP/1.1 %s\r\n\r\n" % status)))
    longer = f"the reply is longer than {MOST_BYTES:,} bytes"
    assert reason.startswith(longer if status == b"200 OK" else "Error code: 400")
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_a_packed_reply_is_not_unpacked(tmp_path):
    packed = gzip.compress(completion("Grade: 7" + " " * 50_000_000))
    headers = {"Content-Encoding": "gzip"}
    assert unjudged(tmp_path, ("raw", packed, headers)) == NO_COMPLETION


@pytest.mark.parametrize(
    ("head", "piece"),
    [(HEAD + b"\r\n", b" "), (HEAD, b"X: y\r\n"), (b"", b"HTTP/1.1 100 \r\n\r\n")],
    ids=["body", "headers", "continue"],
)
@pytest.mark.slow
def test_a_slow_drip_ends(tmp_path, head, piece):
    timeout = 0.6  # of silence: much longer than a pause, however slow the machine is
    began = time.monotonic()
    reason = unjudged(tmp_path, ("wire", endless(head, piece, 0.05)), timeout=timeout)
    assert reason == f"no whole reply within {timeout * PATIENCE:g} s"
    assert timeout * PATIENCE <= time.monotonic() - began < timeout * PATIENCE + 30


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace(b"json", b"json; charset=punycode"),
        b"HTTP/1.1 400 Bad\r\nContent-Type: text/plain; charset=zlib\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\xff:99999999/\r\n",
        b"HTTP/1.1 429 Later\r\nRetry-After: Thu, 99 Foo 99999 00:00:00 GMT\r\n",
        b"HTTP/1.1 429 Later\r\nRetry-After: nan\r\n",
        b"nothing like HTTP\r\n",
    ],
    ids=str,
)
def test_odd_heads_are_no_tracebacks(tmp_path, head):
    wire = head + b"Content-Length: 6\r\n\r\nGrade\n"
    assert unjudged(tmp_path, ("wire", lambda: [wire]))


def test_what_breaks_inside_the_client_is_unjudged(tmp_path):
    reason = unjudged(tmp_path, "Grade: 7", parameters={"user": "\ud800"})
    assert reason.startswith("UnicodeEncodeError: ")


def test_no_thread_is_left(tmp_path):
    before = threading.active_count()
    with always("Grade: 4").running() as server:
        graded(server, tmp_path, answers(3))
    assert threading.active_count() <= before
