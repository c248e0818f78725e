"""Imports run one way and never in a circle; what is meant to start quickly needs no torch.

One test a rule. What is imported for type checkers alone counts, too: a name that a room needs to
say what it takes is a name that it depends on.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "lsn_eval"

FLOORS = (
    ("visible_text", "version", "data"),
    ("errors", "wording"),
    ("storage",),
    ("models",),
    ("masks", "language_scores"),
    ("results",),
    ("conditions", "statistics", "checking", "judge"),
    ("recording", "identification", "interventions", "comparing"),
    ("representations", "facts"),
    ("harness", "tables", "plotting"),
    ("lm_tasks", "reporting", "autoload", "baking"),
    ("sweeping", "tuning"),
    ("demo",),
    ("cli",),
)
"""From the ground up. A room may import from floors below its own."""

MAY_IMPORT_LM_EVAL = {"harness", "lm_tasks", "sweeping", "cli"}

QUICK = (
    "import lsn_eval",
    "from lsn_eval import NeuronMask, Condition, ActivationStats, identify",
    "import lsn_eval.cli, lsn_eval.cli.check, lsn_eval.cli.compare, lsn_eval.cli.report",
    "import lsn_eval.conditions, lsn_eval.masks.files, lsn_eval.checking, lsn_eval.results",
    "import lsn_eval.comparing, lsn_eval.tables, lsn_eval.reporting, lsn_eval.demo.verdict",
)
NOT_QUICK = {"torch", "transformers", "lm_eval", "datasets", "matplotlib"}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; a package is its `__init__`."""
    named = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


MODULES = modules()


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@functools.cache
def imports(path: Path) -> set[str]:
    """Modules that a file imports anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                names.add(inside if inside in MODULES else node.module)
    return names


def test_every_room_has_one_floor():
    rooms = [name for floor in FLOORS for name in floor]
    assert sorted(rooms) == sorted({room(module) for module in MODULES} - {""})


def test_the_design_shows_every_room_on_its_floor():
    text = (PACKAGE.parent / "docs" / "design.md").read_text("utf-8")
    house = text.partition("## Rooms")[2].split("```")[1]
    shown = [set(re.findall(r"\w+", line)) for line in house.splitlines()]
    for floor in FLOORS:
        assert any(set(floor) <= names for names in shown), f"no line of the figure has {floor}"


def test_imports_run_one_way():
    floor = {name: number for number, rooms in enumerate(FLOORS) for name in rooms}
    wrong = [
        f"{module} imports {used}"
        for module, path in MODULES.items()
        for used in sorted(imports(path))
        if room(module) and room(used) != room(module) and used in MODULES
        if not room(used) or floor[room(used)] >= floor[room(module)]
        # The seam between interpreter start and the plug-in, in both directions by name alone.
        if (room(module), room(used)) != ("autoload", "harness")
    ]
    assert wrong == []


def test_no_circle_inside_a_room():
    graph = {
        module: {used for used in imports(path) if used in MODULES and room(used) == room(module)}
        for module, path in MODULES.items()
        if room(module)
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_only_the_rooms_of_the_harness_import_it():
    wrong = [
        module
        for module, path in MODULES.items()
        if room(module) not in MAY_IMPORT_LM_EVAL
        and any(used.partition(".")[0] == "lm_eval" for used in imports(path))
    ]
    assert wrong == []


def test_no_test_imports_a_test():
    tests = Path(__file__).parent
    wrong = [
        str(path.relative_to(tests))
        for path in tests.rglob("*.py")
        if any(name.rpartition(".")[2].startswith(("test_", "conftest")) for name in imports(path))
    ]
    assert wrong == []


def test_what_starts_quickly_imports_no_torch():
    code = (
        "import sys\n"
        + "\n".join(QUICK)
        + f"\nheavy = {NOT_QUICK!r} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
