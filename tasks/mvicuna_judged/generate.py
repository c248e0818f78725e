"""Write one task a language and their group: `python tasks/mvicuna_judged/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write

FOLDER = Path(__file__).resolve().parent
LANGUAGES = ("de", "en", "es", "fr", "id", "ja", "tr", "vi", "zh")
"""Those of `lsn_mvicuna`."""
CLASS = "lsn_eval.lm_tasks.mvicuna_judged.MVicunaJudgedTask"


def files() -> dict[str, str]:
    """Text of every YAML file by its name: questions, prompt and settings are `lsn_mvicuna`'s.

    In the means a language counts once, however many of its answers were judged.
    """
    names = [f"lsn_mvicuna_judged_{language}" for language in LANGUAGES]
    written = group("lsn_mvicuna_judged", names, means=["judge_grade", "lsn_language_accuracy"])
    for language, name in zip(LANGUAGES, names, strict=True):
        written |= task(name, f"../mvicuna/lsn_mvicuna_{language}.yaml", function=CLASS)
    return written


if __name__ == "__main__":
    write(FOLDER, files())
