"""Imports run one way, and what is meant to start quickly needs neither torch nor lm_eval."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "lsn_eval"

FLOORS = [
    {"errors", "resources", "artefacts", "masked_secrets"},
    {"hookpoints", "mask_names", "texts", "signatures", "run_settings", "task_languages"},
    {
        "masks", "mask_algebra", "mask_checks", "mask_controls", "mask_files", "mask_imports",
        "mask_comparison", "statistics",
    },
    {"recording", "conditions", "results", "baselines", "baseline_files", "checks", "check_formats"},
    {"comparing", "identification", "writers", "witnesses", "intervention_report", "response_cache"},
    {"tables", "interventions", "stacked_interventions", "random_masks"},
    {
        "language_scores", "judge", "seeded_generation", "stacked_decoding", "stacked_generation",
        "token_chunks",
    },
    {"lm_models", "lm_tasks", "plugin", "autoload", "plotting"},
    {"reporting", "sweeping", "sweep_evaluation", "sweep_folder", "sweep_lock", "sweep_progress", "sweep_settings", "sweep_values"},
    {"demo", "demo_verdict"},
    {"cli"},
]  # fmt: skip
"""From the bottom to the top. A room may import from its own floor and from those below."""

MAY_IMPORT_LM_EVAL = {
    "plugin", "lm_models", "lm_tasks", "sweeping", "sweep_evaluation", "sweep_settings", "cli",
}  # fmt: skip


def modules() -> list[tuple[str, Path]]:
    """Every module with the room it is in: its own name, or that of its folder."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if inside != Path("__init__.py"):
            found.append((inside.parts[0].removesuffix(".py"), path))
    return found


def imports(path: Path) -> set[str]:
    """Modules imported anywhere in a file, but for type checkers alone."""
    names = set()
    pending = [ast.parse(path.read_text("utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        pending += ast.iter_child_nodes(node)
    return names


def test_every_room_has_a_floor():
    assert {room for room, _ in modules()} <= set().union(*FLOORS)


@pytest.mark.parametrize(("room", "path"), modules(), ids=lambda value: str(value).split("/")[-1])
def test_imports_run_one_way(room, path):
    floor = next(number for number, rooms in enumerate(FLOORS) if room in rooms)
    allowed = set().union(*FLOORS[: floor + 1])
    used = {name.split(".")[1] for name in imports(path) if name.startswith("lsn_eval.")}
    # Names that the package itself exports stand for the rooms they come from.
    used -= {"__version__", "NeuronMask", "autoload", "language_metrics"}
    assert used <= allowed, f"{path.name} imports from a floor above"
    if any(name.partition(".")[0] == "lm_eval" for name in imports(path)):
        assert room in MAY_IMPORT_LM_EVAL


@pytest.mark.parametrize(
    "statement",
    [
        "import lsn_eval",
        "from lsn_eval import NeuronMask, Condition, ActivationStats, identify",
        "from lsn_eval.conditions import plan; from lsn_eval.mask_files import load_mask",
        "import lsn_eval.cli",
        "import lsn_eval.results, lsn_eval.checks, lsn_eval.check_formats, lsn_eval.cli.check",
        "import lsn_eval.reporting, lsn_eval.cli.report",
        "import lsn_eval.cli.compare, lsn_eval.tables.formats, lsn_eval.tables.tidy_files",
        "import lsn_eval.comparing, lsn_eval.tables, lsn_eval.demo_verdict, lsn_eval.signatures",
    ],
)
def test_what_starts_quickly_imports_no_torch(statement):
    code = (
        f"{statement}\nimport sys\n"
        "heavy = {'torch', 'transformers', 'lm_eval', 'datasets', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
