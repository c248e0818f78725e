"""Options from a file, and the habits of the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lsn_eval.cli import app


def run(*arguments: object):
    return CliRunner().invoke(app, list(map(str, arguments)))


def written(folder: Path, text: str) -> Path:
    path = folder / "options.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.slow
def test_options_come_from_a_file_and_what_is_typed_wins(tmp_path):
    path = written(
        tmp_path,
        "languages: [x, y]\nlayers: 2\nwidth: 7\ntop_rate: 0.2\nout: nowhere/m.safetensors\n",
    )
    shown = run("mask", "random", "--config", path, "--width", 40, "--top-rate", 0.1, "--out", tmp_path / "m.safetensors")  # fmt: skip
    assert shown.exit_code == 0, shown.output
    mask = json.loads(run("mask", "info", tmp_path / "m.safetensors", "--json").output)
    assert mask["model"]["layers"] == 2
    assert list(mask["languages"]) == ["x", "y"]
    assert mask["model"]["widths"] == {"mlp.act": 40}
    again = run(
        "mask", "info", tmp_path / "m.safetensors", f"--config={written(tmp_path, 'json: true')}"
    )
    assert json.loads(again.output) == mask


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jsn: true", "'jsn' is no option here; there are json, mask, plot"),
        ("- json", "holds no settings"),
        ("json: {a: 1}", "json: a text, a number"),
        ("json: [", "is no YAML"),
    ],
)
def test_a_file_that_fits_no_command_is_one_message(tmp_path, text, message):
    shown = run("mask", "info", "demo/planted", "--config", written(tmp_path, text))
    assert shown.exit_code == 2
    assert message in shown.output
    assert "Traceback" not in shown.output


def test_a_missing_file_is_one_message(tmp_path):
    assert "cannot be read" in run("mask", "info", "x", "--config", tmp_path / "absent").output
    assert "needs a file" in run("mask", "info", "x", "--config").output


def test_short_help_and_underscores():
    assert run("-h").output == run("--help").output
    assert "Example" in run("mask", "info", "-h").output
    shown = run("mask", "random", "--top_rate", "nonsense")
    assert "No such option" not in shown.output
    assert "Invalid value for '--top-rate'" in shown.output
