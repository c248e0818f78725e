"""What is built: the wheel, the source distribution, and what `pyproject.toml` declares."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from builders.distributions import build

import lsn_eval
from lsn_eval import data
from lsn_eval.errors import LsnError
from lsn_eval.harness import plugin
from lsn_eval.storage import shipped

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def expected_files() -> set[str]:
    def below(folder: str, prefix: str) -> set[str]:
        return {
            prefix + path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    package = below("lsn_eval", "") - {"lsn_eval/lsn_eval_autoload.pth"}
    data = below("tasks", "lsn_eval/data/") | below("masks", "lsn_eval/data/")
    return package | data | {"lsn_eval_autoload.pth"}


def declared_components() -> set[EntryPoint]:
    return {
        EntryPoint(name, target, group)
        for group, entries in PROJECT["entry-points"].items()
        if group != "lm_eval.tasks"  # a folder, which the bridge adds by itself
        for name, target in entries.items()
    }


def test_registration_table_equals_the_declared_entry_points() -> None:
    assert set(plugin.COMPONENTS) == declared_components()
    assert {component.group for component in plugin.COMPONENTS} <= set(plugin.HOSTS)


def test_components_exist() -> None:
    for component in plugin.COMPONENTS:
        component.load()


def test_every_dependency_is_pinned_once() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    names = [line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line]
    assert len(names) == len(set(names))
    extras = PROJECT["optional-dependencies"]
    for requirement in [*PROJECT["dependencies"], *extras["train"], *extras["dev"]]:
        name = requirement.split(">")[0]
        assert name.startswith("lsn-eval[") or name in names, f"constraints.txt lacks {name}"


@pytest.mark.install
def test_wheel_holds_the_package_its_data_the_start_up_file_and_what_is_declared(
    wheel: Path,
) -> None:
    assert wheel.name == f"lsn_eval-{lsn_eval.__version__}-py3-none-any.whl"
    held = contents(wheel)
    assert {name for name in held if ".dist-info/" not in name} == expected_files()
    text = next(b for n, b in held.items() if n.endswith("entry_points.txt")).decode()
    assert "lsn-eval = lsn_eval.cli:main" in text
    for component in plugin.COMPONENTS:
        assert f"[{component.group}]" in text
        assert f"{component.name} = {component.value}" in text


@pytest.mark.install
def test_wheel_from_the_source_distribution_equals_the_one_from_the_tree(
    wheel: Path, tmp_path: Path
) -> None:
    build(ROOT, tmp_path, "--sdist")
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    source = next((tmp_path / "source").iterdir())
    for needed in ("Makefile", "constraints.txt", "tests/end_to_end/test_packaging.py", "LICENSE"):
        assert (source / needed).is_file()
    build(source, tmp_path / "rebuilt", "--wheel")
    assert contents(next((tmp_path / "rebuilt").glob("*.whl"))) == contents(wheel)


@pytest.mark.install
def test_unpacked_wheel_finds_its_own_data_and_the_package_masks(
    wheel: Path, tmp_path: Path
) -> None:
    """The shipped masks lie in `lsn_eval/data/masks`, the code that reads them in `lsn_eval/masks`."""
    shutil.unpack_archive(wheel, tmp_path, "zip")
    program = (
        "import importlib.util as u, lsn_eval.masks as m; from lsn_eval.storage import shipped as r; "
        "entry = u.find_spec('lsn_eval.data.tasks').submodule_search_locations; "
        "print(m.__file__, r.tasks_dir(), r.masks_dir(), r.demo_model_dir(), *entry, sep='\\n')"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    package = tmp_path / "lsn_eval"
    places = ["masks/__init__.py", "data/tasks", "data/masks", "data/demo_model", "data/tasks"]
    assert done.stdout.splitlines() == [str(package / place) for place in places], done.stderr


def test_checkout_finds_its_data_beside_the_package() -> None:
    assert shipped.tasks_dir() == ROOT / "tasks"
    assert shipped.masks_dir() == ROOT / "masks"
    assert shipped.demo_model_dir() == ROOT / "lsn_eval" / "data" / "demo_model"


def test_missing_data_is_an_error_that_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "__path__", [str(tmp_path / "lsn_eval/data")])
    with pytest.raises(LsnError, match=r"looked at .*lsn_eval/data/tasks\. .*pip install"):
        shipped.tasks_dir()


def test_the_entry_point_for_tasks_names_the_folder_of_a_checkout() -> None:
    (name,) = PROJECT["entry-points"]["lm_eval.tasks"].values()
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert list(spec.submodule_search_locations or ()) == [str(ROOT / "tasks")]
