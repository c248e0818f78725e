"""`lsn_xquad_*`: lm-eval's XQuAD, with its scores and what language and script an answer is in.

lm-eval's own task imports a module that transformers 5 no longer has; the prompts, splits and
generation settings are read from it all the same, and its scores come from `squad_metrics`.

Local data is the release's, `xquad/xquad.{language}.json` (SQuAD's nested JSON), or JSON lines with
the Hub's columns, `xquad/{language}.validation.jsonl`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets

from lsn_eval.language_scores import load_identifier, score_text
from lsn_eval.lm_tasks.local_data import LocalDataError, json_rows, local_file
from lsn_eval.lm_tasks.squad_metrics import MLQA_LANGUAGES, exact_match, f1, f1_mlqa
from lsn_eval.lm_tasks.upstream import UpstreamTask
from lsn_eval.storage.outside_files import Fields, read_json

_FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "context": datasets.Value("string"),
        "question": datasets.Value("string"),
        "answers": {
            "text": datasets.Sequence(datasets.Value("string")),
            "answer_start": datasets.Sequence(datasets.Value("int32")),
        },
    }
)
_INT32 = 2**31 - 1
_WHERE = (
    "get it from https://github.com/google-deepmind/xquad, or write JSON lines with the Hub's "
    "columns (google/xquad): id, context, question, answers"
)


class XquadTask(UpstreamTask):
    """One language: `exact_match` and `f1` are lm-eval's, the other metrics come on top."""

    FAMILY = "xquad"

    def merge(self, theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
        """lm-eval's definition, scored by us."""
        metrics = [
            {"metric": name, "aggregation": "mean", "higher_is_better": name != "no_answer"}
            for name in more_metrics(self.language)
        ]
        metadata = ours.get("metadata") or {}
        lid = metadata.get("lid")
        scored = {
            "metric_list": [*theirs["metric_list"], *metrics],
            "process_results": scorer(self.language, lid),
        }
        named = metadata | {"language_identification": load_identifier(lid).name}
        return super().merge(theirs | scored, ours | {"metadata": named})

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """The validation split, the only one there is."""
        path = local_file(
            root,
            [f"xquad/xquad.{self.language}.json", f"xquad/{self.language}.validation.jsonl"],
            _WHERE,
        )
        try:
            rows = list((hub_rows if path.suffix == ".jsonl" else squad_rows)(path))
        except LocalDataError as error:
            raise LocalDataError(f"{error}; {_WHERE}") from error
        if not rows:
            raise LocalDataError(f"{path} holds no questions; {_WHERE}")
        return {"validation": datasets.Dataset.from_list(rows, features=_FEATURES)}


def more_metrics(language: str) -> list[str]:
    """Metrics that lm-eval's task does not have."""
    more = ["script_match", "language_match", "no_answer"]
    return [*more, "f1_mlqa"] if language in MLQA_LANGUAGES else more


def scorer(
    language: str, lid: str | None = None
) -> Callable[[dict[str, Any], list[str]], dict[str, float]]:
    """The function that scores an answer, against the first reference answer as lm-eval does."""

    def score(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
        reference, answer = doc["answers"]["text"][0], results[0]
        scores = {
            "exact_match": exact_match(reference, answer),
            "f1": f1(reference, answer),
            **language_of_answer(answer, language, lid),
        }
        if language in MLQA_LANGUAGES:
            scores["f1_mlqa"] = f1_mlqa(reference, answer, language)
        return scores

    return score


def language_of_answer(answer: str, language: str, lid: str | None = None) -> dict[str, float]:
    """Whether an answer is in the language and its script, each 0 or 1.

    `script_match`: at least half of the letters are in the script. `language_match`: fastText's
    top label is the language, which says little of one answer, as answers are names and numbers;
    its share over all answers is to be held against that of the reference answers (README). An
    empty answer matches neither and is counted as `no_answer`; one without a letter, such as a
    year, matches both: it is the same in every language.
    """
    empty = not answer.strip()
    if empty or not any(character.isalpha() for character in answer):
        matches = float(not empty)
        return {"script_match": matches, "language_match": matches, "no_answer": float(empty)}
    scores = score_text(answer, language, lid=lid)
    return {
        "script_match": float((scores.script_share or 0.0) >= 0.5),
        "language_match": float(scores.correct),
        "no_answer": 0.0,
    }


def squad_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of SQuAD's nested JSON with the Hub's columns, in the file's order.

    The Hub's copy has no white space round contexts, questions and answers; nor have these. An
    `answer_start` counts from the beginning of the released context, there as here.

    Raises:
        LocalDataError: the file is no JSON, or is nested in another way.
    """
    document = Fields(read_json(path, LocalDataError), str(path), LocalDataError)
    for article in document.objects("data"):
        for paragraph in article.objects("paragraphs"):
            for question in paragraph.objects("qas"):
                answers = question.objects("answers")
                yield {
                    "id": question.text("id"),
                    "context": paragraph.text("context").strip(),
                    "question": question.text("question").strip(),
                    "answers": _answers(
                        question.where,
                        [answer.text("text").strip() for answer in answers],
                        [answer.whole("answer_start", most=_INT32) for answer in answers],
                    ),
                }


def hub_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of JSON lines with the Hub's columns.

    Raises:
        LocalDataError: a line is no JSON object, or a column is missing or of another type.
    """
    for row in json_rows(path):
        answers = row.fields("answers")
        yield {
            **{name: row.text(name) for name in ("id", "context", "question")},
            "answers": _answers(
                row.where, answers.texts("text"), answers.wholes("answer_start", most=_INT32)
            ),
        }


def _answers(where: str, texts: list[str], starts: list[int]) -> dict[str, list[Any]]:
    if not texts or len(starts) != len(texts):
        raise LocalDataError(
            f"{where} has {len(texts)} answers and {len(starts)} places where they start; at least "
            "one was expected, and as many of both"
        )
    return {"text": texts, "answer_start": starts}
