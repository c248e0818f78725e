"""`lsn-eval mask diff` and `lsn-eval mask random`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def diff(
    first: Annotated[str, typer.Argument(help="Mask A: a file, or the name of a shipped mask.")],
    second: Annotated[str, typer.Argument(help="Mask B, of the same model.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print which neurons two masks of a model share, language by language.

    Example: lsn-eval mask diff lape.safetensors lave.safetensors
    """
    from lsn_eval.masks.comparison import difference_table, mask_difference
    from lsn_eval.masks.mask import NeuronMask

    masks = NeuronMask.load(first), NeuronMask.load(second)
    difference = mask_difference(*masks)
    if as_json:
        named = {
            side: {"mask": name, "digest": mask.digest, "method": mask.method.name}
            for side, name, mask in zip("AB", (first, second), masks, strict=True)
        }
        print(json.dumps(named | difference.as_json(), indent=2, ensure_ascii=False))
        return
    for side, name, mask in zip("AB", (first, second), masks, strict=True):
        print(f"{side}  {name}  ({mask.method.name}, sha256 {mask.digest[:12]})")
    print(f"\n{difference_table(difference)}")
    here, there = (", ".join(mask.hookpoints) for mask in masks)
    if here and there and not {*masks[0].hookpoints} & {*masks[1].hookpoints}:
        print(f"\nno hookpoint is in both, so that no neuron can be: A is at {here}, B at {there}")
    if difference.same:
        print("\nthe same neurons, controls and values")
    for side, missing in zip(
        "BA", (difference.only_in_first, difference.only_in_second), strict=True
    ):
        if missing:
            print(f"\nnot a language of {side}: {', '.join(missing)}")


def random_(
    out: Annotated[Path, typer.Option(help="The mask file to write.")],
    like: Annotated[
        str | None,
        typer.Option(help="A mask to match: as many neurons in every layer, of no language."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other neurons.", min=0)] = 1,
    languages: Annotated[
        str | None, typer.Option(help="Without --like: names of the languages, e.g. de,fr.")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(help="Without --like: layers of the model.", min=1)
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Without --like: neurons per layer.", min=1)
    ] = None,
    top_rate: Annotated[
        float, typer.Option(help="Without --like: share of all neurons, over all languages.")
    ] = 0.01,
    hookpoint: Annotated[str, typer.Option(help="Without --like: the hookpoint.")] = "mlp.act",
    model_type: Annotated[
        str | None, typer.Option(help="Without --like: config.model_type, checked when used.")
    ] = None,
) -> None:
    """Write a mask of random neurons.

    Example: lsn-eval mask random --like lape.safetensors --seed 3 --out random.safetensors
    """
    from lsn_eval.errors import MaskError
    from lsn_eval.identification.random_masks import random_like, random_mask

    if like is not None:
        if any(option is not None for option in (languages, layers, width, model_type)):
            raise MaskError(
                "--like takes languages, layers and widths from its mask; leave --languages, "
                "--layers, --width and --model-type out"
            )
        from lsn_eval.masks.mask import NeuronMask

        mask = random_like(NeuronMask.load(like), seed)
    else:
        if languages is None or layers is None or width is None:
            raise MaskError("give --like MASK, or --languages, --layers and --width")
        mask = random_mask(
            [name.strip() for name in languages.split(",")],
            layers=layers,
            width=width,
            hookpoint=hookpoint,
            top_rate=top_rate,
            seed=seed,
            model_type=model_type,
        )
    mask.save(out)
    for language in mask.languages:
        print(f"{language}  {mask.count(language)}")
    print(f"written to {out}")
