"""`lsn-eval mask`: look at masks, compare and make them, convert those that others published."""

from __future__ import annotations

import json
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsn_eval.cli import options
from lsn_eval.errors import MaskError
from lsn_eval.models.layout import MOST_LAYERS, MOST_NEURONS, is_routed
from lsn_eval.visible_text import one_line
from lsn_eval.wording.text_tables import aligned, markdown_table, screen_width

if TYPE_CHECKING:
    from lsn_eval.masks.mask import NeuronMask

app = typer.Typer(no_args_is_help=True, help="Look at, convert, make and compare masks.")
LAYERS: dict[str, Any] = {"min": 1, "max": MOST_LAYERS}
WIDTH: dict[str, Any] = {"min": 1, "max": MOST_NEURONS}


@app.command()
def info(
    mask: options.MaskName,
    as_json: options.AsJson = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw neurons per layer and language overlap; .png, .svg or .pdf."),
    ] = None,
) -> None:
    """Print languages, neurons per language and layer, method, model and digest.

    Example: lsn-eval mask info demo/planted --plot planted.png
    """
    from lsn_eval.masks.mask import NeuronMask

    loaded = NeuronMask.load(mask)
    if plot is not None:
        from lsn_eval.plotting.mask_figures import mask_figure
        from lsn_eval.plotting.saving import check_target, save_figure

        check_target(plot)
        save_figure(mask_figure(loaded), plot)
    described = describe(loaded)
    print(json.dumps(described, indent=2, ensure_ascii=False) if as_json else _as_text(described))


@app.command()
def push(
    mask: options.MaskName,
    name: options.Repository,
    private: options.Private = False,
) -> None:
    """Write a mask and its card to a repository of the Hub, which is made if there is none.

    Example: lsn-eval mask push mask.safetensors OWNER/NAME
    """
    from lsn_eval.masks.mask import NeuronMask

    print(f"written: {NeuronMask.load(mask).push_to_hub(name, private=private)}")


@app.command()
def pull(name: options.OnHub, out: options.MaskOut, force: options.Force = False) -> None:
    """Fetch a mask from the Hub. Wherever a mask is named, hf:OWNER/NAME@REVISION does, too.

    Example: lsn-eval mask pull hf:OWNER/NAME@REVISION --out mask.safetensors
    """
    from lsn_eval.masks.mask import NeuronMask

    options.check_new(out, force)
    NeuronMask.load(name).save(out)


@app.command("import")
def import_(
    files: Annotated[
        list[str],
        typer.Argument(
            help="One FILE.pth of lists[language][layer], one FILE.json, or expertise files "
            "LANGUAGE=FILE.csv."
        ),
    ],
    out: options.MaskOut,
    languages: Annotated[
        list[str] | None, options.several("Of a .pth file: its languages in file order, en,zh,fr")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(help="Layers; without, --model says.", **LAYERS)
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Neurons per layer; without, --model says.", **WIDTH)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Name or folder; its configuration is read where sizes are not given."),
    ] = None,
    model_type: options.ModelType = None,
    neurons: Annotated[
        int | None, typer.Option(help="Of an expertise file: how many units; without, all.", min=1)
    ] = None,
    end: Annotated[
        str, typer.Option(help="Of which end of average precision: both, top or bottom.")
    ] = "both",
    force: options.Force = False,
) -> None:
    """Convert masks that others published: Tang et al. 2024, NJUNLP, Kojima et al. 2024, JSON.

    Example: lsn-eval mask import LLaMA-2-7B.neuron.pth --languages en,zh,fr,es,vi,id,ja
    --layers 32 --width 11008 --model meta-llama/Llama-2-7b-hf --out llama-2-7b.safetensors

    Example: lsn-eval mask import de=expertise.csv --model bigscience/bloom-560m --neurons 2000
    --out kojima.safetensors
    """
    from lsn_eval.masks import imports

    options.check_new(out, force)
    sizes: dict[str, Any] = {
        "layers": layers,
        "width": width,
        "model_type": model_type,
    }
    tables = any("=" in file for file in files)
    if not tables and (neurons is not None or end != "both"):
        raise MaskError("--neurons and --end are of expertise files, LANGUAGE=FILE.csv, alone")
    if languages is not None and (tables or files[0].endswith(".json")):
        raise MaskError("--languages is of files without names; leave it out")
    if tables:
        form = "LANGUAGE=FILE.csv", "de=expertise.csv"
        named = options.pairs(files, "mask import", *form, MaskError)
        if model is None:
            raise MaskError("expertise files name modules: give their model with --model")
        mask = imports.import_expertise(named, name=model, neurons=neurons, end=end)  # type: ignore[arg-type]
    elif len(files) > 1:
        raise MaskError(f"{len(files)} files were given; one, or LANGUAGE=FILE.csv for each")
    elif files[0].endswith(".json"):
        mask = imports.import_json(files[0], name=model, **sizes)
    else:
        mask = imports.import_lists(files[0], languages=languages or (), name=model, **sizes)
    _write(mask, out)


@app.command("add-statistics")
def add_statistics_(
    mask: options.MaskName,
    stats: Annotated[
        list[Path],
        typer.Argument(help="Statistics of 'lsn-eval record'; several files are added up."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="MASK.steerable.safetensors")
    ] = None,
    controls: options.Controls = None,
    controls_matched: options.ControlsMatched = "layer",
    replace: Annotated[
        bool, typer.Option(help="Write over statistics that the mask stores; else they stay.")
    ] = False,
    force: options.Force = False,
) -> None:
    """Attach recorded statistics, and controls with theirs, to a mask that has none.

    Example: lsn-eval mask add-statistics llama-2-7b.safetensors stats.safetensors
    --out steerable.safetensors
    """
    from lsn_eval.identification import add_statistics

    out = out or Path(f"{mask.removesuffix('.safetensors')}.steerable.safetensors")
    options.check_new(out, force)
    made = add_statistics(
        mask,
        *stats,
        controls=controls,
        controls_matched=controls_matched,  # type: ignore[arg-type]
        replace_stored=replace,
        command=options.command_line(),
    )
    _write(made, out)


@app.command()
def select(
    mask: options.MaskName,
    out: options.MaskOut,
    languages: Annotated[
        list[str] | None, options.several("Languages to keep", show_default="all")
    ] = None,
    shared_by: Annotated[
        str | None,
        typer.Option(
            help="Keep neurons that so many of its languages have: 1, or 2..3. Drops controls."
        ),
    ] = None,
    force: options.Force = False,
) -> None:
    """Write part of a mask: some languages, or the neurons of one language alone or of several.

    Example: lsn-eval mask select lape.safetensors --shared-by 2..3 --out related.safetensors
    """
    from lsn_eval.masks.mask import NeuronMask

    options.check_new(out, force)
    made = NeuronMask.load(mask)
    if shared_by is not None:
        least, _, most = shared_by.partition("..")
        if not least.isdecimal() or not (most or least).isdecimal():
            raise MaskError(f"--shared-by {shared_by!r}: a number or FROM..TO was expected")
        made = made.shared_by(int(least), int(most or least))
    _write(made.select(languages or made.languages), out)


@app.command("write-at")
def write_at(
    mask: options.MaskName,
    hookpoint: Annotated[str, typer.Argument(help="mlp.gate, mlp.up, mlp.act or mlp.down_in.")],
    out: options.MaskOut,
    force: options.Force = False,
) -> None:
    """Write a mask whose neurons and values are written at another hookpoint than recorded.

    The method's name, and with it every signature, says so: lape(mlp.gate>mlp.act).

    Example: lsn-eval mask write-at gate.safetensors mlp.act --out gate-act.safetensors
    """
    from lsn_eval.masks.mask import NeuronMask

    options.check_new(out, force)
    _write(NeuronMask.load(mask).written_at(hookpoint), out)


@app.command()
def diff(
    first: Annotated[str, typer.Argument(help="Mask A: a file, or the name of a shipped mask.")],
    second: Annotated[str, typer.Argument(help="Mask B, of the same model.")],
    as_json: options.AsJson = False,
) -> None:
    """Print which neurons two masks of a model share, language by language.

    Example: lsn-eval mask diff lape.safetensors lave.safetensors
    """
    from lsn_eval.masks.comparison import mask_difference
    from lsn_eval.masks.mask import NeuronMask

    masks = NeuronMask.load(first), NeuronMask.load(second)
    difference = mask_difference(*masks)
    named = {
        side: {"mask": name, "digest": mask.digest, "method": mask.method.name}
        for side, name, mask in zip("AB", (first, second), masks, strict=True)
    }
    if as_json:
        print(json.dumps(named | difference.as_json(), indent=2, ensure_ascii=False))
        return
    for side, entry in named.items():
        print(f"{side}  {entry['mask']}  ({entry['method']}, sha256 {entry['digest'][:12]})")
    rows = [["language", "hookpoint", "A", "B", "only A", "only B", "shared", "Jaccard"]]
    for at in (*difference.by_language, *difference.by_hookpoint):
        numbers = at.first, at.second, at.only_first, at.only_second, at.shared
        index = "-" if isnan(at.jaccard) else f"{at.jaccard:.3f}"
        rows.append([at.language, at.hookpoint, *map(str, numbers), index])
    print(f"\n{markdown_table(rows)}")
    here, there = (", ".join(mask.hookpoints) for mask in masks)
    if here and there and not {*masks[0].hookpoints} & {*masks[1].hookpoints}:
        print(f"\nno hookpoint is in both, so that no neuron can be: A is at {here}, B at {there}")
    if difference.same:
        print("\nthe same neurons, controls and values")
    for side, missing in (("B", difference.only_in_first), ("A", difference.only_in_second)):
        if missing:
            print(f"\nnot a language of {side}: {', '.join(missing)}")


@app.command("random")
def random_(
    out: options.MaskOut,
    like: Annotated[
        str | None,
        typer.Option(help="A mask to match: as many neurons in every layer, of no language."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other neurons.", min=0)] = 1,
    languages: Annotated[
        list[str] | None, options.several("Without --like: names of the languages, e.g. de,fr")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(help="Without --like: layers of the model.", **LAYERS)
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Without --like: neurons per layer.", **WIDTH)
    ] = None,
    top_rate: Annotated[
        float, typer.Option(help="Without --like: share of all neurons, over all languages.")
    ] = 0.01,
    hookpoint: Annotated[str, typer.Option(help="Without --like: the hookpoint.")] = "mlp.act",
    model: Annotated[
        str | None,
        typer.Option(help="In place of sizes: name or folder; its configuration says them."),
    ] = None,
    model_type: options.ModelType = None,
    force: options.Force = False,
) -> None:
    """Write a mask of random neurons.

    Example: lsn-eval mask random --like lape.safetensors --seed 3 --out random.safetensors

    Example: lsn-eval mask random --model google/mt5-small --languages de,fr --out mt5.safetensors
    """
    from lsn_eval.identification.random import random_like, random_mask
    from lsn_eval.masks.mask import NeuronMask

    options.check_new(out, force)
    if like is not None:
        if any(option is not None for option in (languages, layers, width, model, model_type)):
            raise MaskError(
                "--like takes languages, layers and widths from its mask; leave --languages, "
                "--layers, --width, --model and --model-type out"
            )
        mask = random_like(NeuronMask.load(like), seed)
    else:
        if languages is None:
            raise MaskError("give --like MASK, or --languages with --model or --layers and --width")
        mask = random_mask(
            languages,
            layers=layers,
            width=width,
            hookpoint=hookpoint,
            top_rate=top_rate,
            seed=seed,
            name=model,
            model_type=model_type,
        )
    _write(mask, out)


def _write(mask: NeuronMask, out: Path) -> None:
    mask.save(out)
    print(f"{_as_text(describe(mask))}\n\nwritten to {out}")


def describe(mask: NeuronMask) -> dict[str, Any]:
    """What `mask info` shows, in plain types."""
    import numpy as np

    from lsn_eval.masks.algebra import owner_counts
    from lsn_eval.statistics.document_sketch import without_sketches

    counts = owner_counts(mask).values()
    shared = np.bincount(np.concatenate([*counts, np.zeros(0, np.int64)])).tolist()
    return {
        "digest": mask.digest,
        "model": mask.model.to_json(),
        "method": {"name": mask.method.name, "parameters": dict(mask.method.parameters)},
        "hookpoints": list(mask.hookpoints),
        "layer_names": list(mask.model.layers),
        "languages": list(mask.languages),
        "neurons": {language: mask.count(language) for language in mask.languages},
        "neurons_in_union": sum(shared[1:]),
        "neurons_shared_by": {str(n): count for n, count in enumerate(shared[1:], 1) if count},
        "neurons_per_layer": {language: mask.layer_counts(language) for language in mask.languages},
        "statistics": {language: list(mask.statistics(language)) for language in mask.languages},
        "controls": {language: len(mask.controls(language)) for language in mask.languages},
        "provenance": without_sketches(mask.provenance),
    }


def _as_text(described: dict[str, Any]) -> str:
    model, languages = described["model"], described["languages"]
    widths = ", ".join(f"{width} at {at}" for at, width in model["widths"].items())
    parameters = ", ".join(f"{k}={v}" for k, v in described["method"]["parameters"].items())
    facts = {
        "digest": f"sha256 {described['digest']}",
        "model": f"{model['name'] or 'not named'} ({model['type'] or 'type not said'}), "
        f"{model['layers']} layers, {widths}",
        "method": f"{described['method']['name']}{f' ({parameters})' if parameters else ''}",
    }
    rows = [["language", "neurons", "controls", "statistics"]]
    for name in languages:
        stored = ", ".join(described["statistics"][name]) or "none"
        figures = f"{described['neurons'][name]:>7}", f"{described['controls'][name]:>8}"
        rows.append([name, *figures, stored])
    shared = described["neurons_shared_by"]
    rows += [
        [f"of {count}", f"{neurons:>7}", "", ""]
        for count, neurons in shared.items()
        if count != "1"
    ]
    rows.append(["in all", f"{described['neurons_in_union']:>7}", "", ""])
    lines = [f"{name:<9}{one_line(fact)}" for name, fact in facts.items()]
    lines += ["", *aligned(rows, width=screen_width())]
    for hookpoint in described["hookpoints"]:
        counts = [described["neurons_per_layer"][name][hookpoint] for name in languages]
        by_layer: dict[str, list[int]] = {}
        for layer, *row in zip(described["layer_names"], *counts, strict=True):
            # Experts are many: all of a layer are one line.
            routed = f"{layer.partition('.')[0]}.*" if is_routed(layer) else layer
            sums = by_layer.setdefault(routed, [0] * len(row))
            by_layer[routed] = [sum(pair) for pair in zip(sums, row, strict=True)]
        rows = [["layer", *languages]]
        rows += [[layer, *map(str, row)] for layer, row in by_layer.items()]
        lines += ["", f"neurons at {hookpoint}", *aligned(rows, 1, screen_width())]
    without = [name for name in languages if not described["neurons"][name]]
    if without:
        lines += ["", f"without any neuron: {', '.join(without)}"]
    return "\n".join(lines)
