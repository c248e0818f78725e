"""Write one task a language and their group: `python tasks/mvicuna/generate.py`."""

from __future__ import annotations

import json
from pathlib import Path

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


def main() -> None:
    """A language is whatever has an instruction."""
    for language, instruction in INSTRUCTIONS.items():
        lines = [
            "# Written by generate.py.",
            "include: _template_yaml",
            f"task: lsn_mvicuna_{language}",
            "dataset_kwargs:",
            f"  language: {language}",
            f"  instruction: {json.dumps(instruction, ensure_ascii=False)}",
        ]
        path = FOLDER / f"lsn_mvicuna_{language}.yaml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    group = ["# Written by generate.py.", "group: lsn_mvicuna", "task:"]
    group += [f"  - lsn_mvicuna_{language}" for language in INSTRUCTIONS]
    group += ["aggregate_metric_list:", "  - metric: lsn_language_accuracy"]
    group += ["    aggregation: mean", "    weight_by_size: false", "metadata:", "  version: 1.0"]
    (FOLDER / "lsn_mvicuna.yaml").write_text("\n".join(group) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
