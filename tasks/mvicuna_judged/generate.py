"""Write one task a language and their group: `python tasks/mvicuna_judged/generate.py`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LANGUAGES = ("de", "en", "es", "fr", "id", "ja", "tr", "vi", "zh")
"""Those of `lsn_mvicuna`."""


def files() -> dict[str, str]:
    """Text of every YAML file by its name."""
    written = {f"lsn_mvicuna_judged_{language}.yaml": task(language) for language in LANGUAGES}
    group = ["# Written by generate.py.", "group: lsn_mvicuna_judged", "task:"]
    group += [f"  - lsn_mvicuna_judged_{language}" for language in LANGUAGES]
    group += [
        "# A language counts once, however many of its answers were judged.",
        "aggregate_metric_list:",
        "  - metric: judge_grade",
        "    aggregation: mean",
        "    weight_by_size: false",
        "  - metric: lsn_language_accuracy",
        "    aggregation: mean",
        "    weight_by_size: false",
        "metadata:",
        "  version: 1.0",
    ]
    return written | {"lsn_mvicuna_judged.yaml": "\n".join(group) + "\n"}


def task(language: str) -> str:
    """One language's file: the questions, prompt and settings of `lsn_mvicuna`."""
    lines = [
        "# Written by generate.py.",
        f"include: ../mvicuna/lsn_mvicuna_{language}.yaml",
        f"task: lsn_mvicuna_judged_{language}",
        "class: !function lsn_eval.lm_tasks.mvicuna_judged.MVicunaJudgedTask",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write them beside this file."""
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
