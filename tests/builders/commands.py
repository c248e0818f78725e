"""Commands as they are typed, in process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from lsn_eval.cli import app


def invoke(*words: object, **env: str) -> Result:
    """Whatever comes of it."""
    return CliRunner().invoke(app, list(map(str, words)), env=env)


def printed(*words: object, status: int = 0) -> str:
    """What a command prints that ends with `status`."""
    result = invoke(*words)
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


def refused(*words: object) -> str:
    """The message of a command that ends with status 2 and no traceback, in one line."""
    said = printed(*words, status=2)
    assert "Traceback" not in said
    return " ".join(said.split())
