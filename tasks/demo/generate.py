"""Write one task a language and their group: `python tasks/demo/generate.py`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    """Languages are those that have text in `data/`."""
    languages = sorted(file.stem for file in (FOLDER / "data").glob("*.jsonl"))
    for language in languages:
        lines = [
            "# Written by generate.py.",
            "include: _template_yaml",
            f"task: lsn_demo_ppl_{language}",
            "dataset_kwargs:",
            f"  language: {language}",
        ]
        path = FOLDER / f"lsn_demo_ppl_{language}.yaml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    group = ["# Written by generate.py.", "group: lsn_demo_ppl", "task:"]
    group += [f"  - lsn_demo_ppl_{language}" for language in languages]
    group += ["metadata:", "  version: 1.0"]
    (FOLDER / "lsn_demo_ppl.yaml").write_text("\n".join(group) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
