"""Write one task a language and their group: `python tasks/mlama/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write

FOLDER = Path(__file__).resolve().parent
LANGUAGES = """
    af ar az be bg bn ca ceb cs cy da de el en es et eu fa fi fr ga gl he hi hr hu hy id it ja ka
    ko la lt lv ms nl pl pt ro ru sk sl sq sr sv ta th tr uk ur vi zh
""".split()  # noqa: SIM905
"""Folders of mLAMA 1.1."""


def files() -> dict[str, str]:
    """Text of every YAML file by its name; in the group's mean a language counts once."""
    names = [f"lsn_mlama_{language}" for language in LANGUAGES]
    written = group("lsn_mlama", names, means=["full_match", "partial_match"])
    for name, language in zip(names, LANGUAGES, strict=True):
        written |= task(name, "_template_yaml", {"language": language}, tags=[f"lsn_{language}"])
    return written


if __name__ == "__main__":
    write(FOLDER, files())
