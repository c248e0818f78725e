"""Every recipe runs in miniature, and says what it measured beside what was published."""

from __future__ import annotations

import csv
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPRODUCE = ROOT / "scripts" / "reproduce"
RECIPES = sorted(REPRODUCE.glob("*/*.sh"))
ALONE = 'set -a; [ -f "$1" ] && . "$1"; set +a; exec bash "$2"'


def name(recipe: Path) -> str:
    return f"{recipe.parent.name}/{recipe.stem}"


def in_miniature(recipe: Path, out: Path, commands: Path) -> str:
    """What a recipe prints under its paper's `miniature.env`."""
    path = os.pathsep.join((str(commands), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-c", ALONE, "-", recipe.parent / "miniature.env", recipe],
        capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "PATH": path, "OUT": str(out)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """Where recipes write to: those with one OUT record once."""
    return tmp_path_factory.mktemp("reproduced")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=name)
def test_a_recipe_sets_what_it_measured_beside_what_was_published(recipe, shared, warm_commands):
    scripts = [recipe, *recipe.parent.glob("*.inc")]
    at = re.search(r'^OUT="\$\{OUT:-(.*)\}"', "".join(s.read_text("utf-8") for s in scripts), re.M)
    lines = in_miniature(recipe, shared / at[1], warm_commands).splitlines()
    tables = [
        number for number, line in enumerate(lines) if re.match(r"\| row .*measured \|", line)
    ]
    assert tables, lines[-20:]
    for start in tables:
        rows = lines[start + 2 :]
        cells = [row.split("|")[-2].strip() for row in rows if row.startswith("|")]
        assert any(cell and float(cell) == float(cell) for cell in cells), lines[start:]


def test_the_page_has_a_row_for_every_recipe_and_no_other():
    page = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| .*`(\w+/\w+)\.sh`", page, re.M)) == [name(r) for r in RECIPES]


@pytest.mark.parametrize(
    "path", sorted(REPRODUCE.glob("*/published.csv")), ids=lambda p: p.parent.name
)
def test_published_numbers_are_numbers_and_each_of_a_recipe(path):
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert lines
    assert {tuple(line) for line in lines} == {("table", "model", "row", "column", "value", "unit")}
    keys = [tuple(line.values())[:4] for line in lines]
    assert len(set(keys)) == len(keys)
    assert {line["table"] for line in lines} <= {recipe.stem for recipe in path.parent.glob("*.sh")}
    for line in lines:
        float(line["value"])
