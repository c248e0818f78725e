"""`lsn-eval models`: which model types are supported, and what is found in one model."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsn_eval.cli.options import AsJson
from lsn_eval.wording.text_tables import aligned, screen_width

if TYPE_CHECKING:
    from lsn_eval.models.hookpoints import ModelHookpoints

app = typer.Typer(no_args_is_help=True, help="Look at model types, and at one model.")


@app.command("list")
def list_types(as_json: AsJson = False) -> None:
    """Print every model type that is supported or refused.

    Example: lsn-eval models list
    """
    from lsn_eval.models.support import support

    rows = [{name: text for name, text in asdict(row).items() if text} for row in support()]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    heading = {"type": "type", "kind": "kind", "gate": "gate and up", "attention": "q, k and v"}
    cells = [[row.get(name, "") for name in heading] for row in (heading, *rows)]
    print(*aligned(cells, width=screen_width()), sep="\n")
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if "reason" in row:
            reasons.setdefault(row["reason"], []).append(row["type"])
    for reason, names in reasons.items():
        print(f"\nrefused: {reason}: {', '.join(names)}")


@app.command()
def inspect(
    model: Annotated[str, typer.Argument(help="A model folder, a name on the Hub, or lsn_demo.")],
    revision: Annotated[str | None, typer.Option(help="Commit or branch of it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print where the hookpoints of a model are. Of its files the configuration alone is read.

    A type without a row is run over a few tokens with random weights, in the memory that the model
    takes: what its tensors do gives the row to add, or an error with the one to fill in.

    Example: lsn-eval models inspect lsn_demo
    """
    from lsn_eval.models.loading import empty_model
    from lsn_eval.models.resolving import needs_weights, resolve

    built = empty_model(model, revision=revision)
    if needs_weights(built):
        built = empty_model(model, revision=revision, random_weights=True)
    described = describe(resolve(built))
    print(json.dumps(described, indent=2) if as_json else _as_text(described))


def describe(found: ModelHookpoints) -> dict[str, Any]:
    """What `models inspect` shows, in plain types."""
    return {
        "type": found.model_type,
        **(
            {"resolved": "structure", "row": f'"{found.model_type}": {found.structure},'}
            if found.structure
            else {}
        ),
        "layers": list(found.layer_names),
        "hookpoints": {
            hookpoint: {
                layer: {
                    "module": site.module_name,
                    "side": site.side,
                    "width": site.width,
                    "part": None if site.columns is None else f"{site.width} of {site.extent}",
                }
                for layer, site in sites.items()
            }
            for hookpoint, sites in found.sites.items()
        },
    }


def _as_text(described: dict[str, Any]) -> str:
    layers = described["layers"]
    lines = [f"type    {described['type']}", f"layers  {len(layers)}: {layers[0]} to {layers[-1]}"]
    if "row" in described:
        lines += ["", "resolved by structure; the row to add to FAMILIES in"]
        lines += ["lsn_eval/models/families.py:", f"    {described['row']}"]
    rows = [["hookpoint", "layers", "width", "module"]]
    for hookpoint, sites in described["hookpoints"].items():
        # One line for layers that follow each other and differ in their number alone.
        alike: dict[tuple[str, ...], list[str]] = {}
        for layer, site in sites.items():
            numbers = [part for part in layer.split(".") if part.isdigit()]
            stack = layer.strip("0123456789.")
            module = f"{site['module']}."
            for number in numbers:
                module = module.replace(f".{number}.", ".N.", 1)
            module = module.rstrip(".")
            part = f" ({site['part']})" if site["part"] else ""
            shown = f"{site['side']} of {module}{part}"
            alike.setdefault((stack, str(site["width"]), shown), []).append(layer)
        for (_, width, shown), names in alike.items():
            span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
            rows.append([hookpoint, span, width, shown])
    return "\n".join([*lines, "", *aligned(rows, width=screen_width())])
