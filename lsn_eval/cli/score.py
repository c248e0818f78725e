"""`lsn-eval score`: how much of saved texts is in a language, and how they read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsn_eval.cli.options import AsJson, Format, TableOut
from lsn_eval.cli.table_output import put_records
from lsn_eval.errors import LsnError

if TYPE_CHECKING:
    from lsn_eval.judge.answers import SavedAnswers
    from lsn_eval.language_scores import TextScores
    from lsn_eval.tables import Table

MEASURED = {
    "accuracy": "language accuracy",
    "mean_length": "length",
    "stopword_ratio": "stop words",
    "repetition": "repetition",
    "line_pass_rate": "line pass rate",
    "word_pass_rate": "word pass rate",
}
"""Metrics that have a column, and its heading; the last two where they are asked for."""
_PLAIN = ("text", "response")
"""Fields of a line of JSON that hold a text."""


def score(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="samples_*.jsonl of lm-eval, or folders of them; .txt, a text a line; .jsonl "
            "with 'text' or 'response'."
        ),
    ],
    language: Annotated[
        str | None,
        typer.Option(help="ISO 639 code of the language asked for.", show_default="the task's"),
    ] = None,
    lid: Annotated[
        Path | None,
        typer.Option(help="fastText model that identifies.", show_default="lid.176.ftz"),
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(help="A label less probable than this is undetermined.")
    ] = None,
    stopwords: Annotated[
        Path | None, typer.Option(help="Stop words, one a line.", show_default="stopwords-iso")
    ] = None,
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Also the pass rates of language confusion.")
    ] = False,
    english_words: Annotated[
        Path | None,
        typer.Option(
            help="English words, one a line, for the word pass rate.", show_default="none"
        ),
    ] = None,
    segmenter: Annotated[
        str, typer.Option(help="Of Chinese and Japanese, for the pass rates: words or characters.")
    ] = "words",
    output_format: Format = None,
    out: TableOut = None,
    as_json: AsJson = False,
) -> None:
    """Score the language of saved texts.

    Language accuracy, length, stop words and repetition. A line a file, with 95% intervals over its
    texts. An empty line of a .txt file is an empty text, which is in no language. Of a folder the
    tasks that generate count.

    Example: lsn-eval score sweep

    Example: lsn-eval score answers.txt --language de --json

    Example: lsn-eval score sweep --confusion --english-words words
    """
    from lsn_eval.tables.formats import format_of

    if not confusion and (english_words is not None or segmenter != "words"):
        raise LsnError("--english-words and --segmenter are for pass rates; give --confusion, too")
    name = format_of(output_format, out, as_json)
    settings: dict[str, Any] = {"lid": lid, "confidence": confidence, "stopwords": stopwords}
    counting = {"words": english_words, "segmenter": segmenter} if confusion else None
    scored = [_scored(s, language, settings, counting) for path in files for s in _sources(path)]
    put_records(
        name, out, {"scored": scored}, map(_flat, scored), lambda: _table(scored), signatures=True
    )


def _sources(path: Path) -> Iterator[SavedAnswers]:
    from lsn_eval.judge.answers import load_saved
    from lsn_eval.results.samples import samples
    from lsn_eval.storage.outside_files import Fields, json_lines, read_text

    if path.is_dir():
        files = sorted(path.rglob("samples_*.jsonl"))
        first = {file: next(samples(file, texts=True), None) for file in files}
        files = [file for file, one in first.items() if one and one.texts and one.texts.generated]
        if not files:
            raise LsnError(
                f"{path} holds no samples of a task that generates; run lm-eval with --log_samples "
                "and --output_path, or name files of texts"
            )
        for file in files:
            yield from _sources(file)
        return
    if path.suffix == ".txt":
        text = read_text(path, LsnError)
        lines = text.removesuffix("\n").split("\n") if text else []
        yield _plain(path, (line.removesuffix("\r") for line in lines))
        return
    if path.suffix == ".jsonl":
        where = f"{path}, line"
        records = (Fields(line, f"{where} {n}", LsnError) for n, line in json_lines(path, LsnError))
        first_one = next(records, None)
        field = next((name for name in _PLAIN if first_one and name in first_one), None)
        if first_one and field and "doc_id" not in first_one:
            yield _plain(path, (r.text(field) for r in (first_one, *records)))
            return
    yield from load_saved(path)


def _plain(path: Path, texts: Iterable[str]) -> SavedAnswers:
    from lsn_eval.judge.answers import Answer, SavedAnswers

    answers = tuple(Answer(str(number), "", text) for number, text in enumerate(texts))
    return SavedAnswers(str(path), str(path), None, None, None, answers)


def _scored(
    source: SavedAnswers,
    asked: str | None,
    settings: dict[str, Any],
    counting: dict[str, Any] | None,
) -> dict[str, Any]:
    """The metrics of some texts, with intervals and what they were measured with."""
    from lsn_eval.language_scores.confusion import confusion, words_digest
    from lsn_eval.language_scores.metrics import score_text, summary
    from lsn_eval.version import __version__

    language = asked or (source.language or "").partition("_")[0]
    if not language:
        raise LsnError(f"{source.source} does not say its language; give --language, e.g. de")
    scores = [score_text(saved.answer, language, **settings) for saved in source.answers]
    metrics = summary(scores, language, **settings)
    with_what = {name: metrics.pop(name) for name in ("lid", "confidence", "stopword_list")}
    pairs = _pairs(scores)
    if counting is not None:
        counting = {"lid": settings["lid"], **counting}
        found = [confusion(saved.answer, language, **counting) for saved in source.answers]
        pairs["line_pass_rate"] = [one.line_pass for one in found]
        pairs["word_pass_rate"] = [one.word_pass for one in found if one.word_pass is not None]
        metrics["with_lines"] = sum(one.lines > 0 for one in found) / len(found)
        for name in ("line_pass_rate", "word_pass_rate"):
            passed, of = (sum(column) for column in zip((0, 0), *pairs[name], strict=True))
            metrics[name] = passed / of if of else None
            pairs[name] = [pair for pair in pairs[name] if pair[1]]
        words = counting["words"] and words_digest(counting["words"])
        with_what |= {"segmenter": counting["segmenter"], "english_words": words}
    signature = "|".join(f"{name}:{value or 'none'}" for name, value in with_what.items())
    return {
        "of": source.task,
        "condition": source.condition,
        **metrics,
        "intervals": _intervals(pairs),
        "measured_with": source.signature,
        "signature": f"{signature}|v{__version__}",
    }


def _pairs(scores: list[TextScores]) -> dict[str, list[tuple[float, float]]]:
    """By metric a pair a text; the metric is the sum of the first over that of the second."""
    return {
        "accuracy": [(score.correct, 1) for score in scores],
        "mean_length": [(score.length, 1) for score in scores],
        "stopword_ratio": [score.stopwords for score in scores if score.stopwords],
        "repetition": [(score.repetition, 1) for score in scores],
    }


def _intervals(
    sums: dict[str, list[tuple[float, float]]],
) -> dict[str, tuple[float, float] | None]:
    import numpy as np

    from lsn_eval.comparing.kinds import MEAN
    from lsn_eval.comparing.paired import Draws, interval_of

    return {
        name: interval_of(np.array(pairs, float), MEAN, Draws()) if pairs else None
        for name, pairs in sums.items()
    }


def _table(scored: list[dict[str, Any]]) -> Table:
    from lsn_eval.comparing.paired import FEW
    from lsn_eval.tables import Cell, Table
    from lsn_eval.wording.numbers import interval, plain

    rows = []
    shown = {key: head for key, head in MEASURED.items() if any(key in entry for entry in scored)}
    for entry in scored:
        words = entry["of"], entry["condition"] or "", entry["language"], f"{entry['n']:,}"
        ends = {key: interval(entry["intervals"][key], plain) for key in shown}
        numbers = (f"{plain(entry[key])} {ends[key]}".strip() for key in shown)
        rows.append(tuple(map(Cell, (*words, *numbers))))
    few = f"intervals of fewer than {FEW} texts hold the truth less often than they say"
    return Table(
        title="Language of texts, with 95% percentile bootstrap intervals over the texts",
        columns=("of", "condition", "language", "texts", *shown.values()),
        rows=tuple(rows),
        notes=(few,) if any(entry["n"] < FEW for entry in scored) else (),
        signatures=tuple(dict.fromkeys(entry["signature"] for entry in scored)),
    )


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    """One row: ends of intervals in columns of their own."""
    row = {key: value for key, value in entry.items() if key not in ("detected", "intervals")}
    for name, ends in entry["intervals"].items():
        row[f"{name}_low"], row[f"{name}_high"] = ends or (None, None)
    return row
