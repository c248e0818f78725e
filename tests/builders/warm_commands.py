"""Commands in processes of their own that import nothing anew.

A server imports lm-eval, transformers and the package once. Stubs in the place of `lm_eval`,
`lsn-eval` and `python` send it their arguments, folder, environment and streams, and it forks: what
runs there is as fresh as in a new interpreter, and ends as the stub does.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

MODULES = (
    "lm_eval.__main__", "lm_eval.evaluator", "lm_eval.models.huggingface",
    "transformers.models.llama.modeling_llama", "transformers.convert_slow_tokenizer",
    "pydantic.type_adapter", "lsn_eval.harness.lsn_hf", "lsn_eval.lm_tasks", "lsn_eval.recording",
    "lsn_eval.identification", "lsn_eval.sweeping.running", "lsn_eval.reporting.page",
    "lsn_eval.plotting", "lsn_eval.cli",
)  # fmt: skip
SCRIPTS = {"lm_eval": "lm_eval.__main__:cli_evaluate", "lsn-eval": "lsn_eval.cli:main"}
STUB = """
import json, os, socket, sys
place, *words = sys.argv[1:]
with socket.socket(socket.AF_UNIX) as server:
    server.connect(place)
    socket.send_fds(server, [b"x"], [0, 1, 2])
    request = {"words": words, "folder": os.getcwd(), "environment": dict(os.environ)}
    server.sendall(json.dumps(request).encode())
    server.shutdown(socket.SHUT_WR)
    status = int(server.recv(16))
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@contextmanager
def warm_commands(small_lm_eval: Path) -> Iterator[Path]:
    """A folder, for the front of a PATH, with the stubs; they serve as long as the block lasts.

    Args:
        small_lm_eval: the folder with the copy of lm-eval that they import.
    """
    with tempfile.TemporaryDirectory() as name:  # a short one: so is the name of a socket
        folder = Path(name)
        place = folder / "socket"
        (folder / "stub.py").write_text(STUB)
        for command in ("python", *SCRIPTS):
            stub = folder / command
            stub.write_text(
                f'#!/bin/sh\nexec "{sys.executable}" -IS "{folder}/stub.py" "{place}" {command} "$@"\n'
            )
            stub.chmod(0o755)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(place))
        listening.listen()  # who comes before everything is imported waits
        server = subprocess.Popen(
            [sys.executable, __file__, str(listening.fileno())],
            pass_fds=[listening.fileno()],
            env={**os.environ, "PYTHONPATH": str(small_lm_eval)},
        )
        listening.close()
        try:
            yield folder
        finally:
            server.terminate()
            server.wait()


def serve(listening: socket.socket) -> None:
    """Answer until the process that started this one is gone."""
    starter = os.getppid()
    listening.settimeout(2)
    while os.getppid() == starter:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            continue
        if not os.fork():
            connection.settimeout(None)
            answer(connection)
        connection.close()


def answer(connection: socket.socket) -> None:
    """Run what is asked for, in a child, and tell how it ended; both end here."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    request = json.loads(b"".join(iter(lambda: connection.recv(1 << 16), b"")))
    if child := os.fork():
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(str(status).encode())
        os._exit(0)
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    status: object = 1
    try:
        become(*request["words"])
        status = 0
    except SystemExit as end:
        status = end.code or 0
        if isinstance(status, str):
            print(status, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)  # taking all apart again takes seconds


def become(command: str, *words: str) -> None:
    """What an interpreter does with such a command line."""
    if command in SCRIPTS:
        module, _, function = SCRIPTS[command].partition(":")
        sys.argv = [command, *words]
        sys.exit(getattr(import_module(module), function)())
    sys.argv = list(words)
    if words[0] == "-c":
        sys.path.insert(0, "")
        code = compile(words[1], "<string>", "exec")
        sys.argv[1:2] = []
        exec(code, sys.modules["__main__"].__dict__)
    elif words[0] == "-m":
        sys.argv[:1] = []
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    sys.path.pop(0)  # this folder
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in MODULES:
        import_module(name)
    # What lm-eval writes of the machine takes ten programs, `pip list` among them: once is enough.
    machine = import_module("torch.utils.collect_env")
    machine.get_env_info = functools.cache(machine.get_env_info)
    machine.get_env_info()
    # And so are the patterns compiled that transformers looks for in the names of weights.
    import_module("transformers.conversion_mapping").get_checkpoint_conversion_mapping("llama")
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
