"""The command line: help, errors without tracebacks, and the mask commands."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import write_command_docs
from builders.commands import printed, refused
from builders.reference import REFERENCE, needs_reference
from typer.main import get_command

from lsn_eval import NeuronMask, __version__
from lsn_eval.cli import _typed, app

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("words", list(write_command_docs.commands()), ids=" ".join)
def test_every_command_has_help_with_an_example(words):
    shown = write_command_docs.help_of(words)
    assert f"lsn-eval {' '.join(words)}" in shown
    assert "Example" in shown


LACKED = {  # by the commands with a model, and why
    **{of: set() for of in [("record",), ("layers",), ("facts", "neurons"), ("finetune",)]},
    ("models", "inspect"): {"--model", "--dtype", "--device"},  # an argument; nothing is loaded
    ("bake",): {"--dtype"},  # weights stay in the precision that they have
    ("sweep",): {"--revision"},  # among --model-args, as lm-eval's
}


@pytest.mark.parametrize("words", list(write_command_docs.commands()), ids=" ".join)
def test_a_command_with_a_model_has_all_options_of_a_model(words):
    command = get_command(app)
    for word in words:
        command = command.commands[word]
    has = {name for option in command.params for name in option.opts}
    lacked = {"--model", "--revision", "--dtype", "--device"} - has
    # Elsewhere --model names results, a judge, what a file is of.
    if words in LACKED or has & {"--device", "--revision"}:
        assert lacked == LACKED[words]


@pytest.mark.slow
def test_the_documentation_of_the_commands_is_up_to_date():
    written = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert written == write_command_docs.document(), "run: python scripts/write_command_docs.py"


def test_version():
    assert printed("--version") == f"lsn-eval {__version__}\n"


def test_help_is_quick_and_needs_neither_torch_nor_lm_eval():
    heavy = {"torch", "lm_eval", "transformers", "matplotlib", "openai", "numpy", "yaml", "rich"}
    code = (
        "import sys; from lsn_eval.cli import main\n"
        "sys.argv[1:] = ['--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"assert not {heavy} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    "words", ["--help", "mask --help", "mask info -h", "chek", "check --ou x", "fetch_masks"]
)
def test_what_was_not_typed_is_built_for_its_help_alone_and_nobody_sees_it(
    words, monkeypatch, capsys
):
    def shown(cli) -> tuple[str, str]:
        with pytest.raises(SystemExit):
            cli(words.split(), prog_name="lsn-eval")
        return capsys.readouterr()

    monkeypatch.setattr(sys, "argv", ["lsn-eval", *words.split()])
    assert shown(_typed()) == shown(app)
    (demo,) = [one for one in _typed().registered_commands if one.name == "demo"]
    assert not inspect.signature(demo.callback).parameters


def test_a_shell_completes_the_options_of_a_command(monkeypatch, capsys):
    monkeypatch.setenv("_LSN_EVAL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "lsn-eval compare --resa")
    monkeypatch.setenv("COMP_CWORD", "2")
    monkeypatch.setattr(sys, "argv", ["lsn-eval"])
    with pytest.raises(SystemExit):
        _typed()(prog_name="lsn-eval")
    assert "--resamples" in capsys.readouterr().out.split()


@pytest.mark.slow
def test_mask_info_prints_the_shipped_mask():
    text = printed("mask", "info", "demo/planted")
    mask = NeuronMask.load("demo/planted")
    for part in (mask.digest, "method   planted", *(f"\n{name} " for name in mask.languages)):
        assert part in text
    shown = json.loads(printed("mask", "info", "demo/planted", "--json"))
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
    printed(
        "mask", "import", REFERENCE / "masks" / "LLaMA-2-7B.neuron.pth",
        "--languages", "en,zh,fr,es,vi,id,ja", "--layers", 32, "--width", 11008,
        "--model", "llama-2-7b", "--model-type", "llama", "--out", out,
    )  # fmt: skip
    shown = json.loads(printed("mask", "info", out, "--json"))
    counts = {"en": 95, "zh": 583, "fr": 1022, "es": 838, "vi": 836, "id": 1068, "ja": 582}
    assert shown["neurons"] == counts
    assert shown["neurons_in_union"] == 3523
    assert shown["model"]["name"] == "llama-2-7b"
    assert shown["model"]["type"] == "llama"


IMPORT = ("mask", "import", "m.pth", "--out", "x")
ABSENT = ("mask", "import", "absent.pth", "--out", "x", "--languages", "a", "--width", 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*IMPORT, "--languages", "en", "--layers", 2, "--width", 9), "2 languages and 1 were named"),
        ((*IMPORT, "--languages", "en,", "--layers", 2, "--width", 9),
         "nothing before, after or between commas"),
        (("mask", "info", "no/such"), "neither a file nor a shipped mask; shipped are demo/planted"),
        ((*ABSENT, "--layers", 1), "absent.pth does not exist"),
        ((*IMPORT, "--neurons", 4), "--neurons and --end are of expertise files"),
        ((*IMPORT, "m.json"), "2 files were given; one, or LANGUAGE=FILE.csv for each"),
        (("mask", "import", "de=m.csv", "--out", "x"), "give their model with --model"),
        (("mask", "import", "m.json", "--languages", "de", "--out", "x"), "leave it out"),
        ((*ABSENT, "--layers", 2147483648), "Invalid value for '--layers'"),
        (("demo", "--controls", 0), "Invalid value for '--controls'"),
        (("mask", "infos"), "No such command"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_exit_2_and_no_file(words, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    neurons = [[torch.tensor([1]), torch.tensor([2])], [torch.tensor([3]), torch.tensor([4])]]
    torch.save(neurons, "m.pth")
    assert message in refused(*words)
    assert [file.name for file in tmp_path.iterdir()] == ["m.pth"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "lsn_hf"), "No tasks specified"),
        (("--tasks", "no_such_task"), "Tasks not found: no_such_task"),
        (("--tasks", "a", "--limit", 1, "--samples", '{"a": [1]}'), "--limit must be None"),
    ],
)
@pytest.mark.usefixtures("few_tasks")
def test_arguments_that_lm_eval_refuses_are_one_message(words, message, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lsn-eval"])
    said = printed("run", *words, status=2)
    assert "lm-eval refuses these arguments" in said
    assert message in said
