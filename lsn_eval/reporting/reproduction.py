"""What runs it again: the settings that sweeps and results files hold, and the command for them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsn_eval.reporting.failures import ReportError
from lsn_eval.reporting.runs import seeds
from lsn_eval.results.controls import controlled
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.results.run_files import RunFile, scalar
from lsn_eval.results.settings import mapping, model_arguments
from lsn_eval.storage.masked_secrets import masked, masked_arguments
from lsn_eval.storage.outside_files import read_json

SWEEP = "sweep.json"
AGAIN = "-again"
"""Behind the folder: a sweep skips what is finished, and old and new should not mix."""
MOST_COMMANDS = 200
"""On a page; the rest are counted."""
_OF_SWEEPS = (
    "backend", "tasks", "batch_size", "max_batch_size", "device", "limit", "num_fewshot", "seed",
    "gen_kwargs", "system_instruction", "apply_chat_template", "fewshot_as_multiturn",
    "include_path",
)  # fmt: skip
"""Arguments of a sweep that are settings of the same name."""
_OF_ONE_FOLDER = ("pretrained", "model", "tokenizer", "dtype")
"""Arguments of a baked model that a sweep gives by itself."""


@dataclass(frozen=True)
class Command:
    """Lines for a shell, and what they make again."""

    makes: str
    settings: Mapping[str, Any]
    """Of the file that the command reads, without keys and tokens."""
    words: Sequence[str]
    """Of the command, but for the file."""
    environment: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """The file, which is JSON and so YAML too, and the command."""
        settings = [
            f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False, default=str)}"
            for name, value in self.settings.items()
        ]
        return (
            "cat > again.json <<'END'",
            *("{", ",\n".join(settings), "}"),
            "END",
            f"{self.environment}{shlex.join([*self.words, 'again.json'])}",
        )


def commands(runs: Sequence[RunFile]) -> tuple[list[Command], int]:
    """One a sweep, one a results file that no sweep wrote, those of controls last; and how many
    are left out."""
    sweeps = sweeps_of(runs)
    of_sweeps = {run.path for members in sweeps.values() for run in members}
    single = [run for run in runs if run.path not in of_sweeps]
    single.sort(key=lambda run: controlled(run.condition) is not None)
    made = [sweep_command(folder, members) for folder, members in sweeps.items()]
    made += [evaluation_command(run) for run in single[:MOST_COMMANDS]]
    return made[:MOST_COMMANDS], max(0, len(sweeps) + len(single) - MOST_COMMANDS)


def sweeps_of(runs: Sequence[RunFile]) -> dict[Path, list[RunFile]]:
    """The files of each sweep, by its folder: OUT of OUT/CONDITION/MODEL/results_DATE.json."""
    folders: dict[Path, list[RunFile]] = {}
    for run in runs:
        if len(run.path.parents) > 2:
            folders.setdefault(run.path.parents[2], []).append(run)
    return {folder: members for folder, members in folders.items() if _arguments(folder)}


def _arguments(folder: Path) -> Mapping[str, Any]:
    """What a sweep was given; nothing where no sweep wrote, or its file cannot be read."""
    try:
        return mapping(mapping(read_json(folder / SWEEP, ReportError)).get("arguments"))
    except ReportError:
        return {}


def sweep_command(folder: Path, runs: Sequence[RunFile]) -> Command:
    """`lsn-eval sweep` for these conditions."""
    given = _arguments(folder)
    model_args = dict(mapping(given.get("model_args")))
    metadata = {
        name: value
        for name, value in mapping(given.get("metadata")).items()
        if name not in model_args or model_args[name] != value
    }
    settings = {
        "model": model_args.pop("pretrained", None),
        "mask": model_args.pop("mask", None),
        "dtype": model_args.pop("dtype", None),
        "conditions": list(dict.fromkeys(run.record.get("within", run.condition) for run in runs)),
        "model_args": model_args,
        "metadata": metadata,
        **{name: given.get(name) for name in _OF_SWEEPS},
    }
    root = given.get("data_root")
    return Command(
        str(folder),
        masked(_said(settings)),
        ("lsn-eval", "sweep", "--out", f"{folder}{AGAIN}", "--file"),
        f"LSN_EVAL_DATA={shlex.quote(str(root))} " if root else "",
    )


def evaluation_command(run: RunFile) -> Command:
    """`lm_eval` for one results file, `lsn-eval sweep` where the condition was in the weights: they
    may be gone. What the file does not say (templates by name, folders of further tasks) is not in
    it."""
    config, document = run.config, run.document
    arguments = config.get("model_args")
    shots = {scalar(count) for count in mapping(document.get("n-shot")).values()}
    # What every task was told besides the model's arguments can be read from the tasks alone.
    metadata = [mapping(task.get("metadata")).get("data_root") for task in run.tasks.values()]
    roots = {root for root in metadata if isinstance(root, str)}
    folder = run.path.parents[1] if len(run.path.parents) > 1 else run.path.parent
    shared = {
        "tasks": _named_tasks(run),
        "num_fewshot": shots.pop() if len(shots) == 1 else None,
        **{name: config.get(name) for name in ("batch_size", "device", "limit", "gen_kwargs")},
        "metadata": {"data_root": roots.pop()} if len(roots) == 1 else {},
        "seed": seeds(run),
        "system_instruction": document.get("system_instruction"),
        "apply_chat_template": bool(document.get("chat_template_sha")),
        "fewshot_as_multiturn": document.get("fewshot_as_multiturn"),
    }
    if run.condition != NO_CONDITION and not {"seen", "tuning"} & run.record.keys():
        further = dict(model_arguments(config))
        settings = {
            "model": run.model,
            "mask": mapping(run.record.get("mask")).get("name"),
            "conditions": [run.condition],
            "backend": config.get("model"),
            "model_args": {k: v for k, v in further.items() if k not in _OF_ONE_FOLDER},
            "dtype": further.get("dtype"),
            **shared,
        }
        words = ["lsn-eval", "sweep", "--out", f"{folder}{AGAIN}", "--file"]
    else:
        settings = {
            "model": config.get("model") or "hf",
            "model_args": masked_arguments(arguments) if isinstance(arguments, str) else arguments,
            **shared,
            "log_samples": True,
            "output_path": f"{folder}{AGAIN}",
        }
        words = ["lm_eval", "run", "--config"]
    return Command(str(run.path), masked(_said(settings)), words)


def _said(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None and value != {}}


def _named_tasks(run: RunFile) -> list[str]:
    """What `--tasks` named: groups, and tasks that are in none."""
    groups = {
        str(name): list(map(str, members))
        for name, members in mapping(run.document.get("group_subtasks")).items()
        if isinstance(members, list) and members
    }
    inside = {member for members in groups.values() for member in members}
    return [name for name in dict.fromkeys([*groups, *run.tasks]) if name not in inside]
