"""Options from a file, and the habits of the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders.commands import printed, refused


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
    out = tmp_path / "m.safetensors"
    typed = ("--width", 40, "--top-rate", 0.1, "--out", out)
    printed("mask", "random", "--config", path, *typed)
    mask = json.loads(printed("mask", "info", out, "--json"))
    assert mask["model"]["layers"] == 2
    assert list(mask["languages"]) == ["x", "y"]
    assert mask["model"]["widths"] == {"mlp.act": 40}
    again = printed("mask", "info", out, f"--config={written(tmp_path, 'json: true')}")
    assert json.loads(again) == mask


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
    assert message in refused("mask", "info", "demo/planted", "--config", written(tmp_path, text))


def test_a_missing_file_is_one_message(tmp_path):
    assert "cannot be read" in refused("mask", "info", "x", "--config", tmp_path / "absent")
    assert "needs a file" in refused("mask", "info", "x", "--config")


def test_short_help_and_underscores():
    assert printed("-h") == printed("--help")
    assert "Example" in printed("mask", "info", "-h")
    assert "Invalid value for '--top-rate'" in refused("mask", "random", "--top_rate", "nonsense")
