"""Write one task a language and their group: `python tasks/demo/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write

FOLDER = Path(__file__).resolve().parent


def files() -> dict[str, str]:
    """Text of every YAML file by its name; languages are those that have text in `data/`."""
    languages = sorted(file.stem for file in (FOLDER / "data").glob("*.jsonl"))
    written = group("lsn_demo_ppl", [f"lsn_demo_ppl_{language}" for language in languages])
    for language in languages:
        written |= task(f"lsn_demo_ppl_{language}", "_template_yaml", {"language": language})
    return written


if __name__ == "__main__":
    write(FOLDER, files())
