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

from lsn_eval.lm_tasks.local_data import LocalDataError, json_rows, local_file
from lsn_eval.lm_tasks.upstream import UpstreamTask
from lsn_eval.storage.outside_files import csv_rows

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
        is_json = validation.suffix == ".jsonl"
        rows = _json_rows(validation) if is_json else dev_rows(validation, language)
        try:
            training = self._training_file(root)
        except LocalDataError:
            # Needed for few-shot examples alone; `fewshot_context` says so when they are asked for.
            examples = []
        else:
            examples = (_json_rows if training.suffix == ".jsonl" else training_rows)(training)
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
            "label": label_number(row["gold_label"], where),
        }
        for where, row in table
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
            "label": label_number(_TRAINING_LABELS.get(row["label"], row["label"]), where),
        }
        for where, row in _table(path, ("premise", "hypo", "label"))
    ]


def _table(path: Path, columns: tuple[str, ...]) -> list[tuple[str, dict[str, str]]]:
    """Where each row is, and the row. Quotation marks are text in these files, not quoting."""
    how: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    return list(csv_rows(path, columns, LocalDataError, **how))


def _json_rows(path: Path) -> list[dict[str, Any]]:
    return [
        {
            "premise": row.text("premise"),
            "hypothesis": row.text("hypothesis"),
            "label": label_number(row.value.get("label"), row.where),
        }
        for row in json_rows(path)
    ]


def label_number(value: Any, where: str) -> int:
    """A label's number, from its name or its number."""
    if value in LABELS:
        return LABELS.index(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(LABELS):
        return value
    raise LocalDataError(f"{where}: label {value!r} is none of {', '.join(LABELS)} (0, 1, 2)")


def _dataset(rows: list[dict[str, Any]]) -> datasets.Dataset:
    columns = {name: [row[name] for row in rows] for name in _FEATURES}
    return datasets.Dataset.from_dict(columns, features=_FEATURES)
