"""Write the tables of docs/models.md from the rows, their tests, and scripts/model_types.json."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from builders.architectures import ARCHITECTURES  # noqa: E402
from builders.held_back import CORRECTED, HELD_BACK, LESS  # noqa: E402

from lsn_eval.models.families import FAMILIES, REFUSED  # noqa: E402
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
        *_without_a_row(),
    ]  # fmt: skip
    written = TARGET.read_text("utf-8").partition(MARK)[0]
    return written + MARK + "\n" + "\n".join(lines) + "\n"


def _without_a_row() -> list[str]:
    swept = json.loads((ROOT / "scripts" / "model_types.json").read_text("utf-8"))
    types: dict[str, dict[str, Any]] = swept["types"]
    how = {of: {name: type for name, type in types.items() if type["how"] == of}
           for of in ("row", "structure", "refused", "not built")}  # fmt: skip
    hidden = Counter(type["structure"] for type in how["row"].values())
    dense = [
        name
        for name, type in how["row"].items()
        if type["structure"] == "refused" and not any(stack.experts for stack in FAMILIES[name])
    ]
    found = {name: type for name, type in how["structure"].items() if not type.get("experts")}
    counted = f"{len(found)} of {len(types)} types"
    return [
        "",
        "## Without a row",
        "",
        f"Every text model type of transformers {swept['transformers']} was tried with torch "
        f"{swept['torch']} by `scripts/sweep_model_types.py`, on a tiny model with random weights: "
        f"{counted} have no row and are resolved by structure. Of the {len(how['row'])} with a row "
        f"that were built, structure alone finds the same in {hidden['same']}, all but attention "
        f"in {hidden['less']}, refuses {hidden['refused']} (those with experts, and "
        f"{_names(dense)}), and is wrong in "
        f"{hidden['WRONG']}. Of every dense one, zero at `mlp.act` and at `mlp.down_in` was held "
        "against zeroed columns of the down projection.",
        "",
        *_held_back(),
        "",
        "| type | MLP | attention | zero equals edited weights |",
        "| --- | --- | --- | --- |",
        *(f"| `{name}` | {_mlp(type)} | {_attention(type)} | {_zero(type)} |"
          for name, type in found.items()),
        "",
        "So are tiny models of these, whose usual configs have experts; a model with them is "
        f"refused: {_names(of for of in how['structure'] if of not in found)}.",
        "",
        "| refused | why |",
        "| --- | --- |",
        *(f"| `{name}` | {type['why']} |" for name, type in how["refused"].items()
          if name not in REFUSED),
        "",
        "Sizes alone build no tiny model that runs on tokens, so that nothing was tried: "
        f"{_names(how['not built'])}.",
    ]  # fmt: skip


def _held_back() -> list[str]:
    refused = [name for name, row in HELD_BACK.items() if isinstance(row, str)]
    by_outcome = {said: [of for of in HELD_BACK if LESS.get(of) == said] for said in LESS.values()}
    right = len(HELD_BACK) - len(refused) - len(LESS)
    return [
        f"**Held back.** {len(HELD_BACK)} types were drawn by a seed and their rows written by "
        "hand before there was a resolver (`tests/builders/held_back.py`). It finds "
        f"{right} as written; "
        + "; ".join(f"{len(names)} {said} ({_names(names)})" for said, names in by_outcome.items())
        + f"; {len(refused)} it refuses as it has to ({_names(refused)}); none is wrong. "
        f"The rows of {_names(CORRECTED)} were corrected afterwards: the check of rows refused "
        "them, since one activation module serves all their layers.",
    ]


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _mlp(type: dict[str, Any]) -> str:
    return "with a gate" if "mlp.gate" in type["at"] else "without a gate"


def _attention(type: dict[str, Any]) -> str:
    of = [kind for kind in ("attn", "cross") if f"{kind}.q" in type["at"]]
    left_out = type.get("without attention", []) if of else []
    return (" and ".join(of) or "left out") + "".join(f"; not the {name}'s" for name in left_out)


def _zero(type: dict[str, Any]) -> str:
    said = set(type["zero"].values())
    return "yes" if said == {"equal"} else "; ".join(sorted(said - {"equal"}))


def _tested(row: Support) -> str:
    configs = [name for name in ARCHITECTURES if name.partition(":")[0] == row.type]
    what = "values, writes, padding" if row.kind == "encoder" else "values, writes, generation"
    return what + (f"; {len(configs)} configs" if len(configs) > 1 else "")


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
