"""Write the tables of docs/models.md from the rows and their tests."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from builders.architectures import ARCHITECTURES  # noqa: E402

from lsn_eval.models.support import Support, support  # noqa: E402

TARGET = ROOT / "docs" / "models.md"
MARK = "<!-- Written by scripts/write_model_docs.py from here on. -->\n"


def document() -> str:
    """The page: what stands above the mark, and the tables."""
    rows = support()
    constraints = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = dict(line.split("==") for line in constraints if line.count("==") == 1)
    supported = [row for row in rows if not row.reason]
    lines = [
        f"{len(supported)} types, tested with transformers {pinned['transformers']} and torch "
        f"{pinned['torch']}.",
        "",
        "| type | kind | gate and up | query, key, value | tested |",
        "| --- | --- | --- | --- | --- |",
        *(f"| `{row.type}` | {row.kind} | {row.gate} | {row.attention} | {_tested(row)} |"
          for row in supported),
        "",
        "## Refused",
        "",
        "| type | why |",
        "| --- | --- |",
        *(f"| `{row.type}` | {row.reason} |" for row in rows if row.reason),
    ]  # fmt: skip
    written = TARGET.read_text("utf-8").partition(MARK)[0]
    return written + MARK + "\n" + "\n".join(lines) + "\n"


def _tested(row: Support) -> str:
    configs = [name for name in ARCHITECTURES if name.partition(":")[0] == row.type]
    what = "values, writes, padding" if row.kind == "encoder" else "values, writes, generation"
    return what + (f"; {len(configs)} configs" if len(configs) > 1 else "")


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
