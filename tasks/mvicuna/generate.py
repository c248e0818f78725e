"""Write one task a language and their group: `python tasks/mvicuna/generate.py`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval.lm_tasks.definitions import group, task, write

FOLDER = Path(__file__).resolve().parent

INSTRUCTIONS = {
    "de": " Bitte antworte auf Deutsch",
    "en": " Answer in English.",
    "es": " Por favor responda en español.",
    "fr": " Veuillez répondre en français.",
    "id": " Tolong dijawab dalam bahasa Indonesia.",
    "ja": "日本語で答えてください。",
    "tr": " Lütfen Türkçe cevap ver.",
    "vi": " Hãy trả lời bằng tiếng Việt.",
    "zh": "请用中文回答。",
}
"""As published, with the space before them that is part of the prompt; none in zh and ja."""


def files() -> dict[str, str]:
    """Text of every YAML file by its name; a language is whatever has an instruction."""
    names = [f"lsn_mvicuna_{language}" for language in INSTRUCTIONS]
    written = group("lsn_mvicuna", names, means=["lsn_language_accuracy"])
    for language, instruction in INSTRUCTIONS.items():
        settings = {"language": language, "instruction": instruction}
        written |= task(f"lsn_mvicuna_{language}", "_template_yaml", settings)
    return written


if __name__ == "__main__":
    write(FOLDER, files())
