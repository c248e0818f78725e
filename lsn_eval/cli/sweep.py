"""`lsn-eval sweep`: many conditions and tasks on one loaded model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lsn_eval.cli.options import AsJson, Mask, Progress, command_line, several
from lsn_eval.storage.outside_files import parse_json


def sweep(
    out: Annotated[Path, typer.Option(help="Folder for the results files.")],
    model: Annotated[
        str | None, typer.Option(help="Model name or folder, or lsn_demo.", show_default=False)
    ] = None,
    mask: Mask = None,
    tasks: Annotated[
        list[str] | None, several("Tasks and groups, e.g. T1,T2", "--tasks", "--task")
    ] = None,
    conditions: Annotated[
        list[str] | None,
        several("Conditions, e.g. none,de:zero,ru:x0.5", "--conditions", "--condition"),
    ] = None,
    each: Annotated[
        str | None,
        typer.Option(help="Instead: none, and this for every language, e.g. zero or mean."),
    ] = None,
    controls: Annotated[
        int | None, typer.Option(help="With --each: random controls a language.", min=0)
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="YAML file with these settings; options here win.")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help="lm-eval's model that runs each condition from its weights, e.g. vllm; or "
            "lsn_mlm or lsn_classifier, with hooks.",
            show_default="lsn_hf, with hooks",
        ),
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16, ...")] = None,
    batch_size: Annotated[str | None, typer.Option(help="A number or auto; by default 1.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda:1; by default cuda or cpu.")] = None,
    limit: Annotated[float | None, typer.Option(help="Documents a task; for trying out.")] = None,
    num_fewshot: Annotated[int | None, typer.Option(help="Examples in the prompt.", min=0)] = None,
    model_args: Annotated[
        str | None, typer.Option(help="Further model arguments, k=v,k=v or JSON.")
    ] = None,
    metadata: Annotated[str | None, typer.Option(help="For the tasks, JSON or k=v,k=v.")] = None,
    gen_kwargs: Annotated[
        str | None, typer.Option(help="Generation arguments, k=v,k=v or JSON.")
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option(help="One, or python,numpy,torch,few-shot.", show_default="0,1234,1234,1234"),
    ] = None,
    system_instruction: Annotated[str | None, typer.Option(help="System prompt.")] = None,
    apply_chat_template: Annotated[
        bool | None,
        typer.Option("--apply-chat-template", help="Prompts in the tokenizer's chat template."),
    ] = None,
    include_path: Annotated[str | None, typer.Option(help="Folder with further tasks.")] = None,
    trust_remote_code: Annotated[
        bool | None, typer.Option("--trust-remote-code", help="As for lm_eval run.")
    ] = None,
    stack: Annotated[
        int | None,
        typer.Option(
            help="Most rows of a batch that conditions share in generation; 0: none share.",
            show_default="64",
            min=0,
        ),
    ] = None,
    progress: Progress = True,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Run nothing; print what is finished and what is to run."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate many conditions on one loaded model.

    Each is evaluated as if lm_eval had run alone: it ends as an ordinary lm-eval results file with
    samples in OUT/CONDITION/. Run again, finished conditions are skipped. A condition that fails is
    recorded in failed.json, the others go on, and the exit status is 1.

    Example: lsn-eval sweep --model lsn_demo --mask demo/planted --tasks lsn_demo_ppl --each zero
    --controls 5 --dtype float32 --batch-size 16 --device cpu --out sweep
    """
    given = dict(locals())
    for name in ("out", "file", "progress", "dry_run", "as_json"):
        del given[name]
    for name in ("model_args", "metadata", "gen_kwargs"):
        given[name] = _pairs(given[name], f"--{name.replace('_', '-')}")
    given = {name: value for name, value in given.items() if value is not None}

    from lsn_eval.storage.yaml_files import read_settings
    from lsn_eval.sweeping.settings import SweepError, SweepSettings

    in_file = read_settings(file, SweepError, "model: lsn_demo") if file else {}
    settings = SweepSettings.from_mapping({**in_file, **given}, str(file) if file else None)

    if dry_run:
        from lsn_eval.sweeping.estimate import estimate_sweep

        estimated = estimate_sweep(settings, out)
        print(json.dumps(estimated, indent=2) if as_json else _as_text(estimated))
        return

    from lsn_eval.sweeping.folder import results_in
    from lsn_eval.sweeping.running import run_sweep

    try:
        outcome = run_sweep(settings, out, progress=progress)
    except KeyboardInterrupt:
        again = command_line()
        rest = f"finished conditions are in {out}" if results_in(out) else "nothing is finished"
        print(f"\ninterrupted; {rest}; go on with\n  {again}", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        finished = {condition: str(results) for condition, results in outcome.finished.items()}
        print(json.dumps({"finished": finished, "failed": outcome.failed}, indent=2))
        raise typer.Exit(1 if outcome.failed else 0)
    for condition, results in outcome.finished.items():
        before = " (finished before)" if condition in outcome.skipped else ""
        print(f"{condition:<20} {results}{before}")
    if outcome.failed:
        print(f"\n{len(outcome.failed)} failed; run the same again to try them again:")
        for condition, reason in outcome.failed.items():
            print(f"{condition:<20} {reason}")
        raise typer.Exit(1)


def _as_text(estimated: dict[str, Any]) -> str:
    """What would be run, as it is printed."""
    from tqdm import tqdm

    from lsn_eval.wording.lists import counted
    from lsn_eval.wording.text_tables import aligned

    finished, to_run = estimated["finished"], estimated["to_run"]
    lines = [f"{condition:<20} finished: {results}" for condition, results in finished.items()]
    lines += [f"{condition:<20} to be run" for condition in to_run]
    if to_run:
        tasks, seconds = estimated["tasks"], estimated["seconds"]
        columns = ("language", "documents", "requests")
        rows = [
            [name, *(f"{of[column] or '-'}" for column in columns)] for name, of in tasks.items()
        ]
        languages = {of["language"] for of in tasks.values() if of["language"]}
        lines += ["", *aligned([["task", *columns], *rows], 2), ""]
        lines.append(
            f"{counted(len(to_run), 'condition')} x {counted(len(tasks), 'task')} in "
            f"{counted(len(languages), 'language')}: about {estimated['requests']:,} requests"
        )
        if seconds is not None:
            took = tqdm.format_interval(seconds)
            lines.append(f"about {took}, going by {counted(len(finished), 'finished condition')}")
    return "\n".join([*lines, "nothing was written"])


def _pairs(text: str | None, option: str) -> dict[str, Any] | None:
    """`k=v,k=v` or a JSON object, values read as lm-eval reads them."""
    from lsn_eval.sweeping.settings import SweepError

    if text is None or not text.strip():
        return None
    if text.lstrip().startswith("{"):
        return dict(parse_json(text, option, SweepError))
    if not all("=" in part for part in text.split(",") if part):
        raise SweepError(f"{option} {text!r}: k=v,k=v or a JSON object was expected")
    from lm_eval.utils import simple_parse_args_string

    return dict(simple_parse_args_string(text))
