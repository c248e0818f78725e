"""A folder of mLAMA's form with invented facts in two languages."""

from __future__ import annotations

import json
from pathlib import Path

TEMPLATES = {
    "de": {"P19": "[X] wurde in [Y] geboren.", "P36": "[Y] von [X]", "P17": "[X] in [Y]"},
    "zh": {"P19": "[X]在[Y]生。", "P36": "[X]的[Y]。", "P17": "[X]在[Y]"},
}
FACTS = {
    "P19": [
        ("anna", "paris", "安娜", "巴黎"),
        ("bob", "rom", "波", "巴"),
        ("carl stadt", "bern stadt", "c d", "黎"),
    ],
    "P36": [("frank", "paris", "f", "巴黎"), ("ita", "rom a", "i", "巴 黎")],
    "P17": [],
}


def write_mlama(root: Path) -> Path:
    """`mlama1.1/{de,zh}/`, with a relation that has no facts; the second fact of P36 is German's
    alone."""
    for language, templates in TEMPLATES.items():
        folder = root / "mlama1.1" / language
        folder.mkdir(parents=True)
        german = language == "de"
        lines = [{"relation": name, "template": text} for name, text in templates.items()]
        _write(folder / "templates.jsonl", lines)
        for relation, facts in FACTS.items():
            rows = [
                {
                    "sub_uri": f"Q{number}", "obj_uri": f"Q9{number}", "lineid": number,
                    "obj_label": fact[1 if german else 3], "sub_label": fact[0 if german else 2],
                    "uuid": f"{relation}-{number}",
                }
                for number, fact in enumerate(facts)
                if german or (relation, number) != ("P36", 1)
            ]  # fmt: skip
            _write(folder / f"{relation}.jsonl", rows)
    return root


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
