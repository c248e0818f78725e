"""Write one task a language and their groups: `python tasks/wikippl/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.evaluated_languages import LANGUAGES

FOLDER = Path(__file__).resolve().parent
FAMILIES = {"lsn_wikippl": "_template_yaml", "lsn_wikippl_papers": "_papers_template_yaml"}
TAGS = {"lsn_wikippl": "lsn_perplexity", "lsn_wikippl_papers": "lsn_perplexity_papers"}


def main() -> None:
    """A group is a list: perplexities of different languages are not averaged."""
    for family, template in FAMILIES.items():
        names = []
        for language in LANGUAGES:
            name = f"{family}_{language}"
            lines = [f"include: {template}", f"task: {name}", "tag:", f"  - {TAGS[family]}"]
            if family == "lsn_wikippl":
                lines.append(f"  - lsn_{language}")
            lines += ["dataset_kwargs:", f'  language: "{language}"']
            write(name, lines)
            names.append(name)
        members = [f"  - {name}" for name in names]
        write(family, [f"group: {family}", "task:", *members, "metadata:", "  version: 1.0"])


def write(name: str, lines: list[str]) -> None:
    """`name.yaml` beside this file."""
    text = "\n".join(["# Written by generate.py.", *lines]) + "\n"
    (FOLDER / f"{name}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
