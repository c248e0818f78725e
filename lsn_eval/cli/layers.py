"""`lsn-eval layers`: parallel texts -> what every layer of a model holds of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsn_eval.cli import options

if TYPE_CHECKING:
    from lsn_eval.representations import LayerMeasures


@options.sharing(options.a_model)
def layers(
    texts: Annotated[
        list[str],
        options.several(
            "LANG=FILE of one sentence a line, the same in the same line of every language",
            pairs=True,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The JSON file to write.")],
    mask: options.Mask = None,
    conditions: Annotated[
        list[str] | None,
        options.several(
            "Conditions, e.g. none,de:zero,random1-de:zero",
            "--conditions",
            "--condition",
            show_default="none",
        ),
    ] = None,
    pooling: Annotated[
        str, typer.Option(help="A sentence is the mean of its tokens, or its last: mean or last.")
    ] = "mean",
    lens: Annotated[bool, typer.Option(help="Decode every layer, too (logit lens).")] = True,
    limit: Annotated[int | None, typer.Option(help="The first so many sentences.", min=2)] = None,
    batch_size: Annotated[int, typer.Option(help="Sentences a batch.", min=1)] = 16,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and the controls.", min=0)] = 0,
    progress: options.Progress = True,
    force: options.Force = False,
    as_json: options.AsJson = False,
    **of_a_model: Any,
) -> None:
    """Measure translations and languages layer by layer.

    How alike translations are, which language dominates, and which language each layer decodes
    to. `lsn-eval plot similarity`, `plot dominance` and `plot lens` draw the file.

    Example: lsn-eval layers --model MODEL --texts de=deu_Latn.devtest --texts fr=fra_Latn.devtest
    --out layers.json
    """  # fmt: skip
    options.check_new(out, force)
    from lsn_eval.comparing.paired import Draws
    from lsn_eval.representations import measure_layers

    measures = measure_layers(
        texts=options.pairs(texts, "--texts", "LANG=FILE", "de=deu_Latn.devtest"), mask=mask,
        conditions=conditions or ["none"], pooling=pooling,
        lens=lens, limit=limit, batch_size=batch_size, draws=Draws(seed=seed), progress=progress,
        command=options.command_line(), **of_a_model,
    )  # fmt: skip
    measures.save(out)
    if as_json:
        print(out.read_text("utf-8"))
        return
    for condition in measures.conditions:
        print(_table(measures, condition), "", sep="\n")
    print(*measures.about["notes"], f"written to {out}", sep="\n")


def _table(measures: LayerMeasures, condition: str) -> str:
    """Of every layer the similarity of all pairs, who dominates most, and how much of the lens is
    on the language of the text."""
    from lsn_eval.wording.numbers import interval, plain
    from lsn_eval.wording.text_tables import aligned

    rows = [["layer", "similarity", "95% interval", "shuffled", "dominant", "own tokens"]]
    own = [r for r in measures.of("lens", condition) if r["row"] == r["column"]]
    degrees = measures.dominance_degrees(condition)
    for number, layer in enumerate(measures.layers):
        (mean,) = (
            r for r in measures.of("similarity", condition)
            if r["layer"] == layer and r["row"] == "all"
        )  # fmt: skip
        shares = [r["value"] for r in own if r["layer"] == layer]
        dominant = max(degrees, key=lambda language: degrees[language][number])
        rows.append([
            layer, plain(mean["value"]), interval((mean["low"], mean["high"]), plain),
            plain(mean["control"]), f"{dominant} {plain(degrees[dominant][number])}",
            plain(sum(shares) / len(shares)) if shares else "",
        ])  # fmt: skip
    return "\n".join([f"signature: {measures.signature(condition)}", *aligned(rows, 1)])
