"""Every recipe runs in miniature, and says what it measured beside what was published.

The scripts run as they are, in bash. The commands in them run in this process, which imports torch
once: a process each would take many times as long.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from builders.commands import invoke

ROOT = Path(__file__).resolve().parents[2]
REPRODUCE = ROOT / "scripts" / "reproduce"
RECIPES = sorted(REPRODUCE.glob("*/*.sh"))
COMMAND = r"""#!/usr/bin/env bash
printf '%s\0' "$#" "$@" >&"$ASKED"
read -r status <&"$ANSWERED"
cat "$SHOWN.out"
cat "$SHOWN.err" >&2
exit "$status"
"""
ALONE = 'set -a; [ -f "$1" ] && . "$1"; set +a; exec bash "$2"'


def name(recipe: Path) -> str:
    return f"{recipe.parent.name}/{recipe.stem}"


def in_miniature(recipe: Path, folder: Path, out: Path) -> str:
    """What a recipe prints under its paper's `miniature.env`."""
    commands = folder / "commands"
    commands.mkdir()
    for command in ("lsn-eval", "lm_eval"):
        (commands / command).write_text(COMMAND.replace('"$@"', f'{command} "$@"'))
        (commands / command).chmod(0o755)
    asked, asking = os.pipe()
    answers, answering = os.pipe()
    path = (str(commands), str(Path(sys.executable).parent), os.environ["PATH"])
    with (folder / "printed").open("w") as shown, (folder / "errors").open("w") as errors:
        script = subprocess.Popen(
            ["bash", "-c", ALONE, "-", recipe.parent / "miniature.env", recipe],
            stdout=shown, stderr=errors, cwd=ROOT, pass_fds=(asking, answers),
            env={**os.environ, "PATH": os.pathsep.join(path), "OUT": str(out),
                 "ASKED": str(asking), "ANSWERED": str(answers), "SHOWN": str(folder / "shown")},
        )  # fmt: skip
        os.close(asking)
        os.close(answers)
        with os.fdopen(asked, "rb") as requests, os.fdopen(answering, "w", buffering=1) as replies:
            while count := _word(requests):
                command, *words = [_word(requests) for _ in range(int(count) + 1)]
                result = invoke(*(["run"] if command == "lm_eval" else []), *words)
                (folder / "shown.out").write_text(result.stdout, "utf-8")
                (folder / "shown.err").write_text(result.stderr, "utf-8")
                print(result.exit_code, file=replies)
        status = script.wait()
    assert status == 0, (folder / "errors").read_text("utf-8")[-3000:]
    return (folder / "printed").read_text("utf-8")


def _word(requests) -> str:
    """Up to the next zero byte; nothing once the script has ended."""
    return b"".join(iter(lambda: requests.read(1).strip(b"\0"), b"")).decode()


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """Where recipes write to: those with one OUT record once."""
    return tmp_path_factory.mktemp("reproduced")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=name)
def test_a_recipe_sets_what_it_measured_beside_what_was_published(
    recipe, shared, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    scripts = [recipe, *recipe.parent.glob("*.inc")]
    at = re.search(r'^OUT="\$\{OUT:-(.*)\}"', "".join(s.read_text("utf-8") for s in scripts), re.M)
    lines = in_miniature(recipe, tmp_path, shared / at[1]).splitlines()
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
