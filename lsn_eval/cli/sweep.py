"""`lsn-eval sweep`: many conditions and tasks on one loaded model."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lsn_eval.sweeping.settings import SweepError, SweepSettings, read_file


def sweep(
    out: Annotated[Path, typer.Option(help="Folder for the results files.")],
    model: Annotated[
        str | None, typer.Option(help="Model name or folder, or lsn_demo.", show_default=False)
    ] = None,
    mask: Annotated[str | None, typer.Option(help="Mask file, or a shipped mask's name.")] = None,
    tasks: Annotated[str | None, typer.Option(help="Tasks and groups, e.g. T1,T2.")] = None,
    conditions: Annotated[str | None, typer.Option(help="Such as none,de:zero,ru:x0.5.")] = None,
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
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16, ...")] = None,
    batch_size: Annotated[str | None, typer.Option(help="A number, or auto.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1.")] = None,
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
            help="Most rows of a batch that conditions share in generation; 0: none share.", min=0
        ),
    ] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Evaluate many conditions on one loaded model, each as if lm_eval had run alone.

    Every condition ends as an ordinary lm-eval results file with samples in OUT/CONDITION/. Run
    again, finished conditions are skipped. A condition that fails is recorded in failed.json, the
    others go on, and the exit status is 1.

    Example: lsn-eval sweep --model lsn_demo --mask demo/planted --tasks lsn_demo_ppl --each zero
    --controls 5 --dtype float32 --batch-size 16 --device cpu --out sweep
    """
    given = {
        "model": model,
        "mask": mask,
        "tasks": tasks,
        "conditions": conditions,
        "each": each,
        "controls": controls,
        "dtype": dtype,
        "batch_size": batch_size,
        "device": device,
        "limit": limit,
        "num_fewshot": num_fewshot,
        "model_args": _mapping(model_args, "--model-args"),
        "metadata": _mapping(metadata, "--metadata"),
        "gen_kwargs": _mapping(gen_kwargs, "--gen-kwargs"),
        "seed": seed,
        "system_instruction": system_instruction,
        "apply_chat_template": apply_chat_template,
        "include_path": include_path,
        "trust_remote_code": trust_remote_code,
        "stack": stack,
    }
    given = {name: value for name, value in given.items() if value is not None}
    read = read_file(file) if file else {}
    where = str(file) if file else "lsn-eval sweep"
    settings = SweepSettings.from_mapping({**read, **given}, where)

    from lsn_eval.sweeping.folder import results_in
    from lsn_eval.sweeping.sweep import run_sweep

    try:
        outcome = run_sweep(settings, out, progress=progress)
    except KeyboardInterrupt:
        again = shlex.join(["lsn-eval", *sys.argv[1:]])
        kept = f"finished conditions are in {out}" if results_in(out) else "nothing is finished"
        print(f"\ninterrupted; {kept}; go on with\n  {again}", file=sys.stderr)
        raise typer.Exit(130) from None
    for condition, results in outcome.finished.items():
        before = " (finished before)" if condition in outcome.skipped else ""
        print(f"{condition:<20} {results}{before}")
    if outcome.failed:
        print(f"\n{len(outcome.failed)} failed; run the same again to try them again:")
        for condition, reason in outcome.failed.items():
            print(f"{condition:<20} {reason}")
        raise typer.Exit(1)


def _mapping(text: str | None, option: str) -> dict[str, Any] | None:
    """`k=v,k=v` or a JSON object, values read as lm-eval reads them."""
    if text is None or not text.strip():
        return None
    if text.lstrip().startswith("{"):
        try:
            return dict(json.loads(text))
        except ValueError as error:
            raise SweepError(f"{option}: {text!r} is no JSON object ({error})") from error
    if not all("=" in part for part in text.split(",") if part):
        raise SweepError(f"{option} {text!r}: k=v,k=v or a JSON object was expected")
    from lm_eval.utils import simple_parse_args_string

    return dict(simple_parse_args_string(text))
