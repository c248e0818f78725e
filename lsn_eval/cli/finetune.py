"""`lsn-eval finetune`: LoRA on a mask's neurons alone, beside controls and whole layers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from lsn_eval.cli.options import AsJson, Progress, a_model, pairs, several, sharing


@sharing(a_model)
def finetune(
    mask: Annotated[str, typer.Option(help="A mask file, or the name of a shipped mask.")],
    data: Annotated[
        str,
        typer.Option(
            help="A task, its training split; a .jsonl file with prompt and answer; or a .json "
            "file in SQuAD's format."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the adapters' folders.")],
    language: Annotated[
        list[str] | None,
        several("Languages whose neurons are tuned together", show_default="the mask's only one"),
    ] = None,
    controls: Annotated[int, typer.Option(help="Adapters on random neurons.", min=0)] = 1,
    only: Annotated[
        list[str] | None,
        several("Adapters to make, e.g. en,random1-en,full", show_default="all"),
    ] = None,
    head: Annotated[
        bool,
        typer.Option("--head", help="Train a classification head on premises and hypotheses."),
    ] = False,
    layers: Annotated[
        list[str] | None,
        several("Linear layers in which a neuron is tuned, e.g. mlp.gate", show_default="all"),
    ] = None,
    whole: Annotated[
        list[str] | None,
        several("Layers that every adapter tunes as a whole besides, e.g. attn"),
    ] = None,
    documents: Annotated[
        int | None, typer.Option(help="The first so many examples.", min=1, show_default="all")
    ] = None,
    rank: Annotated[int, typer.Option(help="Rank of an update.")] = 8,
    alpha: Annotated[int, typer.Option(help="An update is scaled by alpha / rank.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="At its highest.")] = 1e-4,
    epochs: Annotated[float, typer.Option(help="Times that an example is seen.")] = 1,
    batch_size: Annotated[int, typer.Option(help="Examples a step.")] = 8,
    max_length: Annotated[int, typer.Option(help="Tokens; longer examples are left out.")] = 256,
    training: Annotated[
        list[str] | None,
        several("Further TrainingArguments of transformers, NAME=VALUE", pairs=True),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of first values and the order of examples.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained, and train nothing.")
    ] = False,
    progress: Progress = True,
    as_json: AsJson = False,
    **of_a_model: Any,
) -> None:
    """Tune a language's neurons, and controls.

    The controls are as many random neurons and the same layers as a whole. Makes an ordinary peft
    adapter each, in OUT/LANGUAGE, OUT/random1-LANGUAGE and OUT/full; with --head or --whole also
    OUT/none, without any neurons. Those that are there are not made again.

    Example: lsn-eval finetune --model lsn_demo --mask demo/planted --language de --data train.jsonl
    --out adapters
    """
    from lsn_eval.errors import TuningError
    from lsn_eval.storage.outside_files import parse_json
    from lsn_eval.tuning import TuningSettings
    from lsn_eval.tuning import finetune as tune
    from lsn_eval.wording.text_tables import aligned

    model, dtype = of_a_model["model"], of_a_model.pop("dtype")
    given = pairs(training, "--training", "NAME=VALUE", "weight_decay=0.1", TuningError)
    plain = {"true", "false", "null"}
    further = {
        name: parse_json(value, "--training", TuningError)
        if value in plain or value.strip("-")[:1].isdigit()
        else value
        for name, value in given.items()
    }
    outcome = tune(
        mask=mask, data=data, out=out, languages=language, controls=controls, only=only, head=head,
        layers=layers, whole=whole or (), documents=documents, progress=progress,
        dry_run=dry_run, **of_a_model, settings=TuningSettings(
            rank, alpha, learning_rate, epochs, batch_size, max_length, seed, dtype, further
        ),
    )  # fmt: skip
    if as_json:
        print(json.dumps(outcome.records, indent=2, ensure_ascii=False))
        return
    title, rows = outcome.summary()
    print(title, *aligned(rows, 2), sep="\n")
    if dry_run:
        print("nothing was trained")
        return
    names = shlex.join(outcome.records)
    kind = "lsn_classifier" if head else "lsn_hf"
    print(f"""evaluate them, each a condition of {model}, with
  for adapter in {names}; do lm_eval --model {kind} --tasks TASKS --log_samples \\
    --model_args pretrained={model},condition=none,peft={out}/$adapter \\
    --output_path results/$adapter; done""")
    if not head:
        print(f"""  lm_eval --model lsn_hf --model_args pretrained={model},condition=none \\
    --tasks TASKS --log_samples --output_path results/none""")
    print("  lsn-eval compare results")
