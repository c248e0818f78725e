"""Write one task a language and their groups: `python tasks/wikippl/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write
from lsn_eval.lm_tasks.evaluated_languages import LANGUAGES

FOLDER = Path(__file__).resolve().parent
FAMILIES = {"lsn_wikippl": "_template_yaml", "lsn_wikippl_papers": "_papers_template_yaml"}
TAGS = {"lsn_wikippl": "lsn_perplexity", "lsn_wikippl_papers": "lsn_perplexity_papers"}


def files() -> dict[str, str]:
    """Text of every YAML file by its name.

    A group is a list: perplexities of different languages are not averaged.
    """
    written: dict[str, str] = {}
    for family, template in FAMILIES.items():
        written |= group(family, [f"{family}_{language}" for language in LANGUAGES])
        for language in LANGUAGES:
            tags = [TAGS[family]] + ([f"lsn_{language}"] if family == "lsn_wikippl" else [])
            written |= task(f"{family}_{language}", template, {"language": language}, tags=tags)
    return written


if __name__ == "__main__":
    write(FOLDER, files())
