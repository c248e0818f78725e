"""End to end: lm-eval's own command in fresh virtual environments, from a wheel and editable.

The environments hold our package alone. Everything else is borrowed from the environment that runs
the tests, through a `.pth` file with one plain path: such a folder joins the path, but its own
`.pth` files are not read, so neither an editable install nor the hook out there is seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.install, pytest.mark.stock]

ROOT = Path(__file__).resolve().parents[2]
OUTER = sysconfig.get_path("purelib")
TASKS = "lsn_demo_ppl_de,lsn_demo_ppl_ru"


@dataclass(frozen=True)
class Environment:
    """A virtual environment and an empty folder, far from the checkout, to work in."""

    folder: Path
    work: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def site(self) -> Path:
        return Path(sysconfig.get_path("purelib", vars={"base": str(self.folder)}))

    @classmethod
    def create(cls, folder: Path) -> Environment:
        venv.create(folder, with_pip=False, symlinks=True)
        made = cls(folder, folder / "work")
        made.work.mkdir()
        return made

    def pip(self, *args: str | Path, see: str = "") -> None:
        """The outer pip, which sees this environment and the folder `see`, and needs no network."""
        pip = [sys.executable, "-m", "pip", "--python", self.bin / "python", *args]
        env = {**os.environ, "PYTHONPATH": see, "LSN_EVAL_AUTOLOAD": "0"}
        done = subprocess.run(pip, env=env, cwd=self.work, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def borrow(self, small_lm_eval: Path) -> None:
        """See the outer packages, and have lm-eval's commands as pip would write them."""
        (self.site / "borrowed.pth").write_text(f"{small_lm_eval}\n{OUTER}\n")
        for entry in distribution("lm-eval").entry_points.select(group="console_scripts"):
            script = self.bin / entry.name
            script.write_text(
                f"#!{self.bin / 'python'}\nimport sys\nfrom {entry.module} import {entry.attr}\n"
                f"sys.exit({entry.attr}())\n"
            )
            script.chmod(0o755)

    def run(self, command: str, *args: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        own = {
            "HF_HOME": str(self.folder / "hf"),
            "HF_HUB_OFFLINE": "1",
            "OMP_WAIT_POLICY": "passive",
            "OMP_NUM_THREADS": "1",
            "LSN_EVAL_AUTOLOAD": "",
        }
        return subprocess.run(
            [self.bin / command, *args],
            env={**inherited, **own, **env},
            cwd=self.work,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def files(self) -> set[str]:
        return {path.name for path in self.folder.rglob("*") if path.is_file()}


def install(environment: Environment, kind: str, wheel: Path) -> None:
    offline = ("--no-index", "--no-deps", "--no-build-isolation")
    if kind == "wheel":
        environment.pip("install", *offline, wheel)
    else:
        environment.pip("install", *offline, "--editable", ROOT, see=OUTER)  # to find hatchling


def installed(folder: Path, kind: str, wheel: Path, small_lm_eval: Path) -> Environment:
    environment = Environment.create(folder)
    install(environment, kind, wheel)
    environment.borrow(small_lm_eval)
    return environment


@pytest.fixture(scope="module")
def from_wheel(shared_folder, wheel: Path, small_lm_eval: Path) -> Environment:
    folder = shared_folder("from_wheel", lambda x: installed(x, "wheel", wheel, small_lm_eval))
    return Environment(folder, folder / "work")


@pytest.fixture(scope="module")
def editable(shared_folder, wheel: Path, small_lm_eval: Path) -> Environment:
    folder = shared_folder("editable", lambda x: installed(x, "editable", wheel, small_lm_eval))
    return Environment(folder, folder / "work")


def test_environments_use_their_own_installation(
    from_wheel: Environment, editable: Environment
) -> None:
    program = (
        "import lsn_eval, lsn_eval.storage.shipped as r; print(lsn_eval.__file__, r.tasks_dir())"
    )
    package = from_wheel.site / "lsn_eval"
    found = from_wheel.run("python", "-c", program).stdout.split()
    assert found == [str(package / "__init__.py"), str(package / "data" / "tasks")]
    found = editable.run("python", "-c", program).stdout.split()
    assert found == [str(ROOT / "lsn_eval" / "__init__.py"), str(ROOT / "tasks")]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_uninstalling_leaves_nothing(kind: str, wheel: Path, tmp_path: Path) -> None:
    environment = Environment.create(tmp_path / "env")
    before = environment.files()
    install(environment, kind, wheel)
    assert {"lsn_eval_autoload.pth", "lsn-eval"} <= environment.files() - before
    environment.pip("uninstall", "--yes", "lsn-eval")
    assert environment.files() == before
    assert environment.run("python", "-c", "import lsn_eval").returncode != 0


def test_programs_import_the_copy_their_own_path_names(from_wheel: Environment) -> None:
    """The hook runs before a script's folder joins the path, and must not decide for it."""
    copy = from_wheel.work / "copy" / "lsn_eval"
    copy.mkdir(parents=True)
    (copy / "__init__.py").write_text("")
    (copy.parent / "script.py").write_text("import lsn_eval; print(lsn_eval.__file__)")
    done = from_wheel.run("python", copy.parent / "script.py")
    assert done.stdout.strip() == str(copy / "__init__.py")


# --- discovery ---------------------------------------------------------------------------------


def test_stock_command_lists_our_tasks(from_wheel: Environment) -> None:
    done = from_wheel.run("lm_eval", "ls", "subtasks")
    listed = [line for line in done.stdout.splitlines() if "lsn_demo_ppl_" in line]
    assert any("lsn_demo_ppl_de" in line for line in listed), done.stderr
    assert all(str(from_wheel.site / "lsn_eval" / "data" / "tasks") in line for line in listed)
    assert "|arc_easy " in done.stdout
    assert "overrides existing task" not in done.stderr


def test_module_form_lists_our_tasks_in_an_editable_install(editable: Environment) -> None:
    done = editable.run("python", "-m", "lm_eval", "validate", "--tasks", TASKS)
    assert "All tasks found and valid" in done.stdout, done.stdout + done.stderr


def test_mendable_error_is_one_message(editable: Environment) -> None:
    """That the error is ours shows that the model was found."""
    arguments = ("--model", "lsn_hf", "--model_args", "pretrained=none,condition=de:zero")
    done = editable.run("lm-eval", "run", *arguments, "--tasks", TASKS, "--device", "cpu")
    assert done.returncode == 1
    assert "lsn_eval: error: condition 'de:zero' was given without a mask" in done.stderr
    assert "Traceback" not in done.stderr


def test_switched_off_means_not_there(from_wheel: Environment, tmp_path: Path) -> None:
    # Not one of our tasks: to import what they are made of is an explicit `import lsn_eval`.
    task = tmp_path / "plain.yaml"
    task.write_text("task: plain\ndataset_path: json\noutput_type: loglikelihood_rolling\n")
    done = from_wheel.run(
        "lm_eval", "--model", "lsn_hf", "--tasks", task, "--device", "cpu", LSN_EVAL_AUTOLOAD="0"
    )
    assert done.returncode == 1
    assert "no model for this name found" in done.stderr
    assert "lsn_hf," not in done.stderr


def test_importing_the_package_serves_where_pth_files_are_not_read(
    wheel: Path, small_lm_eval: Path, tmp_path: Path
) -> None:
    environment = Environment.create(tmp_path / "env")
    environment.pip("install", "--no-index", "--no-deps", "--target", tmp_path / "target", wheel)
    environment.borrow(small_lm_eval)
    for first in ("lm_eval.models, lm_eval.tasks", "lsn_eval"):
        program = f"""
import {first}
import lsn_eval, lm_eval.tasks, lm_eval.models, lm_eval.evaluator, sys
from lm_eval.api.registry import model_registry
from lm_eval.tasks._index import TaskIndex
print(lsn_eval.__file__, dict(model_registry.items())["lsn_hf"], len(model_registry) > 10)
print(TaskIndex.build.lsn_eval, len([f for f in sys.meta_path if "lsn" in type(f).__module__]))
"""
        done = environment.run("python", "-c", program, PYTHONPATH=str(tmp_path / "target"))
        assert done.stdout.split() == [
            str(tmp_path / "target" / "lsn_eval" / "__init__.py"),
            "lsn_eval.harness.lsn_hf:LsnHF",
            "True",
            "True",
            "0",
        ], (first, done.stderr)


# --- evaluation --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results(shared_folder, from_wheel: Environment, warm_commands: Path) -> dict[str, Any]:
    """What the stock command writes for the embedded model, by name of the condition: under one in
    the environment, and, since it is the same code, without one in a process that is warm."""
    model = from_wheel.site / "lsn_eval" / "data" / "demo_model"

    def evaluate(out: Path) -> None:
        fixed = ("--tasks", TASKS, "--batch_size", "1", "--device", "cpu", "--limit", "5")
        for name, kind in (("hf", "hf"), ("none", "lsn_hf"), ("de:zero", "lsn_hf")):
            ours = f",mask=demo/planted,condition={name}" if kind == "lsn_hf" else ""
            given = ("--model_args", f"pretrained={model}{ours}", "--output_path", out / name)
            arguments = ("--model", kind, *fixed, *given)
            if name == "de:zero":
                done = from_wheel.run("lm_eval", *arguments)
                assert done.returncode == 0, done.stderr
            else:
                subprocess.run([warm_commands / "lm_eval", *arguments], check=True)

    out = shared_folder("results_of_the_stock_command", evaluate)
    paths = {name: next((out / name).rglob("results_*.json")) for name in ("hf", "none", "de:zero")}
    return {name: json.loads(path.read_text("utf-8")) for name, path in paths.items()}


def perplexity(results: dict[str, Any], language: str) -> float:
    return float(results["results"][f"lsn_demo_ppl_{language}"]["byte_perplexity,none"])


def test_none_equals_plain_hf_exactly(results: dict[str, Any]) -> None:
    assert results["none"]["results"] == results["hf"]["results"]


def test_a_language_switched_off_gets_worse_and_another_stays(results: dict[str, Any]) -> None:
    def rise(language: str) -> float:
        off = perplexity(results["de:zero"], language)
        return off / perplexity(results["none"], language) - 1

    assert rise("de") > 0.05
    assert abs(rise("ru")) < 0.1 * rise("de")


@pytest.mark.parametrize("condition", ["none", "de:zero"])
def test_results_file_records_the_intervention(results: dict[str, Any], condition: str) -> None:
    record = results[condition]["config"]["lsn"]
    assert record["condition"] == condition
    assert f"condition:{condition}" in record["signature"]
    assert "lsn" not in results["hf"]["config"]
