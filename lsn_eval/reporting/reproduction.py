"""Commands that run it again, rebuilt from what the results files say."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsn_eval.results.controls import controlled
from lsn_eval.results.run_files import RunFile, scalar
from lsn_eval.results.settings import mapping
from lsn_eval.storage.masked_secrets import MASKED, masked, masked_arguments

SWEEP = "sweep.json"
AGAIN = "-again"
"""Behind the folder: a sweep skips what is finished, and old and new should not mix."""
MOST_COMMANDS = 200
"""Commands on a page; the rest are counted."""


@dataclass(frozen=True)
class Command:
    """A line for a shell and what it makes."""

    makes: str
    line: str
    lacks: tuple[str, ...] = ()
    """Settings that the command has no option for; they go into a YAML file for `--file`."""


@dataclass(frozen=True)
class Commands:
    """All of a page."""

    shown: tuple[Command, ...]
    controls: tuple[Command, ...]
    left_out: int
    """Commands beyond `MOST_COMMANDS`, controls among them."""

    @property
    def masked(self) -> bool:
        """Whether something in them has to be filled in."""
        return any(MASKED in command.line for command in (*self.shown, *self.controls))


def commands(runs: Sequence[RunFile]) -> Commands:
    """One a sweep, one a results file that no sweep wrote; controls apart."""
    sweeps: dict[Path, list[RunFile]] = {}
    shown: list[Command] = []
    controls: list[Command] = []
    for run in runs:
        folder = sweep_folder(run.path)
        if folder is not None:
            sweeps.setdefault(folder, []).append(run)
        else:
            made = Command(str(run.path), evaluation_command(run))
            (shown if controlled(run.condition) is None else controls).append(made)
    of_sweeps = [
        Command(str(folder), line, _unsaid(folder))
        for folder, members in sweeps.items()
        if (line := sweep_command(folder, members)) is not None
    ]
    shown = [*of_sweeps, *shown]
    kept = shown[:MOST_COMMANDS]
    kept_controls = controls[: MOST_COMMANDS - len(kept)]
    left_out = len(shown) + len(controls) - len(kept) - len(kept_controls)
    return Commands(tuple(kept), tuple(kept_controls), left_out)


def sweep_folder(results: Path) -> Path | None:
    """The folder of the sweep that wrote a results file: OUT of OUT/CONDITION/MODEL/results."""
    parents = results.parents
    if len(parents) > 2 and (parents[2] / SWEEP).is_file() and _arguments(parents[2]):
        return parents[2]
    return None


def _arguments(folder: Path) -> Mapping[str, Any]:
    try:
        return mapping(mapping(json.loads((folder / SWEEP).read_text("utf-8"))).get("arguments"))
    except (OSError, ValueError):
        return {}


def sweep_command(folder: Path, runs: Sequence[RunFile]) -> str | None:
    """`lsn-eval sweep` for these conditions; None if its arguments are not what a sweep writes."""
    kept = _arguments(folder)
    model_args = dict(mapping(kept.get("model_args")))
    metadata = {
        name: value
        for name, value in mapping(kept.get("metadata")).items()
        if name not in model_args or model_args[name] != value
    }
    words = ["lsn-eval", "sweep"]
    for option, name in (("--model", "pretrained"), ("--mask", "mask")):
        words += [option, str(masked(model_args.pop(name, ""), name))]
    words += ["--tasks", ",".join(map(str, kept.get("tasks") or ()))]
    words += ["--conditions", ",".join(dict.fromkeys(run.condition for run in runs))]
    options = {
        "--dtype": model_args.pop("dtype", None),
        "--batch-size": kept.get("batch_size"),
        "--device": kept.get("device"),
        "--limit": _plain_number(kept.get("limit")),
        "--num-fewshot": kept.get("num_fewshot"),
        "--model-args": _arguments_text(model_args),
        "--metadata": _arguments_text(metadata),
        "--gen-kwargs": _arguments_text(mapping(kept.get("gen_kwargs"))),
        "--seed": _seeds(kept.get("seed")),
        "--system-instruction": masked(kept.get("system_instruction")),
        "--include-path": kept.get("include_path"),
    }
    for option, value in options.items():
        if value is not None:
            words += [option, str(value)]
    if kept.get("apply_chat_template"):
        words.append("--apply-chat-template")
    line = shlex.join([*words, "--out", f"{folder}{AGAIN}"])
    root = kept.get("data_root")
    return f"LSN_EVAL_DATA={shlex.quote(str(root))} {line}" if root else line


def _unsaid(folder: Path) -> tuple[str, ...]:
    kept = _arguments(folder)
    template = kept.get("apply_chat_template")
    unsaid = {
        "max_batch_size": kept.get("max_batch_size"),
        "fewshot_as_multiturn": kept.get("fewshot_as_multiturn"),
        "apply_chat_template": template if isinstance(template, str) else None,
    }
    return tuple(f"{name}: {value}" for name, value in unsaid.items() if value is not None)


def evaluation_command(run: RunFile) -> str:
    """`lm_eval` for one results file. What the file does not say (templates by name, folders of
    further tasks) is not in it."""
    config, document = run.config, run.document
    model_args = config.get("model_args")
    text = (
        masked_arguments(model_args)
        if isinstance(model_args, str)
        else _arguments_text(mapping(model_args))
    )
    words = ["lm_eval", "--model", str(config.get("model") or "hf")]
    shots = {scalar(count) for count in mapping(document.get("n-shot")).values()}
    options = {
        "--model_args": text,
        "--tasks": ",".join(_named_tasks(run)),
        "--num_fewshot": shots.pop() if len(shots) == 1 else None,
        "--batch_size": config.get("batch_size"),
        "--device": config.get("device"),
        "--limit": _plain_number(config.get("limit")),
        "--gen_kwargs": _arguments_text(mapping(config.get("gen_kwargs"))),
        "--metadata": _arguments_text(_metadata(run)),
        "--seed": _seeds(
            [config.get(f"{name}_seed") for name in ("random", "numpy", "torch", "fewshot")]
        ),
        "--system_instruction": masked(document.get("system_instruction")),
    }
    for option, value in options.items():
        if value is not None:
            words += [option, str(value)]
    if document.get("chat_template_sha"):
        words.append("--apply_chat_template")
        # Without a word lm-eval takes them for turns.
        if document.get("fewshot_as_multiturn") is False:
            words += ["--fewshot_as_multiturn", "false"]
    return shlex.join([*words, "--log_samples", "--output_path", _output_path(run.path)])


def _named_tasks(run: RunFile) -> list[str]:
    """What `--tasks` named: groups, and tasks that are in none."""
    groups = {
        str(name): list(map(str, members))
        for name, members in mapping(run.document.get("group_subtasks")).items()
        if isinstance(members, list) and members
    }
    inside = {member for members in groups.values() for member in members}
    return [name for name in dict.fromkeys([*groups, *run.tasks]) if name not in inside]


def _metadata(run: RunFile) -> dict[str, Any]:
    """`--metadata`: what every task was told besides the model's arguments. Only `data_root` can
    be told from what the task's own definition says."""
    roots = {
        root
        for config in run.tasks.values()
        if isinstance(root := mapping(config.get("metadata")).get("data_root"), str)
    }
    return {"data_root": roots.pop()} if len(roots) == 1 else {}


def _output_path(results: Path) -> str:
    """Beside the folder that was given; lm-eval adds one for the model."""
    return f"{results.parents[1] if len(results.parents) > 1 else results.parent}{AGAIN}"


def _arguments_text(arguments: Mapping[str, Any]) -> str | None:
    """`k=v,k=v` where that can be read back, else JSON."""
    if not arguments:
        return None
    hidden = masked(arguments)
    plain = all(
        value is None
        or isinstance(value, bool | int | float)
        or (isinstance(value, str) and value and not set(value) & set(",={}[]()\"' \n\t"))
        for value in hidden.values()
    )
    # A text that reads as a number or truth would come back as one.
    if plain and not any(isinstance(v, str) and _reads_as_other(v) for v in hidden.values()):
        return ",".join(f"{name}={value}" for name, value in hidden.items())
    return json.dumps(hidden, ensure_ascii=False, default=str)


def _reads_as_other(text: str) -> bool:
    if text.lower() in ("true", "false", "none", "nan", "inf", "infinity"):
        return text != "none"  # the condition of that name, which lm-eval leaves a text
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return False
    return True


def _plain_number(limit: Any) -> str | None:
    """`12` for 12.0."""
    if not isinstance(limit, int | float):
        return None
    return str(int(limit)) if float(limit).is_integer() else str(limit)


def _seeds(seeds: Any) -> str | None:
    if not isinstance(seeds, list) or not seeds or all(seed is None for seed in seeds):
        return None
    return ",".join("None" if seed is None else str(seed) for seed in seeds)
