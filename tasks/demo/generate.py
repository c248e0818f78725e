"""Write two tasks a language and their groups: `python tasks/demo/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write

FOLDER = Path(__file__).resolve().parent
OPENINGS = 16
"""Prompts a language."""


def files() -> dict[str, str]:
    """Text of every YAML file by its name; languages are those that have text in `data/`."""
    languages = sorted(file.stem for file in (FOLDER / "data").glob("*.jsonl"))
    written = group("lsn_demo", ["lsn_demo_ppl", "lsn_demo_langacc"])
    written |= group("lsn_demo_ppl", [f"lsn_demo_ppl_{language}" for language in languages])
    written |= group(
        "lsn_demo_langacc",
        [f"lsn_demo_langacc_{language}" for language in languages],
        means=["lsn_language_accuracy"],
    )
    for language in languages:
        written |= task(f"lsn_demo_ppl_{language}", "_template_yaml", {"language": language})
        settings = {"language": language, "openings": OPENINGS}
        written |= task(f"lsn_demo_langacc_{language}", "_langacc_template_yaml", settings)
    return written


if __name__ == "__main__":
    write(FOLDER, files())
