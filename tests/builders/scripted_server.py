"""An OpenAI-compatible server on loopback that misbehaves as told."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from builders.loopback import answering
from lsn_eval.judge import Answer, JudgeSession, JudgeSettings
from lsn_eval.judge.grades import Grade

KEY = "sk-test/9f8e7d6c5b4a39281706"
"""Looks like a key, and is looked for in everything that is written."""

Act = str | tuple[Any, ...]
"""What to do with a request: a text to reply with, or (kind, arguments)."""


def completion(text: str | None, finish_reason: str = "stop") -> bytes:
    """A chat completion as servers send it."""
    message = {"role": "assistant", "content": text}
    body = {
        "id": "c", "object": "chat.completion", "created": 1, "model": "judge-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }  # fmt: skip
    return json.dumps(body).encode()


class ScriptedServer:
    """Asks `script(number, body)` what to do with each request; numbers count from 0."""

    def __init__(self, script: Callable[[int, dict[str, Any]], Act]) -> None:
        self.script = script
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.authorizations: set[str] = set()
        self.under_way = 0
        self.most_under_way = 0
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with owner._lock:
                    number = len(owner.bodies)
                    owner.bodies.append(body)
                    owner.times.append(time.monotonic())
                    owner.authorizations.add(self.headers["Authorization"])
                    owner.under_way += 1
                    owner.most_under_way = max(owner.most_under_way, owner.under_way)
                try:
                    owner._act(self, owner.script(number, body))
                except OSError:
                    self.close_connection = True  # the client has gone
                finally:
                    with owner._lock:
                        owner.under_way -= 1

            def log_message(self, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.released = threading.Event()
        """Ends silences."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def requests(self) -> int:
        return len(self.bodies)

    def _act(self, handler: BaseHTTPRequestHandler, act: Act) -> None:
        kind, *rest = act if isinstance(act, tuple) else ("reply", act)
        if kind == "reply":
            _send(handler, completion(*rest))
        elif kind == "raw":
            _send(handler, *rest)
        elif kind == "status":
            code, headers, message = (*rest, None, None)[:3]
            error = {"error": {"message": message or f"status {code}"}}
            _send(handler, json.dumps(error).encode(), headers, code)
        elif kind == "wire":
            # Piece by piece, head and all; a number is a pause in seconds.
            handler.close_connection = True
            for piece in rest[0]():
                if isinstance(piece, bytes):
                    handler.wfile.write(piece)
                elif self.released.wait(piece):
                    break
        elif kind == "cut":
            handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"id":')
            handler.wfile.flush()
            linger = struct.pack("ii", 1, 0)  # close with a reset, not an orderly end
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
        elif kind == "silence":
            self.released.wait(30)
            handler.close_connection = True
        elif kind == "slow":
            time.sleep(rest[0])
            self._act(handler, rest[1])
        else:
            raise AssertionError(kind)

    @contextmanager
    def running(self) -> Iterator[ScriptedServer]:
        with answering(self._http):
            try:
                yield self
            finally:
                self.released.set()


def _send(
    handler: BaseHTTPRequestHandler,
    body: bytes,
    headers: dict[str, str] | None = None,
    code: int = 200,
) -> None:
    handler.send_response(code)
    for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def always(act: Act) -> ScriptedServer:
    """The same for every request."""
    return ScriptedServer(lambda number, body: act)


def asked(body: dict[str, Any]) -> str:
    """The user's message of a request."""
    return body["messages"][-1]["content"]


def answers(count: int) -> list[Answer]:
    """Different answers to different questions."""
    return [Answer(str(i), f"question {i}?", f"answer {i}") for i in range(count)]


def session(server: ScriptedServer, folder: Path, **options: Any) -> JudgeSession:
    """A session with a server, quicker than a user's."""
    quick = {"model": "judge", "base_url": server.url, "timeout": 2.0, "first_delay": 0.02}
    return JudgeSession(JudgeSettings(**(quick | options)), folder)


def graded(
    server: ScriptedServer, folder: Path, to_grade: list[Answer], **options: Any
) -> tuple[list[Grade], JudgeSession]:
    """The grades, and the closed session."""
    with session(server, folder, **options) as judge:
        return judge.grade(to_grade), judge
