"""Tasks that lm-eval has too: its own definition, read where it is installed, with data of ours.

A YAML's `include` reaches lm-eval's files only by a path, and resolving the functions they name
imports modules that may not be importable. So the definition is read as data, at run time, and
everything in it is kept: prompts, choices, splits, metrics, generation settings. What a YAML of
ours says wins over it.
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import datasets
import lm_eval
import yaml

from lsn_eval.errors import LsnError
from lsn_eval.lm_tasks.base import LsnTask
from lsn_eval.storage.outside_files import decoded

_OWN = ("task", "tag", "group", "include", "class")
"""Keys of lm-eval's file that name the file or its place, not what is measured."""


class UpstreamError(LsnError):
    """lm-eval's own task is not where it was, or not what it was."""


class _Function(str):
    """What `!function` names in lm-eval's file, not imported."""


class _Loader(yaml.SafeLoader):
    """Reads lm-eval's task files without importing what they name."""


_Loader.add_constructor("!function", lambda loader, node: _Function(loader.construct_scalar(node)))


def upstream_config(family: str, task: str) -> dict[str, Any]:
    """lm-eval's definition of `task`, from `lm_eval/tasks/FAMILY/TASK.yaml` and what it includes.

    Values that name a Python function are a `_Function`, which is not imported.

    Raises:
        UpstreamError: there is no such file, or it defines another task.
    """
    folder = resources.files("lm_eval.tasks").joinpath(family)
    config = _read(folder, f"{task}.yaml")
    if config.get("task") != task:
        raise UpstreamError(
            f"{folder.joinpath(task)}.yaml defines {config.get('task')!r}, {task!r} was expected; "
            + _what_to_do()
        )
    return config


def upstream_languages(family: str) -> list[str]:
    """Languages for which lm-eval has a task `FAMILY_LANGUAGE`, as its files are named."""
    folder = resources.files("lm_eval.tasks").joinpath(family)
    names = (file.name for file in folder.iterdir())
    return sorted(
        name.removeprefix(f"{family}_").removesuffix(".yaml")
        for name in names
        if name.startswith(f"{family}_") and name.endswith(".yaml")
    )


def _read(folder: Traversable, name: str) -> dict[str, Any]:
    file = folder.joinpath(name)
    if not file.is_file():
        raise UpstreamError(f"{file} does not exist; {_what_to_do()}")
    text = decoded(file.read_bytes(), str(file), UpstreamError)
    try:
        # A subclass of the safe loader: it makes plain data and nothing else.
        config = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UpstreamError(f"{file} is no YAML ({error}); {_what_to_do()}") from error
    if not isinstance(config, dict):
        raise UpstreamError(f"{file} holds no task; {_what_to_do()}")
    included = config.pop("include", None) or []
    merged: dict[str, Any] = {}
    for other in [included] if isinstance(included, str) else included:
        merged |= _read(folder, other)
    return merged | config


def _what_to_do() -> str:
    return (
        f"lm-eval {lm_eval.__version__} has laid this task out anew since 0.4.13, which is known "
        "to work: install that, or a newer lsn_eval"
    )


class UpstreamTask(LsnTask):
    """A task of lm-eval's. A YAML of ours gives `task` and, as `dataset_kwargs`, `language`."""

    FAMILY: str
    """Folder below `lm_eval/tasks`; its tasks are `FAMILY_LANGUAGE`."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        ours = dict(config or {})
        self.language: str = (ours.get("dataset_kwargs") or {}).get("language", "")
        if not self.language:
            raise UpstreamError(
                f"{ours.get('task', type(self).__name__)} names no language; its YAML needs "
                "'dataset_kwargs: {language: de}'"
            )
        theirs = upstream_config(self.FAMILY, f"{self.FAMILY}_{self.language}")
        merged = self.merge(theirs, ours)
        if unresolved := sorted(name for name, x in merged.items() if isinstance(x, _Function)):
            raise UpstreamError(
                f"lm-eval's {theirs['task']} has functions under {', '.join(unresolved)}, which "
                f"lsn_eval does not stand in for; {_what_to_do()}"
            )
        super().__init__(config=merged)

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """What lm-eval's own task loads."""
        return dict(datasets.load_dataset(self.config.dataset_path, self.config.dataset_name))

    def merge(self, theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
        """lm-eval's definition with ours over it; a subclass may change what cannot be kept."""
        version = (theirs.get("metadata") or {}).get("version")
        kept = {name: value for name, value in theirs.items() if name not in _OWN}
        metadata = {"upstream_version": version} | (ours.get("metadata") or {})
        return kept | ours | {"metadata": metadata}
