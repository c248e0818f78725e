"""The seam to lm_eval, against the real registries and task index."""

from __future__ import annotations

import importlib.metadata as metadata
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from lm_eval.api import registry as registries
from lm_eval.api.registry import Registry

from lsn_eval.errors import LsnError
from lsn_eval.harness import plugin
from lsn_eval.storage import shipped

MODELS = "lm_eval.models"
TARGET = "lsn_eval.harness.lsn_hf:LsnHF"
LSN_HF = metadata.EntryPoint("lsn_hf", TARGET, MODELS)


@pytest.fixture
def models(monkeypatch):
    """A model registry of its own, in which lm_eval's `hf` is already."""
    registry: Registry[Any] = Registry("model")
    registry.register("hf", target="lm_eval.models.huggingface:HFLM")
    monkeypatch.setattr(registries, "model_registry", registry)
    return registry


def test_registers_lazily_and_once(models):
    plugin.attach(MODELS)
    plugin.attach(MODELS)
    ours = {c.name: c.value for c in plugin.COMPONENTS if c.group == MODELS}
    assert ours["lsn_hf"] == TARGET
    assert dict(models.items()) == {"hf": "lm_eval.models.huggingface:HFLM", **ours}


@pytest.mark.parametrize(
    "present",
    [
        TARGET,
        metadata.EntryPoint("lsn_hf", TARGET, MODELS),
        type("LsnHF", (), {"__module__": "lsn_eval.harness.lsn_hf"}),
    ],
    ids=["string", "entry point", "our class once loaded"],
)
def test_leaves_what_is_ours_already(models, present, caplog):
    models.register("lsn_hf", target=present)
    plugin.attach(MODELS)
    assert dict(models.items())["lsn_hf"] is present
    assert caplog.records == []


def test_somebody_elses_model_of_our_name_stays_and_is_reported(models, caplog):
    models.register("lsn_hf", target="other.package:Model")
    with caplog.at_level(logging.WARNING):
        plugin.attach(MODELS)
    assert dict(models.items())["lsn_hf"] == "other.package:Model"
    assert "other.package:Model" in caplog.text


def test_metrics_register_by_importing_their_module(monkeypatch):
    """A lazy entry would lose the metric's direction and its aggregation."""
    metrics: Registry[Any] = Registry("metric")
    monkeypatch.setattr(registries, "metric_registry", metrics)
    imported: list[str] = []

    def import_module(name: str) -> Any:
        if name == "lm_eval.api.registry":
            return registries
        imported.append(name)
        metrics.register("lsn_metric", target="anything:at_all")
        return ModuleType(name)

    monkeypatch.setattr(plugin.importlib, "import_module", import_module)
    component = metadata.EntryPoint("lsn_metric", "lsn_fake_metrics:metric", "lm_eval.metrics")
    monkeypatch.setattr(plugin, "COMPONENTS", (LSN_HF, component))
    assert plugin.hosts() == (MODELS, "lm_eval.api.metrics", plugin.TASK_HOST, plugin.EVALUATOR)
    plugin.attach("lm_eval.api.metrics")
    assert imported == ["lsn_fake_metrics"]


@pytest.mark.parametrize("group", plugin.HOSTS)
def test_host_table_names_real_modules_and_registries(group):
    host = plugin.HOSTS[group]
    assert isinstance(getattr(registries, host.registry), Registry)
    __import__(host.module)


# --- tasks -------------------------------------------------------------------------------------


@pytest.fixture
def index(monkeypatch):
    """lm_eval's task index module with `build` recording the folders it is given."""

    class TaskIndex:
        @staticmethod
        def build(paths: list[Path], *, resolve_includes: bool = True) -> list[Path]:
            return list(paths)

    import lm_eval.tasks._index as real

    fake = SimpleNamespace(TaskIndex=TaskIndex, __file__=real.__file__)
    monkeypatch.setitem(sys.modules, plugin._TASK_INDEX, fake)
    return fake


def test_tasks_come_between_lm_evals_and_the_users(index):
    plugin.attach(plugin.TASK_HOST)
    once = index.TaskIndex.build
    plugin.attach(plugin.TASK_HOST)
    assert index.TaskIndex.build is once
    defaults, ours, users = Path(index.__file__).parent, shipped.tasks_dir(), Path("mine")
    assert index.TaskIndex.build([defaults]) == [defaults, ours]
    assert index.TaskIndex.build([defaults, users]) == [defaults, ours, users]
    assert index.TaskIndex().build((defaults,), resolve_includes=False) == [defaults, ours]
    assert index.TaskIndex.build([users]) == [users], "they stay out without lm_eval's own"
    assert index.TaskIndex.build([defaults, ours]) == [defaults, ours], "and come once"


def test_missing_task_index_is_not_silent(monkeypatch):
    monkeypatch.setattr(plugin, "_TASK_INDEX", "lm_eval.tasks.moved_elsewhere")
    with pytest.raises(ModuleNotFoundError, match="moved_elsewhere"):
        plugin.attach(plugin.TASK_HOST)


# --- errors under lm_eval's own command -----------------------------------------------------------


@pytest.fixture
def hook(monkeypatch, models):
    """The types of errors that reach the interpreter's own hook."""
    passed_on: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: passed_on.append(str(error)))
    monkeypatch.setattr(sys, "argv", ["/env/bin/lm_eval"])
    monkeypatch.delenv("LSN_EVAL_TRACEBACK", raising=False)
    return passed_on


def raised(error):
    sys.excepthook(type(error), error, None)


def test_user_error_is_one_message_and_a_traceback_can_be_asked_for(hook, capsys, monkeypatch):
    plugin.attach(MODELS)
    raised(LsnError("xx is no language"))
    raised(KeyError("bug"))
    assert capsys.readouterr().err == "lsn_eval: error: xx is no language\n"
    assert hook == ["'bug'"]
    monkeypatch.setenv("LSN_EVAL_TRACEBACK", "1")
    raised(LsnError("xx is no language"))
    assert hook == ["'bug'", "xx is no language"]


def test_other_programs_keep_their_hook(hook, monkeypatch):
    before = sys.excepthook
    monkeypatch.setattr(sys, "argv", ["train.py"])
    plugin.attach(MODELS)
    assert sys.excepthook is before
    for name in ("lm-eval", "lm_eval.exe"):
        monkeypatch.setattr(sys, "argv", [name])
        assert plugin._is_lm_eval_command()
    monkeypatch.setattr(sys, "argv", ["-m"])
    spec = SimpleNamespace(name="lm_eval.__main__")
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
    assert plugin._is_lm_eval_command()
