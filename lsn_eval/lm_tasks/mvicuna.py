"""The multilingual Vicuna questions: open questions, one file a language, one question a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets

from lsn_eval.lm_tasks.language_task import LanguageTask
from lsn_eval.lm_tasks.local_data import LocalDataError, json_rows, local_file
from lsn_eval.storage.outside_files import read_text


class MVicunaTask(LanguageTask):
    """Questions of a language with the instruction to answer in it, from the YAML.

    A document is `question`, `instruction` and `language`.
    """

    WHERE = (
        "the questions are released as data/mvicuna/LANGUAGE.txt in github.com/RUCAIBox/"
        "Language-Specific-Neurons (Tang et al.) and, for de and tr, in github.com/racia/"
        "Language-Specific-Neurons: put them into mvicuna there"
    )

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """`mvicuna/LANGUAGE.txt`, or JSON lines with a column `question`."""
        language, instruction = settings["language"], settings["instruction"]
        name = f"mvicuna/{language}"
        file = local_file(root, [f"{name}.txt", f"{name}.jsonl"], self.WHERE)
        if file.suffix == ".txt":
            lines = (line.strip() for line in read_text(file, LocalDataError).split("\n"))
            questions = [line for line in lines if line]
        else:
            questions = [row.text("question") for row in json_rows(file)]
        if not questions:
            raise LocalDataError(f"{file} holds no question; one a line was expected")
        documents = [
            {"question": question, "instruction": instruction, "language": language}
            for question in questions
        ]
        return {"test": datasets.Dataset.from_list(documents)}
