"""`lsn-eval bake`: a condition into the weights of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsn_eval.cli import options


def bake(
    model: options.Model,
    condition: Annotated[str, typer.Option(help="Such as de:zero; none makes the baseline.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    mask: options.Mask = None,
    revision: options.Revision = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Where it is held against hooks; auto spreads the models.", show_default="cpu"
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Leave out the neurons that have no effect any more.")
    ] = False,
    align: Annotated[
        int, typer.Option(help="What the width of a pruned MLP is to be a multiple of.")
    ] = 8,
    dequantise: Annotated[
        bool,
        typer.Option("--dequantise", help="Of a quantised model, or a GGUF file: bake the values."),
    ] = False,
    merge_adapter: Annotated[
        bool,
        typer.Option("--merge-adapter", help="Merge an adapter into its model, by peft."),
    ] = False,
    force: options.Force = False,
) -> None:
    """Write a condition into weights, for every engine.

    Example: lsn-eval bake --model MODEL --mask mask.safetensors --condition de:zero --out FOLDER
    """
    from lsn_eval.baking import bake as bake_model

    baked = bake_model(
        model, mask, condition, out, revision=revision, device=device, prune=prune, align=align,
        dequantise=dequantise, merge_adapter=merge_adapter, force=force,
    )  # fmt: skip
    _, (_, *rows) = baked.summary()
    for name, text in rows:
        print(f"{name}: {text}")
    print(f"wrote {baked.folder}; --model hf --model_args pretrained={baked.folder} evaluates it")
