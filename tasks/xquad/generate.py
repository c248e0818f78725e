"""Write one task a language and their group: `python tasks/xquad/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.upstream import upstream_languages

FOLDER = Path(__file__).resolve().parent


def files() -> dict[str, str]:
    """Text of every YAML file by its name; the languages are lm-eval's."""
    languages = upstream_languages("xquad")
    written = {f"lsn_xquad_{language}.yaml": task(language) for language in languages}
    group = ["# Written by generate.py.", "group: lsn_xquad", "task:"]
    group += [f"  - lsn_xquad_{language}" for language in languages]
    group += [
        "# As lm-eval, which has no group of its own here: no average over languages.",
        "metadata:",
        "  version: 1.0",
    ]
    return written | {"lsn_xquad.yaml": "\n".join(group) + "\n"}


def task(language: str) -> str:
    """One language's file."""
    lines = [
        "# Written by generate.py.",
        "include: _template_yaml",
        f"task: lsn_xquad_{language}",
        f"tag: lsn_{language}",
        "dataset_kwargs:",
        f"  language: {language}",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write them beside this file."""
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
