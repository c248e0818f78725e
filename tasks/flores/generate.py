"""Write one task a pair and their groups: `python tasks/flores/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write
from lsn_eval.lm_tasks.evaluated_languages import LANGUAGES

FOLDER = Path(__file__).resolve().parent
FAMILIES = {"lsn_flores": "_template_yaml", "lsn_flores_fewshot": "_fewshot_template_yaml"}
TAGS = {"lsn_flores": "lsn_translation", "lsn_flores_fewshot": "lsn_translation_fewshot"}


def files() -> dict[str, str]:
    """Text of every YAML file by its name: English to and from every language, and any pair.

    Groups average chrF++, a language counting once; BLEU of different tokenizers is not averaged.
    """
    others = [language for language in LANGUAGES if language != "en"]
    written: dict[str, str] = {}
    for family, template in FAMILIES.items():
        directions = {
            f"{family}_from_en": [("en", language) for language in others],
            f"{family}_to_en": [(language, "en") for language in others],
        }
        for direction, pairs in directions.items():
            names = [f"{family}_{source}_{target}" for source, target in pairs]
            written |= group(direction, names, means=["chrf++"])
            for name, (source, target) in zip(names, pairs, strict=True):
                tags = [TAGS[family]]
                if family == "lsn_flores":
                    tags.append(f"lsn_{source if target == 'en' else target}")
                settings = {"source": source, "target": target}
                written |= task(name, template, settings, tags=tags)
        written |= group(family, list(directions), means=["chrf++"])
        written |= task(f"{family}_pair", template)
    return written


if __name__ == "__main__":
    write(FOLDER, files())
