"""Write one task a pair and their groups: `python tasks/flores/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.evaluated_languages import LANGUAGES

FOLDER = Path(__file__).resolve().parent
FAMILIES = {"lsn_flores": "_template_yaml", "lsn_flores_fewshot": "_fewshot_template_yaml"}
TAGS = {"lsn_flores": "lsn_translation", "lsn_flores_fewshot": "lsn_translation_fewshot"}
AVERAGE = [
    "aggregate_metric_list:",
    "  - metric: chrf++",
    "    weight_by_size: false",
    "metadata:",
    "  version: 1.0",
]


def main() -> None:
    """English to and from every language, and a task for any pair."""
    others = [language for language in LANGUAGES if language != "en"]
    for family, template in FAMILIES.items():
        directions = {
            f"{family}_from_en": [("en", language) for language in others],
            f"{family}_to_en": [(language, "en") for language in others],
        }
        for group, pairs in directions.items():
            for source, target in pairs:
                lines = [f"include: {template}", f"task: {family}_{source}_{target}"]
                lines += ["tag:", f"  - {TAGS[family]}"]
                if family == "lsn_flores":
                    lines.append(f"  - lsn_{source if target == 'en' else target}")
                lines += ["dataset_kwargs:", f'  source: "{source}"', f'  target: "{target}"']
                write(f"{family}_{source}_{target}", lines)
            members = [f"  - {family}_{source}_{target}" for source, target in pairs]
            write(group, [f"group: {group}", "task:", *members, *AVERAGE])
        members = [f"  - {group}" for group in directions]
        write(family, [f"group: {family}", "task:", *members, *AVERAGE])
        write(f"{family}_pair", [f"include: {template}", f"task: {family}_pair"])


def write(name: str, lines: list[str]) -> None:
    """`name.yaml` beside this file."""
    text = "\n".join(["# Written by generate.py.", *lines]) + "\n"
    (FOLDER / f"{name}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
