"""`lsn-eval facts`: what a model knows in which language, from results of `lsn_mlama_*`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from lsn_eval.cli import options
from lsn_eval.cli.table_output import put, put_records
from lsn_eval.errors import LsnError

if TYPE_CHECKING:
    from lsn_eval.facts.predictions import Predictions
else:
    Predictions = Any  # typer reads the types of a command, and this argument is none of its own

app = typer.Typer(no_args_is_help=True, help="Facts in many languages: results of lsn_mlama_*.")


class Found(NamedTuple):
    """What a command found: records as CSV and JSON have them, and the table of them."""

    title: str
    rows: str
    columns: str
    records: list[dict[str, Any]]
    """With a `value` each."""
    notes: tuple[str, ...] = ()


def _shared(
    results: options.Results,
    condition: Annotated[str, typer.Option(help="The condition whose results are read.")] = "none",
    language: options.Languages = None,
    output_format: options.Format = None,
    out: options.TableOut = None,
    as_json: options.AsJson = False,
) -> tuple[Predictions, str, Path | None]:
    """The options of every command here, and what they say: predictions, and how to show them."""
    from lsn_eval.facts.predictions import read_predictions
    from lsn_eval.tables.formats import format_of

    name = format_of(output_format, out, as_json)
    read = read_predictions(results, condition=condition, languages=language or ())
    return read, name, out


def _command(*lists: Callable[..., None]) -> Callable[[Callable[..., Found]], None]:
    """Register a command whose first argument are the predictions."""

    def register(function: Callable[..., Found]) -> None:
        def command(**given: Any) -> None:
            read, name, out = _shared(**{of: given.pop(of) for of in signature(_shared).parameters})
            _show(function(read, **given), read, name, out)

        command.__name__, command.__doc__ = function.__name__, function.__doc__
        app.command()(options.sharing(partial(function, None), *lists, _shared)(command))

    return register


Metric = Annotated[str, typer.Option(help="full_match, exact_match, partial_match or one_token.")]


@_command()
def relations(read: Predictions, metric: Metric = "full_match") -> Found:
    """P@1 by relation and language, over all facts, and the mean over relations.

    Example: lsn-eval facts relations results --metric partial_match
    """
    from lsn_eval.facts.languages import precisions

    records = [
        {"language": language, "relation": relation, "value": value, "facts": count}
        for language, facts in read.by_language.items()
        for relation, (value, count) in precisions(facts, metric).items()
    ]
    note = "all: over all facts; mean: over the relations, each once"
    return Found(f"P@1 ({metric})", "relation", "language", records, (note,))


@_command()
def overlap(read: Predictions) -> Found:
    """Jaccard similarity of the facts predicted in two languages, over those that both have.

    Example: lsn-eval facts overlap results --out overlap.csv
    """
    from lsn_eval.facts.languages import shared_facts

    return _pairs("Facts predicted in two languages (Jaccard)", shared_facts(read.by_language))


@_command()
def sizes(
    read: Predictions,
    data: Annotated[Path, typer.Option("--sizes", help="CSV with the columns language, size.")],
    metric: Metric = "full_match",
) -> Found:
    """Pearson's r of P@1 with the size of each language's training data.

    Example: lsn-eval facts sizes results --sizes wikipedia_pages.csv
    """
    from lsn_eval.facts.languages import correlation

    rows = [*_csv(data, "language", "size")]
    try:
        given = {of: float(size) for of, size in rows}
    except ValueError as error:
        raise LsnError(f"{data}: a size is no number ({error})") from None
    if len(given) < len(rows):
        raise LsnError(f"{data} has a language twice; one size of each was expected")
    r, p, count = correlation(read.by_language, given, metric)
    record = {"metric": metric, "statistic": "pearson_r", "value": r, "p": p, "languages": count}
    note = f"p = {p:.2g} (two-sided), {count} languages"
    return Found("P@1 with the size of training data", "metric", "statistic", [record], (note,))


@_command()
def absent(
    read: Predictions,
    texts: Annotated[
        list[str],
        options.several("LANG=PATH of .txt (one text a line), .jsonl or .parquet", pairs=True),
    ],
    listed: Annotated[
        Path | None, typer.Option("--list", help="CSV to write: each such fact and its kind.")
    ] = None,
) -> Found:
    """Facts that are predicted though no text names subject and object together, by kind.

    Example: lsn-eval facts absent results --texts de=wiki/de,zh=wiki/zh.jsonl
    """
    from lsn_eval.facts import absence
    from lsn_eval.recording.texts import TextFiles
    from lsn_eval.tables.tidy_files import csv_lines

    files = options.pairs(texts, "--texts", "LANG=PATH", "de=wiki/de.txt")
    corpora = {language: TextFiles(path) for language, path in files.items()}
    records, lines = [], []
    for language, facts in read.by_language.items():
        if language not in corpora:
            raise LsnError(f"--texts has no {language}; give {language}=PATH, or --language")
        found = absence.absent(facts, (of.text for of in corpora[language]), language)
        missing = {fact: absence.kind(fact) for fact in found}
        counts = {
            "predicted": sum(fact.known for fact in facts),
            "absent": len(missing),
            **{kind: [*missing.values()].count(kind) for kind in absence.KINDS},
        }
        records += [{"language": language, "kind": of, "value": n} for of, n in counts.items()]
        for fact, kind in missing.items():
            of_fact = {"uuid": fact.uuid, "kind": kind, "text": fact.text, "object": fact.object}
            lines.append({"language": language, **of_fact})
    if listed is not None:
        put(csv_lines(lines), listed)
    return Found("Predicted facts that no text has", "language", "kind", records)


@_command()
def patterns(
    read: Predictions,
    lexicon: Annotated[
        Path | None, typer.Option(help="CSV with the columns language, word, tag (NOUN, ADJ, ...).")
    ] = None,
) -> Found:
    """What facts that are matched partially, and not exactly, have beside their object.

    Example: lsn-eval facts patterns results --lexicon tags.csv
    """
    from lsn_eval.facts.patterns import patterns as found_in

    tags: dict[str, dict[str, str]] = {}
    for language, word, tag in _csv(lexicon, "language", "word", "tag") if lexicon else ():
        tags.setdefault(language, {})[word] = tag
    records = [
        {"language": language, "pattern": pattern, "value": count}
        for language, facts in read.by_language.items()
        for pattern, count in found_in(facts, language, tags.get(language, {})).items()
    ]
    notes = () if lexicon else ("without --lexicon adjectives cannot be told (docs/facts.md)",)
    return Found("Matched partially, not exactly", "language", "pattern", records, notes)


@_command(options.a_model)
def neurons(
    read: Predictions,
    rankings: Annotated[Path, typer.Option(help="JSON lines to write: each fact's top neurons.")],
    positions: Annotated[str, typer.Option(help="mask, or tokens: the mean over all.")] = "mask",
    top: Annotated[int, typer.Option(help="Neurons of a fact that count.", min=1)] = 50,
    hookpoint: Annotated[str, typer.Option(help="Where neurons are read.")] = "mlp.act",
    batch_size: Annotated[int, typer.Option(help="Texts a batch.", min=1)] = 32,
    force: options.Force = False,
    **of_a_model: Any,
) -> Found:
    """Rank the neurons of every predicted fact (PROBELESS), and compare them between languages.

    Example: lsn-eval facts neurons results --model bert-base-multilingual-cased --rankings n.jsonl
    """
    if read.condition != "none":
        raise LsnError(
            f"neurons are read of the model as it is, and the facts were predicted under "
            f"{read.condition}; leave --condition out"
        )
    from lsn_eval.facts.neurons import FactNeurons
    from lsn_eval.facts.probeless import mean_jaccard
    from lsn_eval.models.loading import load_model
    from lsn_eval.storage.whole_files import whole_file

    options.check_new(rankings, force)
    model = of_a_model.pop("model")
    loaded = load_model(model, **of_a_model)
    ranker = FactNeurons(*loaded, hookpoint, positions, most=top, batch_size=batch_size)
    if top >= len(ranker.names):
        raise LsnError(f"--top {top}: fewer than the model's {len(ranker.names)} were expected")
    by_language: dict[str, dict[str, Any]] = {}
    with whole_file(rankings, LsnError) as file:
        for language, facts in read.by_language.items():
            by_language[language] = {}
            for fact, neurons, scores in ranker.rank(facts):
                by_language[language][fact.uuid] = neurons
                line = {
                    "language": language, "relation": fact.relation, "uuid": fact.uuid,
                    "neurons": [ranker.names[number] for number in neurons],
                    "scores": scores.tolist(),
                }  # fmt: skip
                file.write((json.dumps(line) + "\n").encode())
    found = _pairs(f"Top {top} neurons of a fact (mean Jaccard)", mean_jaccard(by_language))
    return found._replace(notes=(f"neurons of {model}",))


def _pairs(title: str, of: Mapping[tuple[str, str], tuple[float | None, int]]) -> Found:
    """Of every two languages a value and the facts it is over, in both directions."""
    records = [
        {"language": one, "other": other, "value": value, "facts": facts}
        for pair, (value, facts) in of.items()
        for one, other in (pair, pair[::-1])
    ]
    return Found(title, "language", "other", records)


def _csv(path: Path, *columns: str) -> list[list[str]]:
    from lsn_eval.storage.outside_files import csv_rows

    return [[row[x].strip() for x in columns] for _, row in csv_rows(path, columns, LsnError)]


def _show(found: Found, read: Predictions, name: str, out: Path | None) -> None:
    from lsn_eval.tables import Cell, Table
    from lsn_eval.wording.numbers import plain

    def table() -> Table:
        row, column = found.rows, found.columns
        cells: dict[tuple[str, str], str] = {}
        for of in found.records:
            value = of["value"]
            cells[of[row], of[column]] = f"{value:,}" if type(value) is int else plain(value)
        rows, columns = (dict.fromkeys(of[at] for of in found.records) for at in (row, column))
        columns = rows if rows.keys() == columns.keys() else columns
        return Table(
            title=f"{found.title}: {read.model} under {read.condition}",
            columns=(row, *columns),
            rows=tuple(
                (Cell(at), *(Cell(cells.get((at, to), "")) for to in columns)) for at in rows
            ),
            notes=found.notes,
            signatures=read.signatures,
        )

    put_records(name, out, found.records, found.records, table)
