"""Every promise names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_promise_names_tests_that_exist():
    named = []
    page = (ROOT / "docs" / "promises.md").read_text("utf-8")
    for line in page.partition("## Mutated files")[0].splitlines():
        file = ""
        for path, name in re.findall(r"`([\w/.]*)::(\w+)`", line):
            file = path or file
            named.append((file, name))
        assert not line.startswith("| ") or line.startswith(("| promise", "| ---")) or file, line
    functions = {
        (file, node.name)
        for file in {file for file, _ in named}
        for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert named
    assert [entry for entry in named if entry not in functions] == []
