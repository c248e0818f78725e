"""`lsn-eval identify`: statistics to masks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsn_eval.cli import options

if TYPE_CHECKING:
    from lsn_eval.masks.mask import NeuronMask


def identify(
    out: options.MaskOut,
    stats: Annotated[
        list[Path] | None,
        typer.Argument(help="Statistics of 'lsn-eval record'; several files are added up."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="lape, lap, lave, lape_lambda, act_prob_90p, average_precision, plnd, "
            "parameter_variation, random."
        ),
    ] = "lape",
    hookpoint: Annotated[
        list[str] | None,
        options.several("Where the neurons are, of average_precision several"),
    ] = None,
    top_rate: Annotated[
        float | None, typer.Option(help="Share of all neurons to keep (lape: 0.01).")
    ] = None,
    filter_rate: Annotated[
        float | None,
        typer.Option(help="Quantile that some language must be above (lape: 0.95)."),
    ] = None,
    activation_bar_rate: Annotated[
        float | None,
        typer.Option(help="Quantile above which a neuron is a language's (lape: 0.95)."),
    ] = None,
    min_probability: Annotated[float | None, typer.Option(help="Firing rate (lap: 0.95).")] = None,
    neurons: Annotated[
        int | None, typer.Option(help="Neurons a language (average_precision: 2000).")
    ] = None,
    end: Annotated[
        str | None, typer.Option(help="both, top or bottom of the ranking (average_precision).")
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(help="Lambda (lape_lambda: the largest that leaves none to all)."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Checkpoint folder of the recorded model (plnd).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed (random: 0).")] = None,
    before: Annotated[
        str | None, typer.Option(help="Checkpoint before tuning (parameter_variation).")
    ] = None,
    tuned: Annotated[
        list[str] | None,
        options.several("LANGUAGE=CHECKPOINT after tuning on it (parameter_variation)", pairs=True),
    ] = None,
    equalize: Annotated[
        bool | None,
        typer.Option(help="Compare changes with the language's median (parameter_variation)."),
    ] = None,
    reading: Annotated[
        str | None, typer.Option(help="high or low change is the language's (parameter_variation).")
    ] = None,
    controls: options.Controls = None,
    controls_matched: options.ControlsMatched = "layer",
    min_tokens: Annotated[
        int | None,
        typer.Option(help="Leave experts out that fewer tokens of some language reached (1000)."),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(
            help="PARAMETER=FROM..TO[:STEP], FROM..TO:xFACTOR, FROM..TO:COUNTlog, or A,B,C: one "
            "mask a value, named with the value."
        ),
    ] = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Find each language's neurons in statistics; write a mask.

    Example: lsn-eval identify stats.safetensors --method lape --top-rate 0.01
    --out lape.safetensors

    Example: lsn-eval identify stats.safetensors --sweep top_rate=0.01..0.10 --out lape.safetensors
    """
    given: dict[str, Any] = dict(locals())
    from lsn_eval.identification import METHODS, IdentificationError, method_parameters
    from lsn_eval.identification import identify as identify_neurons
    from lsn_eval.identification.grids import parse_sweep, swept_path
    from lsn_eval.statistics import ActivationStats

    if tuned:
        form = "LANGUAGE=CHECKPOINT", "de=checkpoints/german"
        given["tuned"] = options.pairs(tuned, "--tuned", *form, IdentificationError)
    given["hookpoint"] = _hookpoint(method, hookpoint)
    known = {name for each in METHODS for name in method_parameters(each)}
    parameters = {k: value for k, value in given.items() if k in known and value is not None}
    points = parse_sweep(method, sweep, set(parameters)) if sweep else [{}]
    for point in points:
        options.check_new(swept_path(out, point), force)
    statistics = ActivationStats.load(*stats) if stats else None
    described = []
    for point in points:
        mask = identify_neurons(
            statistics,
            method,
            controls=controls,
            controls_matched=controls_matched,  # type: ignore[arg-type]
            command=options.command_line(),
            **({} if min_tokens is None else {"min_tokens": min_tokens}),
            **parameters,
            **point,
        )
        path = swept_path(out, point)
        mask.save(path)
        described.append(_describe(mask, path))
        if not as_json:
            _show(mask, described[-1], point)
    if as_json:
        print(json.dumps({"masks": described}, indent=2, ensure_ascii=False))


def _hookpoint(method: str, names: list[str] | None) -> str | list[str] | None:
    if not names or len(names) == 1:
        return names[0] if names else None
    if method != "average_precision":
        from lsn_eval.identification import IdentificationError

        raise IdentificationError(
            f"{method} looks at one hookpoint and {len(names)} were given ({', '.join(names)}); "
            "identify them one by one, or use average_precision"
        )
    return names


def _describe(mask: NeuronMask, path: Path) -> dict[str, Any]:
    return {
        "file": str(path),
        "digest": mask.digest,
        "method": mask.method.name,
        "parameters": dict(mask.method.parameters),
        "neurons": {language: mask.count(language) for language in mask.languages},
        "controls": {language: len(mask.controls(language)) for language in mask.languages},
        "without_neurons": [name for name in mask.languages if not mask.count(name)],
    }


def _show(mask: NeuronMask, described: dict[str, Any], point: dict[str, Any]) -> None:
    from lsn_eval.wording.text_tables import markdown_table

    for name, value in point.items():
        print(f"{name} {value}")
    print(markdown_table(mask.summary()[1]))
    if left_out := described["parameters"].get("left_out", {}).get("experts"):
        neurons, least = (described["parameters"][of] for of in ("left_out", "min_tokens"))
        print(
            f"warning: {left_out:,} experts with {neurons['neurons']:,} neurons were left out, as "
            f"fewer than {least:,} tokens of some language reached them (--min-tokens)",
            file=sys.stderr,
        )
    for language, remedy in described["parameters"].get("too_few", {}).items():
        count = described["neurons"][language]
        few = f"only {count} neuron{'s' * (count > 1)}" if count else "no neurons"
        print(f"warning: {few} for {language}: {remedy}", file=sys.stderr)
    for language, reason in described["parameters"].get("without_controls", {}).items():
        print(f"warning: no controls for {language}: {reason}", file=sys.stderr)
    print(f"written to {described['file']}\n")
