"""`lsn-eval mask`: look at masks and convert those that others published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lsn_eval.cli.mask_compare import diff, random_
from lsn_eval.masks.mask import NeuronMask

app = typer.Typer(no_args_is_help=True, help="Look at, convert, make and compare masks.")
app.command("diff")(diff)
app.command("random")(random_)


@app.command()
def info(
    mask: Annotated[str, typer.Argument(help="A mask file, or the name of a shipped mask.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw neurons per layer and language overlap; .png, .svg or .pdf."),
    ] = None,
) -> None:
    """Print languages, neurons per language and layer, method, model and digest.

    Example: lsn-eval mask info demo/planted --plot planted.png
    """
    loaded = NeuronMask.load(mask)
    described = describe(loaded)
    if plot is not None:
        from lsn_eval.plotting.mask_figures import mask_figure
        from lsn_eval.plotting.saving import check_target, save_figure

        check_target(plot)
        save_figure(mask_figure(loaded), plot)
    if as_json:
        print(json.dumps(described, indent=2, ensure_ascii=False))
    else:
        print(_as_text(described))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A .pth file in the RUCAIBox format.")],
    languages: Annotated[
        str, typer.Option(help="Names of its languages in file order, e.g. en,zh,fr.")
    ],
    layers: Annotated[int, typer.Option(help="Layers of the model.", min=1)],
    width: Annotated[int, typer.Option(help="Neurons per layer.", min=1)],
    out: Annotated[Path, typer.Option(help="The mask file to write.")],
    model: Annotated[str | None, typer.Option(help="Name of the model, for the record.")] = None,
    model_type: Annotated[
        str | None, typer.Option(help="Its config.model_type (llama, bloom): checked when used.")
    ] = None,
) -> None:
    """Convert a mask of RUCAIBox/Language-Specific-Neurons (Tang et al. 2024).

    Example: lsn-eval mask import LLaMA-2-7B.neuron.pth --languages en,zh,fr,es,vi,id,ja
    --layers 32 --width 11008 --model meta-llama/Llama-2-7b-hf --out llama-2-7b.safetensors
    """
    from lsn_eval.masks.imports import import_rucaibox

    mask = import_rucaibox(
        file,
        languages=[name.strip() for name in languages.split(",")],
        layers=layers,
        width=width,
        name=model,
        model_type=model_type,
    )
    mask.save(out)
    print(_as_text(describe(mask)))
    print(f"\nwritten to {out}")


def describe(mask: NeuronMask) -> dict[str, Any]:
    """What `mask info` shows, in plain types."""
    union = {
        (hookpoint, layer, int(index))
        for language in mask.languages
        for hookpoint, layer in mask.places(language)
        for index in mask.indices(language, hookpoint, layer)
    }
    return {
        "digest": mask.digest,
        "model": {
            "name": mask.model.name,
            "type": mask.model.type,
            "revision": mask.model.revision,
            "layers": len(mask.model.layers),
            "widths": dict(mask.model.widths),
        },
        "method": {"name": mask.method.name, "parameters": dict(mask.method.parameters)},
        "hookpoints": list(mask.hookpoints),
        "layer_names": list(mask.model.layers),
        "languages": list(mask.languages),
        "neurons": {language: mask.count(language) for language in mask.languages},
        "neurons_in_union": len(union),
        "neurons_per_layer": {language: mask.layer_counts(language) for language in mask.languages},
        "statistics": {language: list(mask.statistics(language)) for language in mask.languages},
        "controls": {language: len(mask.controls(language)) for language in mask.languages},
        "provenance": mask.provenance,
    }


def _as_text(described: dict[str, Any]) -> str:
    model, languages = described["model"], described["languages"]
    widths = ", ".join(f"{width} at {at}" for at, width in model["widths"].items())
    parameters = ", ".join(f"{k}={v}" for k, v in described["method"]["parameters"].items())
    lines = [
        f"digest   sha256 {described['digest']}",
        f"model    {model['name'] or 'not named'} ({model['type'] or 'type not said'}), "
        f"{model['layers']} layers, {widths}",
        f"method   {described['method']['name']}{f' ({parameters})' if parameters else ''}",
        "",
    ]
    rows = [["language", "neurons", "controls", "statistics"]]
    for name in languages:
        stored = ", ".join(described["statistics"][name]) or "none"
        controls = str(described["controls"][name])
        rows.append([name, str(described["neurons"][name]), controls, stored])
    rows.append(["in all", str(described["neurons_in_union"]), "", ""])
    lines += _table(rows)
    for hookpoint in described["hookpoints"]:
        counts = [described["neurons_per_layer"][name][hookpoint] for name in languages]
        rows = [["layer", *languages]]
        for number, layer in enumerate(described["layer_names"]):
            rows.append([layer, *(str(per_layer[number]) for per_layer in counts)])
        lines += ["", f"neurons at {hookpoint}", *_table(rows)]
    without = [name for name in languages if not described["neurons"][name]]
    if without:
        lines += ["", f"without any neuron: {', '.join(without)}"]
    return "\n".join(lines)


def _table(rows: list[list[str]]) -> list[str]:
    """Columns of numbers go to the right, the others and the first to the left."""
    columns = list(zip(*rows, strict=True))
    for number, cells in enumerate(columns):
        width = max(map(len, cells))
        numeric = number > 0 and all(cell.isdigit() or not cell for cell in cells[1:])
        columns[number] = tuple(
            cell.rjust(width) if numeric else cell.ljust(width) for cell in cells
        )
    return ["  ".join(row).rstrip() for row in zip(*columns, strict=True)]
