"""The seam: everything lm_eval is told about this package, and the only place that tells it.

Written for lm-eval 0.4.13, whose registries take lazy entries ("module:object") but discover no
plug-ins. Later releases read the entry points that `pyproject.toml` declares, the same as
`COMPONENTS` here; whichever comes first wins, and the other finds the name taken and leaves it.

Four things are attached, each after the lm_eval module concerned has run (an earlier entry would
keep lm_eval from filling its own registries), each once:

- components, in the registries;
- our tasks folder, in `TaskIndex.build`: after lm_eval's own folder, before those of
  `--include_path`, which therefore win, and nowhere with `include_defaults=False`;
- the model, which `evaluate` introduces to tasks of ours before their first request; what a baked
  one has in its weights goes into its results;
- under lm_eval's own command, a message in place of a traceback for an error the user can mend.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import TracebackType
from typing import Any

from lsn_eval.harness import task_files
from lsn_eval.storage import shipped

log = logging.getLogger(__name__)

EVALUATOR = "lm_eval.evaluator"
TASK_HOST = "lm_eval.tasks"
_TASK_INDEX = "lm_eval.tasks._index"  # imported by it; were it gone, we should hear of it


@dataclass(frozen=True)
class _Host:
    """Where lm_eval keeps the components of one entry-point group."""

    module: str
    """Fills the registry with lm_eval's own components when it is imported."""
    registry: str
    """Name of the registry in `lm_eval.api.registry`."""
    by_decorator: bool = False
    """Import the component's module at once, and let its decorator register it: a metric brings
    its direction and aggregation along, which a lazy entry cannot carry."""


HOSTS = {
    "lm_eval.models": _Host("lm_eval.models", "model_registry"),
    "lm_eval.metrics": _Host("lm_eval.api.metrics", "metric_registry", by_decorator=True),
    "lm_eval.aggregations": _Host("lm_eval.api.metrics", "aggregation_registry", by_decorator=True),
}

_ACCURACY = "lsn_eval.lm_tasks.language_accuracy"
COMPONENTS = (
    EntryPoint("lsn_hf", "lsn_eval.harness.lsn_hf:LsnHF", "lm_eval.models"),
    EntryPoint("lsn_classifier", "lsn_eval.harness.lsn_classifier:LsnClassifier", "lm_eval.models"),
    EntryPoint("lsn_mlm", "lsn_eval.harness.lsn_mlm:LsnMLM", "lm_eval.models"),
    EntryPoint("lsn_language_accuracy", f"{_ACCURACY}:language_accuracy", "lm_eval.metrics"),
    EntryPoint("lsn_ratio", f"{_ACCURACY}:ratio", "lm_eval.aggregations"),
)
"""Kept equal to the entry points in `pyproject.toml` by a test."""


def hosts() -> tuple[str, ...]:
    """The lm_eval modules to attach to, those that `lsn_eval.autoload` waits for."""
    return (*dict.fromkeys(HOSTS[c.group].module for c in COMPONENTS), TASK_HOST, EVALUATOR)


def register() -> None:
    """Import what we extend of lm_eval, and attach to it: for programs that need no hook.

    Raises what goes wrong, where the hook would only warn.
    """
    for host in hosts():
        importlib.import_module(host)
        attach(host)


def attach(host: str) -> None:
    """Attach to the lm_eval module `host`, which has been imported. Again is the same as once."""
    _shorten_user_errors()
    if host == TASK_HOST:
        _add_tasks(importlib.import_module(_TASK_INDEX))
    if host == EVALUATOR:
        _introduce_models(importlib.import_module(EVALUATOR))
    for component in COMPONENTS:
        if HOSTS[component.group].module == host:
            _add_component(component)


def _add_component(component: EntryPoint) -> None:
    host = HOSTS[component.group]
    registry = getattr(importlib.import_module("lm_eval.api.registry"), host.registry)
    if component.name in registry:
        present = _path_of(dict(registry.items())[component.name])
        if present != component.value:
            log.warning(
                "lm_eval's %s %r is %s; lsn_eval's is not used. Uninstall one of the two packages.",
                component.group,
                component.name,
                present,
            )
    elif host.by_decorator:
        importlib.import_module(component.module)
    else:
        registry.register(component.name, target=component.value)


def _path_of(entry: Any) -> str:
    """`module:object` of what a registry holds: that string, an entry point, or the object."""
    if isinstance(entry, str):
        return entry
    if isinstance(entry, EntryPoint):
        return entry.value
    return f"{getattr(entry, '__module__', '?')}:{getattr(entry, '__qualname__', entry)}"


def _add_tasks(host: Any) -> None:
    build = host.TaskIndex.build
    if getattr(build, "lsn_eval", False):
        return
    ours = shipped.tasks_dir()
    defaults = Path(host.__file__).parent

    @functools.wraps(build)
    def build_with_ours(paths: Iterable[Path], *args: Any, **kwargs: Any) -> Any:
        folders = _with_tasks(list(paths), defaults, ours)
        with ExitStack() as stack:
            if ours in folders:
                stack.enter_context(task_files.remembered(host, ours))
            if _asked:
                index = build([folder for folder in folders if folder != defaults], *args, **kwargs)
                if _covers(index, _asked):
                    return index
            if defaults in folders:
                stack.enter_context(task_files.remembered(host, defaults))
            return build(folders, *args, **kwargs)

    build_with_ours.lsn_eval = True  # type: ignore[attr-defined]
    host.TaskIndex.build = staticmethod(build_with_ours)


def _introduce_models(host: Any) -> None:
    """lm-eval tells tasks the arguments of a model by name, and of a loaded one nothing."""
    evaluate = host.evaluate
    if getattr(evaluate, "lsn_eval", False):
        return

    @functools.wraps(evaluate)
    def evaluate_introduced(lm: Any, task_dict: Any, *args: Any, **kwargs: Any) -> Any:
        for task in (task_dict.get("tasks") or {}).values():
            if hasattr(task, "introduce"):
                task.introduce(lm)
        _name_what_is_baked(lm)
        return evaluate(lm, task_dict, *args, **kwargs)

    evaluate_introduced.lsn_eval = True  # type: ignore[attr-defined]
    host.evaluate = evaluate_introduced


def _name_what_is_baked(lm: Any) -> None:
    """Its record goes into the results, so that they say what they are where the folder is not."""
    from lsn_eval.results.model_records import IN_RESULTS, record_of
    from lsn_eval.results.settings import mapping

    inside = getattr(lm, "lm", lm)  # of a cache
    held = getattr(inside, "__dict__", {})
    if hasattr(inside, "set_condition"):  # one of ours has a record of its own
        return
    if record := record_of({**held, **mapping(held.get("model_args"))}):
        usual = getattr(lm, "get_model_info", dict)
        lm.get_model_info = lambda: {**usual(), IN_RESULTS: record}


@contextmanager
def asked_for(tasks: Sequence[Any]) -> Iterator[None]:
    """Within the block, an index leaves lm-eval's own 14,000 task files out if it can do without:
    if all of `tasks`, and whatever they are groups of, are names of other folders."""
    global _asked
    _asked = tuple(tasks)
    try:
        yield
    finally:
        _asked = ()


_asked: tuple[Any, ...] = ()


def _covers(index: Mapping[str, Any], names: Iterable[Any]) -> bool:
    """Whether `index` has every name, and those of which a name is a group."""
    for name in names:
        if not isinstance(name, str) or name not in index:
            return False
        entry = index[name]
        members = (
            (entry.cfg or {}).get("task") if entry.kind.name == "GROUP" else sorted(entry.tags)
        )
        if entry.kind.name in ("GROUP", "TAG") and not _covers(index, members or ()):
            return False
    return True


def _with_tasks(paths: list[Path], defaults: Path, ours: Path) -> list[Path]:
    """`ours` right after lm_eval's own folder, unless that is absent or `ours` is there already."""
    if defaults not in paths or any(Path(path).resolve() == ours for path in paths):
        return paths
    after = paths.index(defaults) + 1
    return [*paths[:after], ours, *paths[after:]]


def _shorten_user_errors() -> None:
    """Under lm_eval's own command, print an `LsnError` as one message; exit status 1 stays.

    Programs that use lm_eval as a library keep Python's behaviour, and `LSN_EVAL_TRACEBACK=1`
    brings the traceback back.
    """
    previous = sys.excepthook
    if getattr(previous, "lsn_eval", False) or not _is_lm_eval_command():
        return

    def excepthook(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        from lsn_eval.errors import LsnError

        if isinstance(error, LsnError) and os.environ.get("LSN_EVAL_TRACEBACK") != "1":
            print(f"lsn_eval: error: {error}", file=sys.stderr)
        else:
            previous(kind, error, trace)

    excepthook.lsn_eval = True  # type: ignore[attr-defined]
    sys.excepthook = excepthook


def _is_lm_eval_command() -> bool:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name == "lm_eval.__main__":
        return True
    program = Path(sys.argv[0] if sys.argv else "").name
    return program.removesuffix(".exe") in {"lm_eval", "lm-eval"}
