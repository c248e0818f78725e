"""`lsn-eval record`: texts per language -> activation statistics."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from lsn_eval.cli import options
from lsn_eval.errors import RecordingError

LONGEST_NUMBER = 15
"""Digits: more is no number of tokens."""
_WHOLE = rf"\d{{1,{LONGEST_NUMBER}}}"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}


@options.sharing(options.a_model)
def record(
    out: Annotated[Path, typer.Option(help="The statistics file to write.")],
    texts: Annotated[
        list[str] | None,
        options.several(
            "LANG=PATH: a file, folder or glob of .txt (one text a line), .jsonl, .parquet, also "
            "compressed, or one .pt file of token ids",
            pairs=True,
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="A dataset to stream: NAME[:CONFIG], {lang} stands for the language."),
    ] = None,
    dataset_split: Annotated[str, typer.Option(help="Split of the dataset.")] = "train",
    languages: Annotated[
        list[str] | None, options.several("Languages of the dataset, e.g. de,fr")
    ] = None,
    text_column: Annotated[str, typer.Option(help="Where the text is.")] = "text",
    hookpoint: Annotated[
        list[str] | None,
        options.several("Where to read", show_default="mlp.act"),
    ] = None,
    tokens: Annotated[
        str | None, typer.Option(help="Tokens a language, at most: 500K, 10M.", show_default="all")
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(help="Tokens a row.", show_default="the model's positions, at most 2048"),
    ] = None,
    batch_size: Annotated[str, typer.Option(help="Rows a batch, or auto.")] = "auto",
    pack: Annotated[
        bool,
        typer.Option(
            "--pack/--one-text-per-row",
            help="Concatenate all texts and cut them into rows, or one text a row with padding.",
        ),
    ] = True,
    statistics: Annotated[
        str, typer.Option(help="all; or counts, which is all that lape needs.")
    ] = "all",
    quantiles: Annotated[
        list[str] | None,
        options.several("Percentiles to keep besides p10, median and p90: p1 to p99, e.g. p25,p75"),
    ] = None,
    per_text: Annotated[
        bool,
        typer.Option("--per-text", help="Keep each text's mean response (average_precision)."),
    ] = False,
    own_p90: Annotated[
        bool,
        typer.Option(
            "--own-p90",
            help="Count how often each neuron is above its own 90th percentile (act_prob_90p); "
            "two more passes over the texts.",
        ),
    ] = False,
    special_tokens: Annotated[
        bool | None,
        typer.Option(
            help="Let the tokenizer add special tokens.",
            show_default="with --one-text-per-row",
        ),
    ] = None,
    skip_special_tokens: Annotated[
        bool, typer.Option("--skip-special-tokens", help="Do not count special tokens.")
    ] = False,
    hold_out: Annotated[
        bool | None,
        typer.Option(
            help="Leave out the one document in ten that is held out for evaluation.",
            show_default="for datasets",
        ),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="Record part i of n: i/n. Add the files: stats merge.")
    ] = None,
    sample_tokens: Annotated[
        int, typer.Option(help="Tokens a language that quantiles are taken from.", min=1)
    ] = 4096,
    keep_sample: Annotated[
        bool | None,
        typer.Option(
            help="Keep them in the file, so that quantiles can be added up.",
            show_default="for shards",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a recording that was stopped.")
    ] = False,
    force: options.Force = False,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="Seconds between states to resume from.", min=0)
    ] = 60,
    tokenizer: Annotated[
        str | None, typer.Option(help="Another tokenizer than the model's.")
    ] = None,
    progress: options.Progress = True,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Write nothing; look at the texts, time two batches, and say what it would take.",
        ),
    ] = False,
    as_json: options.AsJson = False,
    **of_a_model: Any,
) -> None:
    """Record what every neuron does on texts of each language.

    Example: lsn-eval record --model MODEL --texts de=german.txt --texts fr=french/ --tokens 10M
    --out stats.safetensors
    """
    from lsn_eval.models.loading import load_model
    from lsn_eval.recording import (
        RecordingSettings,
        count_above_thresholds,
        estimate_recording,
    )
    from lsn_eval.recording import record as record_texts
    from lsn_eval.recording.recorder import check_target
    from lsn_eval.statistics.routing import routing_told

    if own_p90 and (shard is not None or int(os.environ.get("WORLD_SIZE", "1")) > 1):
        raise RecordingError(
            "--own-p90 needs all texts in one process, as thresholds cannot be added up; leave "
            "--shard and several processes out"
        )
    if not re.fullmatch(f"auto|{_WHOLE}", batch_size):
        raise RecordingError(f"--batch-size {batch_size!r}: auto or a number was expected")
    chosen = locals() | {
        "hookpoints": tuple(hookpoint or ["mlp.act"]),
        "quantiles": tuple(quantiles or ()),
        "batch_size": "auto" if batch_size == "auto" else int(batch_size),
        "tokens": None if tokens is None else parse_tokens(tokens),
        "shard": parse_shard(shard),
    }
    settings = RecordingSettings(
        **{field.name: chosen[field.name] for field in fields(RecordingSettings)}
    )
    corpora = _corpora(texts, dataset, dataset_split, languages, text_column, pack)
    check_target(out, resume=resume, force=force)  # before weights that may take minutes
    loaded, loaded_tokenizer = load_model(of_a_model.pop("model"), tokenizer, **of_a_model)
    common: dict[str, Any] = {"settings": settings, "out": out, "resume": resume, "force": force}
    if dry_run:
        estimated = estimate_recording(
            loaded, loaded_tokenizer, corpora, own_p90=own_p90, **common
        ).to_json()
        print(json.dumps(estimated, indent=2) if as_json else _as_text(estimated))
        return
    stopped = f"go on with the same command and --resume ({out})"
    try:
        stats = record_texts(
            loaded,
            loaded_tokenizer,
            corpora,
            progress=progress,
            command=shlex.join(["lsn-eval", *(a for a in sys.argv[1:] if a != "--resume")]),
            **common,
        )
        if own_p90:
            stopped = f"{out} is whole but for the counts above the percentiles"
            print("Counting above each neuron's own 90th percentile ...", file=sys.stderr)
            stats = count_above_thresholds(
                stats, loaded, loaded_tokenizer, corpora, tokens=settings.tokens
            )
            stats.save(out)
    except KeyboardInterrupt:
        print(f"\ninterrupted; {stopped}", file=sys.stderr)
        raise typer.Exit(130) from None
    if int(os.environ.get("RANK", "0")) != 0:
        return
    if as_json:
        written = {"file": str(out), "hookpoints": stats.hookpoints, "tokens": dict(stats.tokens)}
        if routing := stats.routing():
            written["routing"] = routing
        print(json.dumps(written, indent=2))
    else:
        counted = ", ".join(f"{name} {stats.tokens[name]:,}" for name in stats.languages)
        print(f"{', '.join(stats.hookpoints)} over tokens: {counted}")
        print(*routing_told(stats), f"written to {out}", sep="\n")


def _as_text(estimated: dict[str, Any]) -> str:
    """An estimate as it is printed."""
    from tqdm import tqdm

    from lsn_eval.wording.text_tables import aligned

    def number(value: float | None) -> str:
        return "?" if value is None else f"{value:,.0f}"

    def size(value: int | None) -> str:
        return "?" if value is None else f"{tqdm.format_sizeof(value)}B"

    columns = ("bytes", "documents", "tokens", "rows")
    rows = [["language", "texts", *columns]]
    for language, texts in estimated["texts"].items():
        rows.append([language, texts["source"], *(number(texts[name]) for name in columns)])
    model, seconds = estimated["model"], estimated["seconds"]
    took = "nobody knows how long" if seconds is None else f"about {tqdm.format_interval(seconds)}"
    widths = ", ".join(f"{at} {width:,}" for at, width in model["widths"].items())
    return "\n".join([
        f"{model['name'] or model['type']}: {model['layers']} layers; neurons a layer: {widths}",
        f"{estimated['batch_size']} rows a batch, {estimated['length']} tokens a row at most\n",
        *aligned(rows, 2),
        f"\ntime        {took}, at {number(estimated['tokens_per_second'])} tokens a second, "
        f"measured on {estimated['measured_rows']} rows",
        f"memory      {size(estimated['counter_bytes'])} of counters beside the model",
        f"disk        {size(estimated['file_bytes'])} of statistics; "
        f"{size(estimated['sample_bytes'])} beside them while recording",
        "nothing was written; sizes of texts go by their beginning",
    ])  # fmt: skip


def parse_tokens(text: str) -> int:
    """A number such as `10M`, `1.5k` or `2_000_000`."""
    match = re.fullmatch(r"([0-9][0-9_,]*(?:\.[0-9]+)?)\s*([kmbg]?)", text.strip().lower())
    if not match or len(text) > LONGEST_NUMBER:
        raise RecordingError(f"--tokens {text!r}: a number such as 500K or 10M was expected")
    return round(float(match[1].replace("_", "").replace(",", "")) * _UNITS[match[2]])


def parse_shard(text: str | None) -> tuple[int, int]:
    """`2/8` as a pair; the whole where there is none."""
    match = re.fullmatch(f"({_WHOLE})/({_WHOLE})", "1/1" if text is None else text.strip())
    if not match:
        raise RecordingError(f"--shard {text!r}: i/n was expected, such as 1/8")
    return int(match[1]), int(match[2])


def _corpora(
    texts: list[str] | None,
    dataset: str | None,
    split: str,
    languages: list[str] | None,
    column: str,
    pack: bool,
) -> dict[str, Any]:
    """What to record, by language in the order given."""
    from lsn_eval.recording.texts import DatasetTexts, opened

    form = "LANG=PATH", "de=german.txt"
    remedy = "put its files into a folder, or give a glob"
    files = options.pairs(texts, "--texts", *form, RecordingError, remedy)
    corpora: dict[str, Any] = {
        language: opened(source, column=column, line_ends=pack)
        for language, source in files.items()
    }
    if (dataset is None) != (languages is None):
        raise RecordingError(
            "--dataset and --languages go together: --dataset NAME --languages de,fr"
        )
    for language in languages or ():
        if language in corpora:
            raise RecordingError(f"{language} is in --texts and in --languages; give it once")
        corpora[language] = DatasetTexts(str(dataset), language, split=split, column=column)
    if not corpora:
        raise RecordingError(
            "no texts were given; name them with --texts LANG=PATH, or with --dataset NAME "
            "--languages de,fr"
        )
    return corpora
