"""Write one task a set and language and their groups: `python tasks/confusion/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write

FOLDER = Path(__file__).resolve().parent
_CROSS = "ar de es fr hi id it ja ko pt ru tr vi zh"
SETS = {
    "okapi": ("monolingual/okapi", "ar de en es fr id it pt vi zh"),
    "aya": ("monolingual/aya", "ar en pt tr zh"),
    "dolly": ("monolingual/dolly", "ar es fr hi ru"),
    "native": ("monolingual/native", "es fr ja ko"),
    "cross_okapi": ("crosslingual/okapi", _CROSS),
    "cross_complex": ("crosslingual/complex_prompts", _CROSS),
    "cross_sharegpt": ("crosslingual/sharegpt", _CROSS),
}
"""Folder of the release and languages of each set."""


def files() -> dict[str, str]:
    """Text of every YAML file by its name."""
    groups = [f"lsn_confusion_{name}" for name in SETS]
    written = group("lsn_confusion", groups)
    for of, (folder, languages) in zip(groups, SETS.values(), strict=True):
        names = [f"{of}_{language}" for language in languages.split()]
        written |= group(of, names, means=["line_pass_rate", "lsn_language_accuracy"])
        for language, name in zip(languages.split(), names, strict=True):
            written |= task(name, "_template_yaml", {"language": language, "set": folder})
    return written


if __name__ == "__main__":
    write(FOLDER, files())
