"""`lsn-eval stats`: look at activation statistics, add them up, convert those of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsn_eval.cli import options
from lsn_eval.visible_text import one_line
from lsn_eval.wording.text_tables import aligned, screen_width

if TYPE_CHECKING:
    from lsn_eval.statistics import ActivationStats

app = typer.Typer(no_args_is_help=True, help="Look at, add up and convert activation statistics.")

Out = Annotated[Path, typer.Option(help="The statistics file to write.")]


@app.command()
def info(
    file: Annotated[Path, typer.Argument(help="A statistics file.")],
    as_json: options.AsJson = False,
) -> None:
    """Print languages, tokens, what was recorded, and where it is from.

    Example: lsn-eval stats info stats.safetensors
    """
    from lsn_eval.statistics import ActivationStats

    described = describe(ActivationStats.load(file))
    print(json.dumps(described, indent=2, ensure_ascii=False) if as_json else _as_text(described))


@app.command()
def push(
    file: Annotated[str, typer.Argument(help="A statistics file.")],
    name: options.Repository,
    private: options.Private = False,
) -> None:
    """Write statistics and their card to a repository of the Hub, which is made if there is none.

    Example: lsn-eval stats push stats.safetensors OWNER/NAME
    """
    from lsn_eval.statistics import ActivationStats

    print(f"written: {ActivationStats.load(file).push_to_hub(name, private=private)}")


@app.command()
def pull(name: options.OnHub, out: Out, force: options.Force = False) -> None:
    """Fetch statistics from the Hub.

    Example: lsn-eval stats pull hf:OWNER/NAME@REVISION --out stats.safetensors
    """
    from lsn_eval.statistics import ActivationStats

    options.check_new(out, force)
    ActivationStats.load(name).save(out)


@app.command()
def merge(
    files: Annotated[list[Path], typer.Argument(help="Statistics of one model.")],
    out: Out,
    keep: Annotated[
        list[str] | None,
        options.several("Statistics to keep, e.g. positive,mean", show_default="all"),
    ] = None,
    force: options.Force = False,
) -> None:
    """Add up statistics: shards of a corpus, several corpora, several languages.

    Example: lsn-eval stats merge shard1.safetensors shard2.safetensors --out stats.safetensors
    """
    from lsn_eval.statistics import ActivationStats

    options.check_new(out, force)
    parts = [ActivationStats.load(file) for file in files]
    if keep is not None:
        parts = [part.keep(statistics=keep) for part in parts]
    _write(ActivationStats.merged(parts), out)


@app.command("import")
def import_(
    files: Annotated[
        list[Path], typer.Argument(help="One .pt file a language: a dict of n and over_zero.")
    ],
    languages: Annotated[
        list[str], options.several("Languages of the files, in their order, e.g. en,de,tr")
    ],
    out: Out,
    hookpoint: Annotated[str, typer.Option(help="What was counted.")] = "mlp.act",
    model: options.ModelName = None,
    model_type: options.ModelType = None,
    force: options.Force = False,
) -> None:
    """Convert the counts that the published LAPE scripts write (Tang et al. 2024).

    Example: lsn-eval stats import en.llama-7b.pt de.llama-7b.pt --languages en,de
    --model meta-llama/Llama-2-7b-hf --out stats.safetensors
    """
    from lsn_eval.statistics.imports import import_counts

    options.check_new(out, force)
    stats = import_counts(files, languages, hookpoint=hookpoint, name=model, model_type=model_type)
    _write(stats, out)


def _write(stats: ActivationStats, out: Path) -> None:
    stats.save(out)
    print(f"{_as_text(describe(stats))}\n\nwritten to {out}")


def describe(stats: ActivationStats) -> dict[str, Any]:
    """What `stats info` shows, in plain types."""
    from lsn_eval.statistics.document_sketch import without_sketches
    from lsn_eval.statistics.routing import routing_told

    return {
        "digest": stats.digest,
        "model": stats.model.to_json(),
        "languages": {language: stats.tokens[language] for language in stats.languages},
        "statistics": {hookpoint: list(stats.names(hookpoint)) for hookpoint in stats.hookpoints},
        "active": {
            at: _active(stats, at) for at in stats.hookpoints if "positive" in stats.names(at)
        },
        "routing": stats.routing(),
        "experts": routing_told(stats),
        "sampled_tokens": {language: s.keys.size for language, s in stats.samples.items()},
        "texts": 0 if stats.texts is None else int(stats.texts.index.size),
        "provenance": without_sketches(stats.provenance),
    }


def _active(stats: ActivationStats, hookpoint: str) -> dict[str, float]:
    """Mean probability of being above 0, over all neurons, of each language with tokens."""
    having = [language for language in stats.languages if stats.tokens[language]]
    if not having:
        return {}
    rates = stats.keep(languages=having).probability(hookpoint)
    means = rates.sum((1, 2)) / stats.model.neurons(hookpoint)
    return dict(zip(having, map(float, means), strict=True))


def _as_text(described: dict[str, Any]) -> str:
    model, provenance = described["model"], described["provenance"]
    name = model["name"] or model["type"] or "unnamed"
    facts = {"model": f"{name}, {model['layers']} layers, digest {described['digest'][:12]}"}
    for hookpoint, names in described["statistics"].items():
        facts[hookpoint] = f"{model['widths'][hookpoint]} neurons a layer: {', '.join(names)}"
    for key in ("dtype", "settings", "command"):
        value = provenance.get(key)
        if isinstance(value, dict):
            value = ", ".join(f"{k}={v}" for k, v in value.items())
        if value:
            facts[key] = str(value)
    if described["texts"]:
        facts["texts"] = f"{described['texts']} with responses of their own"
    active: dict[str, float] = next(iter(described["active"].values()), {})
    rows = [["language", f"{'tokens':>14}", "active", "corpus"]]
    for language, tokens in described["languages"].items():
        share = f"{100 * active[language]:.1f}%" if language in active else "-"
        corpora = (provenance.get("corpora") or {}).get(language, [])
        where = "; ".join(map(_corpus, corpora)) or "not stated"
        rows.append([language, f"{tokens:>14,}", f"{share:>6}", where])
    lines = [f"{name:<11} {one_line(fact)}" for name, fact in facts.items()]
    lines += [f"{'experts':<11} {one_line(line)}" for line in described["experts"]]
    return "\n".join([*lines, "", *aligned(rows, width=screen_width())])


def _corpus(corpus: dict[str, Any]) -> str:
    number, count = corpus.get("shard") or (1, 1)
    shard = f", shard {number}/{count}" if count > 1 else ""
    texts = f" (sha256 {corpus['texts_sha256'][:12]})" if corpus.get("texts_sha256") else ""
    return f"{corpus.get('source', 'not stated')}{texts}{shard}"
