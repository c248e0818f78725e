"""The command line: help, errors without tracebacks, and the mask commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import write_command_docs
from builders.reference import REFERENCE, needs_reference
from typer.testing import CliRunner

from lsn_eval import NeuronMask, __version__
from lsn_eval.cli import app

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.mark.parametrize("words", list(write_command_docs.commands()), ids=" ".join)
def test_every_command_has_help_with_an_example(words):
    shown = write_command_docs.help_of(words)
    assert f"lsn-eval {' '.join(words)}" in shown
    assert "Example" in shown


@pytest.mark.slow
def test_the_documentation_of_the_commands_is_up_to_date():
    written = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert written == write_command_docs.document(), "run: python scripts/write_command_docs.py"


def test_version():
    assert run("--version").output == f"lsn-eval {__version__}\n"


def test_help_is_quick_and_needs_neither_torch_nor_lm_eval():
    code = (
        "import sys; from lsn_eval.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'lm_eval', 'transformers', 'matplotlib', 'openai'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.slow
def test_mask_info_prints_the_shipped_mask():
    result = run("mask", "info", "demo/planted")
    assert result.exit_code == 0
    mask = NeuronMask.load("demo/planted")
    assert mask.digest in result.output
    assert "method   planted" in result.output
    for language in mask.languages:
        assert f"\n{language} " in result.output
    shown = json.loads(run("mask", "info", "demo/planted", "--json").output)
    assert shown["digest"] == mask.digest
    assert shown["languages"] == list(mask.languages)
    assert shown["neurons"]["de"] == mask.count("de")
    assert shown["neurons_per_layer"]["de"] == mask.layer_counts("de")
    assert shown["statistics"]["zh"] == list(mask.statistics("zh"))
    assert shown["controls"]["zh"] == 20
    assert shown["method"]["name"] == "planted"


@needs_reference
def test_mask_import_and_info_of_a_released_mask(tmp_path):
    out = tmp_path / "llama.safetensors"
    result = run(
        "mask", "import", REFERENCE / "masks" / "LLaMA-2-7B.neuron.pth",
        "--languages", "en,zh,fr,es,vi,id,ja", "--layers", 32, "--width", 11008,
        "--model", "llama-2-7b", "--model-type", "llama", "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    shown = json.loads(run("mask", "info", out, "--json").output)
    counts = {"en": 95, "zh": 583, "fr": 1022, "es": 838, "vi": 836, "id": 1068, "ja": 582}
    assert shown["neurons"] == counts
    assert shown["neurons_in_union"] == 3523
    assert shown["model"]["name"] == "llama-2-7b"
    assert shown["model"]["type"] == "llama"


def pth(tmp_path: Path) -> Path:
    path = tmp_path / "m.pth"
    torch.save(
        [[torch.tensor([1]), torch.tensor([2])], [torch.tensor([3]), torch.tensor([4])]], path
    )
    return path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--languages", "en", "--layers", "2", "--width", "9"), "2 languages and 1 were named"),
        (
            ("--languages", "en,", "--layers", "2", "--width", "9"),
            "nothing before, after or between commas",
        ),
    ],
)
def test_a_mask_that_does_not_fit_is_one_message_exit_2_and_no_file(tmp_path, options, message):
    path = pth(tmp_path)
    result = run("mask", "import", path, *options, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["m.pth"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "lsn_hf"), "No tasks specified"),
        (("--tasks", "no_such_task"), "Tasks not found: no_such_task"),
        (("--tasks", "a", "--limit", "1", "--samples", '{"a": [1]}'), "--limit must be None"),
    ],
)
def test_arguments_that_lm_eval_refuses_are_one_message(arguments, message, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lsn-eval"])
    result = run("run", *arguments)
    assert result.exit_code == 2, result.exception
    assert "lm-eval refuses these arguments" in result.output
    assert message in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mask", "info", "no/such"), "neither a file nor a shipped mask; shipped are demo/planted"),
        (("mask", "import", "absent.pth", "--languages", "a", "--layers", "1", "--width", "1",
          "--out", "x"), "absent.pth does not exist"),
        (("mask", "import", "absent.pth", "--languages", "a", "--layers", "2147483648", "--width", "1",
          "--out", "x"), "Invalid value for '--layers'"),
        (("demo", "--controls", "0"), "Invalid value for '--controls'"),
        (("mask", "infos"), "No such command"),
    ],
)  # fmt: skip
def test_bad_input_gives_a_message_and_exit_2(arguments, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())
