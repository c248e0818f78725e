"""Write one task a language and their group: `python tasks/xquad/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write
from lsn_eval.lm_tasks.upstream import upstream_languages

FOLDER = Path(__file__).resolve().parent


def files() -> dict[str, str]:
    """Text of every YAML file by its name; the languages are lm-eval's.

    lm-eval has no group of its own here: no average over languages.
    """
    languages = upstream_languages("xquad")
    written = group("lsn_xquad", [f"lsn_xquad_{language}" for language in languages])
    for language in languages:
        name = f"lsn_xquad_{language}"
        written |= task(name, "_template_yaml", {"language": language}, tags=[f"lsn_{language}"])
    return written


if __name__ == "__main__":
    write(FOLDER, files())
