"""What a report says to run it again: that commands read back what was given, and hide keys."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from builders.report_results import GERMAN, SWEEP, Outline, report, sample, write_run
from builders.results_files import edited

from lsn_eval.reporting.reproduction import Command, commands, evaluation_command, sweep_command
from lsn_eval.results import read_runs

MODEL_ARGS = {
    "pretrained": "org/a model", "mask": "m.safetensors", "condition": "en:zero/de:p90",
    "revision": "123", "trust_remote_code": True, "scale": 0.5, "chat": {"a": [1, "b'c"]},
    "x": "$(touch pwned); `x` \\ \"\nEND\n", "y": "1e5", "z": None, "none": "none",
}  # fmt: skip


def ran(command: Command, folder) -> tuple[str, dict]:
    """The lines as a shell runs them, with a program that says what it was given."""
    program = command.words[0]
    (folder / program).write_text('#!/bin/sh\necho "$LSN_EVAL_DATA" "$@"\n')
    (folder / program).chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", "\n".join(command.lines)], cwd=folder, text=True, capture_output=True,
        check=True, env={"PATH": f"{folder}:/usr/bin:/bin"},
    )  # fmt: skip
    assert not (folder / "pwned").exists()
    return done.stdout.strip(), yaml.safe_load((folder / "again.json").read_text())


def test_lm_eval_reads_the_settings_back(tmp_path):
    from lm_eval.config.evaluate_config import EvaluatorConfig

    folder = tmp_path / "results" / "small"
    write_run(
        folder, "en:zero/de:p90", {"de": [sample(0, "p", GERMAN, 1.0)]}, model_args=MODEL_ARGS,
        gen_kwargs={"do_sample": True, "temperature": 0.7}, limit=3.0,
    )  # fmt: skip
    command = evaluation_command(read_runs([folder])[0])
    said, _ = ran(command, tmp_path)
    assert said == "run --config again.json"
    again = EvaluatorConfig.from_config(tmp_path / "again.json")
    assert again.model == "lsn_hf"
    assert again.model_args == MODEL_ARGS
    assert again.gen_kwargs == {"do_sample": True, "temperature": 0.7}
    assert again.tasks == ["ask_de"]
    assert (again.batch_size, again.device, again.limit) == ("4", "cpu", 3.0)
    assert again.seed == [0, 1234, 1234, 1234]
    assert (again.num_fewshot, again.log_samples) == (0, True)
    assert again.output_path == f"{tmp_path / 'results'}-again"


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        ({"group_subtasks": {"read": ["read_de", "read_zh"]}}, {"tasks": ["read"]}),
        ({"chat_template_sha": "a", "fewshot_as_multiturn": False},
         {"apply_chat_template": True, "fewshot_as_multiturn": False}),
        ({}, {"apply_chat_template": False, "tasks": ["read_de", "read_zh"]}),
    ],
    ids=["groups", "template", "plain"],
)  # fmt: skip
def test_what_else_a_results_file_says(tmp_path, change, settings):
    path = write_run(tmp_path, "none", perplexities={"de": 5.0, "zh": 6.0})
    edited(path, lambda document: document.update(change))
    found = evaluation_command(read_runs([tmp_path])[0]).settings
    assert {name: found[name] for name in settings} == settings


def test_a_sweep_reads_its_settings_back(tmp_path):
    from lsn_eval.sweeping.settings import SweepSettings

    out = tmp_path / "a sweep"
    for condition in ("none", "de:zero"):
        write_run(out / condition / "small", condition, perplexities={"de": 5.0})
    given = {
        **SWEEP, "system_instruction": "Be brief.", "gen_kwargs": {"max_gen_toks": 8},
        "data_root": "/my data", "max_batch_size": 4, "fewshot_as_multiturn": False,
        "apply_chat_template": "short", "limit": 12.0,
    }  # fmt: skip
    (out / "sweep.json").write_text(json.dumps({"arguments": given}))
    said, settings = ran(sweep_command(out, read_runs([out])), tmp_path)
    assert said == f"/my data sweep --out {out}-again --file again.json"
    assert sorted(settings.pop("conditions")) == ["de:zero", "none"]
    assert settings == {
        "model": "small", "mask": "m 1.safetensors", "dtype": "float32",
        "tasks": ["read_de", "ask_de"], "batch_size": "16", "device": "cpu",
        "metadata": {"data_root": "/data"}, "seed": [0, 1234, 1234, 1234], "limit": 12.0,
        "system_instruction": "Be brief.", "gen_kwargs": {"max_gen_toks": 8}, "max_batch_size": 4,
        "fewshot_as_multiturn": False, "apply_chat_template": "short",
    }  # fmt: skip
    assert SweepSettings.from_mapping({**settings, "conditions": "none"}, "x").limit == 12.0
    text = Outline(report(out)).text
    assert text.count("lsn-eval sweep") == 1
    assert "lm_eval run" not in text


def test_no_secret_reaches_the_page(tmp_path):
    hidden = "s3cr3tvalue"
    model_args = {
        "pretrained": "small", "mask": "m.safetensors", "condition": "none", "token": hidden,
        "headers": {"authorization": hidden},
    }  # fmt: skip
    write_run(
        tmp_path / "a", "none", perplexities={"de": 5.0}, model_args=model_args,
        gen_kwargs={"api_key": hidden},
    )  # fmt: skip
    write_run(tmp_path / "b", "de:zero", perplexities={"de": 6.0},
              model_args=f"pretrained=small,token={hidden},condition=de:zero")  # fmt: skip
    out = tmp_path / "sweep"
    write_run(out / "zh_zero" / "small", "zh:zero", perplexities={"de": 5.5})
    arguments = {
        **SWEEP, "metadata": {"openai_api_key": hidden}, "model_args": {**SWEEP["model_args"],
        "hub_token": hidden}, "gen_kwargs": {"secret": hidden},
    }  # fmt: skip
    (out / "sweep.json").write_text(json.dumps({"arguments": arguments}))
    page = report(tmp_path)
    assert hidden not in page
    assert "fill it in" in page
    assert page.count("cat &gt; again.json") == 3


@pytest.mark.slow
def test_commands_are_counted_and_those_of_controls_stand_last(tmp_path):
    conditions = ["none", *(f"random{n}-de:zero" for n in range(1, 250)), "de:zero"]
    for number, condition in enumerate(conditions):
        write_run(tmp_path / str(number) / "x", condition, perplexities={"de": 5.0})
    made, left_out = commands(read_runs([tmp_path]))
    assert (len(made), left_out) == (200, 51)
    shown = [command.settings["model_args"]["condition"] for command in made]
    assert set(shown[:2]) == {"none", "de:zero"}
