"""`lsn_xnli_*`: lm-eval's XNLI, prompts and metrics its own, with local data or the Hub's.

Local data is the release's: `XNLI-1.0/xnli.dev.tsv` and, for few-shot examples alone,
`XNLI-MT-1.0/multinli/multinli.train.{language}.tsv`; or JSON lines with the Hub's columns,
`xnli/{language}.validation.jsonl` and `xnli/{language}.train.jsonl`.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import datasets

from lsn_eval.lm_tasks.local_data import LocalDataError, local_file, read_json_lines
from lsn_eval.lm_tasks.upstream import UpstreamTask

LABELS = ("entailment", "neutral", "contradiction")
"""In the order of the Hub's class numbers."""

_TRAINING_LABELS = {"contradictory": "contradiction"}
"""The machine-translated training files spell one label in another way."""

_FEATURES = datasets.Features(
    {
        "premise": datasets.Value("string"),
        "hypothesis": datasets.Value("string"),
        "label": datasets.ClassLabel(names=list(LABELS)),
    }
)
_COLUMNS = ("premise", "hypothesis", "label")
_WHERE = (
    "get {archive} from https://dl.fbaipublicfiles.com/XNLI/{archive}, or write JSON lines with "
    "the Hub's columns (facebook/xnli): premise, hypothesis, label"
)


class XnliTask(UpstreamTask):
    """One language. lm-eval scores the validation split and shows examples from training."""

    FAMILY = "xnli"

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """The validation split, and the training split where its file is there."""
        language = self.language
        validation = local_file(
            root,
            ["XNLI-1.0/xnli.dev.tsv", f"xnli/{language}.validation.jsonl"],
            _WHERE.format(archive="XNLI-1.0.zip"),
        )
        rows = _json_rows(validation) if _is_json(validation) else dev_rows(validation, language)
        try:
            training = self._training_file(root)
        except LocalDataError:
            # Needed for few-shot examples alone; `fewshot_context` says so when they are asked for.
            examples = []
        else:
            examples = _json_rows(training) if _is_json(training) else training_rows(training)
        return {"validation": _dataset(rows), "train": _dataset(examples)}

    def _training_file(self, root: Path) -> Path:
        return local_file(
            root,
            [
                f"XNLI-MT-1.0/multinli/multinli.train.{self.language}.tsv",
                f"xnli/{self.language}.train.jsonl",
            ],
            "few-shot examples come from it; " + _WHERE.format(archive="XNLI-MT-1.0.zip"),
        )

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """What lm-eval's own task loads."""
        loaded = datasets.load_dataset(self.config.dataset_path, self.config.dataset_name)
        return dict(loaded)

    def fewshot_context(self, doc: dict[str, Any], num_fewshot: int, *args: Any, **kwargs: Any):  # type: ignore[no-untyped-def]
        """As lm-eval's; an error that names the training file where it is needed and not there."""
        if num_fewshot and self.root is not None:
            self._training_file(self.root)
        return super().fewshot_context(doc, num_fewshot, *args, **kwargs)


def dev_rows(path: Path, language: str) -> list[dict[str, Any]]:
    """One language's rows of `xnli.dev.tsv` or `xnli.test.tsv`, in the file's order.

    Raises:
        LocalDataError: a column is missing, a label is none of the three, or the file has no row
            of the language.
    """
    table = _table(path, ("language", "gold_label", "sentence1", "sentence2"))
    rows = [
        {
            "premise": row["sentence1"],
            "hypothesis": row["sentence2"],
            "label": _label(row["gold_label"], path, number),
        }
        for number, row in table
        if row["language"] == language
    ]
    if not rows:
        there = sorted({row["language"] for _, row in table})
        raise LocalDataError(
            f"{path} has no rows in {language!r}; it has {', '.join(there) or 'no rows at all'}"
        )
    return rows


def training_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of `multinli.train.{language}.tsv`.

    Raises:
        LocalDataError: a column is missing, or a label is none of the three.
    """
    return [
        {
            "premise": row["premise"],
            "hypothesis": row["hypo"],
            "label": _label(_TRAINING_LABELS.get(row["label"], row["label"]), path, number),
        }
        for number, row in _table(path, ("premise", "hypo", "label"))
    ]


def _table(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Rows with their line numbers. Quotation marks are text in these files, not quoting."""
    with path.open(encoding="utf-8") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise LocalDataError(
                f"{path} has no column {', '.join(missing)}; its first line names "
                f"{', '.join(reader.fieldnames or ()) or 'none'}, the release's was expected"
            )
        table = []
        for row in reader:
            if any(row[column] is None for column in columns):
                raise LocalDataError(
                    f"{path}, line {reader.line_num}: fewer fields than its first line names; the "
                    "file is cut off or damaged, get it again"
                )
            table.append((reader.line_num, row))
        return table


def _json_rows(path: Path) -> list[dict[str, Any]]:
    return [
        {**row, "label": _label(row["label"], path, number)}
        for number, row in enumerate(read_json_lines(path, _COLUMNS), start=1)
    ]


def _label(value: Any, path: Path, number: int) -> int:
    """A label's number, from its name or its number."""
    if value in LABELS:
        return LABELS.index(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(LABELS):
        return value
    raise LocalDataError(
        f"{path}, row {number}: label {value!r} is none of {', '.join(LABELS)} (0, 1, 2)"
    )


def _is_json(path: Path) -> bool:
    return path.suffix == ".jsonl"


def _dataset(rows: list[dict[str, Any]]) -> datasets.Dataset:
    columns = {name: [row[name] for row in rows] for name in _COLUMNS}
    return datasets.Dataset.from_dict(columns, features=_FEATURES)
