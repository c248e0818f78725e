"""Write one task a pair and their groups: `python tasks/iwslt/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write

FOLDER = Path(__file__).resolve().parent
LANGUAGES = ("ar", "de", "fr", "ja", "ko", "zh")
"""Of the pairs with English."""
CLASS = "lsn_eval.lm_tasks.iwslt.IwsltTask"


def files() -> dict[str, str]:
    """Text of every YAML file by its name: prompt, generation and metrics are `lsn_flores`'s."""
    directions = {
        "lsn_iwslt_from_en": [("en", language) for language in LANGUAGES],
        "lsn_iwslt_to_en": [(language, "en") for language in LANGUAGES],
    }
    written = group("lsn_iwslt", list(directions), means=["chrf++"])
    for direction, pairs in directions.items():
        names = [f"lsn_iwslt_{source}_{target}" for source, target in pairs]
        written |= group(direction, names, means=["chrf++"])
        for name, (source, target) in zip(names, pairs, strict=True):
            settings = {"source": source, "target": target}
            written |= task(name, "../flores/_template_yaml", settings, function=CLASS)
    return written


if __name__ == "__main__":
    write(FOLDER, files())
