"""The start-up hook: what it does to an interpreter, and what it leaves alone."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsn_eval import autoload
from lsn_eval.harness import plugin

ROOT = Path(__file__).resolve().parents[1]
PTH = (ROOT / "lsn_eval" / "lsn_eval_autoload.pth").read_text("utf-8")

HOST = "lsn_fake_host"


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that were attached to, in order, instead of lm_eval."""
    calls: list[str] = []
    monkeypatch.setattr(plugin, "attach", calls.append)
    return calls


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, ...]]:
    """A package that stands for lm_eval, with two modules to wait for, and no finder installed."""
    folder = tmp_path / HOST
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name in ("models", "index", "other"):
        (folder / f"{name}.py").write_text(f"ran = {name!r}\n")
    watched = (f"{HOST}.models", f"{HOST}.index")
    monkeypatch.setattr(autoload, "WATCHED", watched)
    monkeypatch.setattr(autoload, "_failures", set())
    others = [f for f in sys.meta_path if type(f).__module__ != autoload.__name__]
    monkeypatch.setattr(sys, "meta_path", others)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield watched
    for name in [n for n in sys.modules if n.partition(".")[0] == HOST]:
        del sys.modules[name]


def finders() -> list[object]:
    return [f for f in sys.meta_path if type(f).__module__ == autoload.__name__]


def python(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter without site-packages, so without any installed hook."""
    return subprocess.run(
        [sys.executable, "-S", *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LSN_EVAL_AUTOLOAD": "", **env},
        capture_output=True,
        text=True,
    )


def test_waits_for_what_the_plugin_attaches_to() -> None:
    assert plugin.hosts() == autoload.WATCHED


def test_attaches_after_each_host_has_run_and_then_goes(
    hosts: tuple[str, ...], attached: list[str]
) -> None:
    autoload.install()
    assert attached == []
    importlib.import_module(f"{HOST}.other")
    assert attached == []
    assert importlib.import_module(hosts[0]).ran == "models"
    assert attached == [hosts[0]]
    assert len(finders()) == 1
    importlib.import_module(hosts[1])
    assert attached == list(hosts)
    assert finders() == []


def test_modules_show_their_own_loader(hosts: tuple[str, ...], attached: list[str]) -> None:
    plain = importlib.import_module(f"{HOST}.other")
    autoload.install()
    module = importlib.import_module(hosts[0])
    assert type(module.__loader__) is type(module.__spec__.loader) is type(plain.__loader__)


def test_looking_for_a_host_does_not_count_as_importing_it(
    hosts: tuple[str, ...], attached: list[str]
) -> None:
    autoload.install()
    spec = importlib.util.find_spec(hosts[0])
    assert spec is not None
    assert "ran" in spec.loader.get_source(hosts[0])  # type: ignore[union-attr]
    assert attached == []


def test_host_that_fails_to_import_may_be_tried_again(
    hosts: tuple[str, ...], attached: list[str], tmp_path: Path
) -> None:
    path = tmp_path / HOST / "models.py"
    path.write_text("raise OSError('once')")
    autoload.install()
    with pytest.raises(OSError, match="once"):
        importlib.import_module(hosts[0])
    assert attached == []
    path.write_text("ran = 'mended'")
    importlib.invalidate_caches()
    importlib.import_module(hosts[0])
    assert attached == [hosts[0]]


def test_attaches_at_once_where_a_host_has_been_imported(
    hosts: tuple[str, ...], attached: list[str]
) -> None:
    importlib.import_module(hosts[1])
    autoload.install()
    assert attached == [hosts[1]]
    importlib.import_module(hosts[0])
    assert attached == [hosts[1], hosts[0]]


def test_installing_twice_is_installing_once(hosts: tuple[str, ...], attached: list[str]) -> None:
    autoload.install()
    autoload.install()
    assert len(finders()) == 1


def test_missing_host_is_still_missing(hosts: tuple[str, ...], attached: list[str]) -> None:
    autoload.install()
    importlib.import_module(HOST).__path__.clear()
    importlib.invalidate_caches()
    with pytest.raises(ModuleNotFoundError, match=hosts[0]):
        importlib.import_module(hosts[0])


def test_failure_is_one_warning_that_says_what_to_do(
    hosts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(host: str) -> None:
        raise AttributeError("no registry")

    monkeypatch.setattr(plugin, "attach", broken)
    autoload.install()
    for host in hosts:
        importlib.import_module(host)
    (record,) = caplog.records
    assert "AttributeError: no registry" in record.getMessage()
    assert "LSN_EVAL_AUTOLOAD=0" in record.getMessage()


# --- the .pth file -----------------------------------------------------------------------------


def test_pth_is_one_line_that_site_executes() -> None:
    assert PTH.startswith("import ")
    assert PTH.count("\n") == 1
    assert PTH.endswith("\n")


def test_pth_installs_the_hook_and_leaves_no_module(tmp_path: Path) -> None:
    """The program's own copy of the package must win over the one that `.pth` files see."""
    program = PTH + (
        "print([type(f).__name__ for f in sys.meta_path][0], "
        "[m for m in sys.modules if 'lsn_eval' in m])\n"
    )
    done = python("-c", program + PTH + "print(len(sys.meta_path))", cwd=tmp_path)
    first, second = done.stdout.splitlines()
    assert first == "Start []"
    assert second == "4", "read a second time, as in every virtual environment, it adds nothing"
    assert done.stderr == ""


def test_pth_installs_the_hook_as_soon_as_lm_eval_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "lm_eval.py").write_text("")
    program = PTH + "import json, lm_eval\nprint([type(f).__name__ for f in sys.meta_path][:2])"
    done = python("-c", program, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("['_Finder', 'Start']\n", "")


def test_pth_is_switched_off_by_the_environment(tmp_path: Path) -> None:
    done = python("-c", PTH + "print(len(sys.meta_path))", cwd=tmp_path, LSN_EVAL_AUTOLOAD="0")
    assert (done.stdout, done.stderr) == ("3\n", "")


@pytest.mark.parametrize("state", ["gone", "empty", "broken"])
def test_pth_is_quiet_when_the_package_is_not_whole(tmp_path: Path, state: str) -> None:
    if state != "gone":
        (tmp_path / "lsn_eval").mkdir()
    if state == "broken":
        (tmp_path / "lsn_eval" / "__init__.py").write_text("not Python")
    (tmp_path / "lm_eval.py").write_text("")
    program = PTH + "import lm_eval; print('runs')"
    done = python("-c", program, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.stdout, done.stderr) == ("runs\n", "")


def test_start_up_imports_nothing_but_the_hook(tmp_path: Path) -> None:
    listing = "import os, sys; before = set(sys.modules)\n"
    listing += "import lsn_eval\nprint(sorted(set(sys.modules) - before))"
    done = python("-c", listing, cwd=tmp_path)
    assert done.stdout.strip() == "['lsn_eval', 'lsn_eval.autoload']", done.stderr


def test_start_up_costs_little(tmp_path: Path) -> None:
    """A guard against a heavy import, generous since machines differ."""
    cached = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path / "cache")}
    costs = []
    for _ in range(6):
        done = python("-X", "importtime", "-c", "import lsn_eval", cwd=tmp_path, **cached)
        (line,) = re.findall(r"\| +(\d+) \| lsn_eval\n", done.stderr)
        costs.append(int(line))
    assert min(costs) < 5000, f"import lsn_eval took {costs} microseconds"
