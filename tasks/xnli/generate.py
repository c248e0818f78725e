"""Write one task a language and their group: `python tasks/xnli/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write
from lsn_eval.lm_tasks.upstream import upstream_languages

FOLDER = Path(__file__).resolve().parent


def files() -> dict[str, str]:
    """Text of every YAML file by its name; the languages are lm-eval's.

    As lm-eval's own group, it averages over all questions of all languages.
    """
    languages = upstream_languages("xnli")
    written = group(
        "lsn_xnli",
        [f"lsn_xnli_{language}" for language in languages],
        means=["acc"],
        by_question=True,
    )
    for language in languages:
        name = f"lsn_xnli_{language}"
        written |= task(name, "_template_yaml", {"language": language}, tags=[f"lsn_{language}"])
    return written


if __name__ == "__main__":
    write(FOLDER, files())
