"""`lsn_mlama_*`: facts of mLAMA 1.1 with their object left out (Kassner et al. 2021).

Local data is the release's: `mlama1.1/{language}/templates.jsonl` and one `P19.jsonl` a relation.
What is asked depends on what kind of model answers, so that documents get their tokens, and
requests are made, once the model is known. `lsn_eval.facts.matches` says what counts as known.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.instance import Instance

from lsn_eval.facts import matches
from lsn_eval.facts.blanks import BLANK, FILL, before_blank
from lsn_eval.lm_tasks.base import LsnTask
from lsn_eval.lm_tasks.local_data import LocalDataError, json_rows, local_file

log = logging.getLogger(__name__)

SUBJECT = "[X]"
DATASET = "cis-lmu/m_lama"
_WHERE = (
    "get mlama1.1.zip from http://cistern.cis.lmu.de/mlama/ and unpack it below the data folder"
)


class MlamaError(LocalDataError):
    """Facts that cannot be asked for as they were to be."""


class MlamaTask(LsnTask):
    """The facts of one language; `language` stands under the YAML's `dataset_kwargs`."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        # Any value tells lm-eval not to look our metrics up as functions of one text.
        super().__init__({**(config or {}), "process_results": f"{__name__}.MlamaTask"})

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """The one split, of all relations that have a template."""
        language = settings["language"]
        templates = local_file(root, [f"mlama1.1/{language}/templates.jsonl"], _WHERE)
        rows: list[dict[str, str]] = []
        for relation in json_rows(templates):
            name, template = relation.text("relation"), relation.text("template")
            facts = templates.with_name(f"{name}.jsonl")
            # The release leaves a relation without facts empty, or out.
            if not facts.is_file() or not facts.stat().st_size:
                continue
            if template.count(SUBJECT) != 1 or template.count(BLANK) != 1:
                raise MlamaError(
                    f"{relation.where}: one {SUBJECT} and one {BLANK} were expected in the "
                    f"template, which is {template!r}"
                )
            rows += (_row(fact.text, name, template) for fact in json_rows(facts))
        return _split(rows, str(templates))

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """The same from the Hub."""
        language = settings["language"]
        try:
            every = datasets.load_dataset(DATASET, "all", split="test")
        except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
            raise MlamaError(f"{DATASET} cannot be loaded ({error}); {_WHERE}") from error
        rows = (row for row in every if row["language"] == language)
        made = [_row(row.__getitem__, row["predicate_id"], row["template"]) for row in rows]
        return _split(made, f"{DATASET}, {language}")

    def introduce(self, model: Any) -> None:
        """Give every document the tokens of its labels, as this model's tokenizer has them, and
        the most that an object of its relation has."""
        super().introduce(model)
        model = getattr(model, "lm", model)
        tokenizer: Any = getattr(model, "tokenizer", None)
        if not hasattr(tokenizer, "tokenize"):
            raise MlamaError(
                f"{self.config.task} counts the tokens of objects, and this model has no tokenizer "
                "of transformers: use lsn_mlm, lsn_hf, or another model that loads one"
            )
        masked = bool(getattr(model, "fills_blanks", False))
        rows = [row for row in self.dataset["test"].to_list() if masked or row["subject_first"]]
        if left_out := len(self.dataset["test"]) - len(rows):
            log.warning(
                "%s: %d of %d facts name their subject behind their object, where a model that "
                "reads from left to right has not read it yet; they are left out",
                self.config.task,
                left_out,
                left_out + len(rows),
            )
        most: dict[str, int] = defaultdict(int)
        for row in rows:
            space = "" if masked else before_blank(row["text"])[1]
            row["masked"] = masked
            row["subject_tokens"] = tokenizer.tokenize(row["subject"])
            row["object_tokens"] = tokenizer.tokenize(space + row["object"])
            most[row["relation"]] = max(most[row["relation"]], len(row["object_tokens"]))
        for row in rows:
            row["most_tokens"] = most[row["relation"]]
        self.dataset = _split(rows, f"{self.config.task} for this model")

    def fewshot_context(self, doc: dict[str, Any], num_fewshot: int, **kwargs: Any) -> str:
        """The text with its blank. Examples and chat templates have no place beside it."""
        if num_fewshot or kwargs.get("apply_chat_template") or kwargs.get("system_instruction"):
            raise MlamaError(
                f"{self.config.task} asks with the text alone: leave out --num_fewshot, "
                "--apply_chat_template and --system_instruction"
            )
        return str(doc["text"])

    def build_all_requests(self, *, cache_requests: bool = False, **kwargs: Any) -> None:
        """Refuses lm-eval's request cache, whose key does not hold the model they are made for."""
        if cache_requests:
            raise MlamaError(f"--cache_requests does not fit {self.config.task}: leave it out")
        if "most_tokens" not in self.dataset["test"].column_names:
            raise MlamaError(
                f"{self.config.task} was not told which model answers; run it with lm_eval's "
                "command or simple_evaluate while lsn_eval is loaded (lsn_eval.harness.plugin)"
            )
        super().build_all_requests(cache_requests=False, **kwargs)

    def construct_requests(self, doc: dict[str, Any], ctx: str, **kwargs: Any) -> list[Instance]:
        """Of a masked model a filling for every number of masks; of another whether it continues
        with the object, and what it continues with."""
        metadata, most = kwargs["metadata"], doc["most_tokens"]
        if doc["masked"]:
            asked: list[tuple[Any, ...]] = [(ctx, {FILL: n}) for n in range(1, most + 1)]
            kinds = ["generate_until"] * most
        else:
            read, space = before_blank(ctx)
            free = {"until": ["\n"], "max_gen_toks": most, "do_sample": False}
            asked = [(read, space + doc["object"]), (read, free)]
            kinds = ["loglikelihood", "generate_until"]
        return [
            Instance(kind, doc, arguments, number, metadata=metadata)
            for number, (kind, arguments) in enumerate(zip(kinds, asked, strict=True))
        ]

    def process_results(self, doc: dict[str, Any], results: list[Any]) -> dict[str, float]:
        """What of the fact is known; see `lsn_eval.facts.matches`."""
        if doc["masked"]:
            return matches.of_fillings(doc["object_tokens"], [text.split(" ") for text in results])
        (_, greedy), text = results
        return matches.of_continuation(doc["object_tokens"], doc["object"], bool(greedy), text)


def _row(text: Callable[[str], str], relation: str, template: str) -> dict[str, Any]:
    """A document, of a fact's fields by their names."""
    subject = text("sub_label")
    return {
        "uuid": text("uuid"),
        "relation": relation,
        "text": template.replace(SUBJECT, subject),
        "subject": subject,
        "object": text("obj_label"),
        "subject_first": template.index(SUBJECT) < template.index(BLANK),
    }


def _split(rows: Sequence[Mapping[str, Any]], where: str) -> dict[str, datasets.Dataset]:
    if not rows:
        raise MlamaError(f"{where}: no facts at all; {_WHERE}")
    return {"test": datasets.Dataset.from_list(list(rows))}
