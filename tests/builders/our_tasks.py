"""Our task definitions in lm-eval, without its own 14,000 files, and data for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.task import Task
from lm_eval.tasks import TaskManager

from lsn_eval.storage.shipped import tasks_dir


def task_manager(*families: str, also: Sequence[Path] = (), **metadata: Any) -> TaskManager:
    """An index of our families, and of the definitions in the folders `also`."""
    return TaskManager(
        include_defaults=False,
        include_path=[str(folder) for folder in (*(tasks_dir() / f for f in families), *also)],
        metadata=metadata or None,
    )


def load_task(name: str, **metadata: Any) -> Task:
    """One of ours; the family is the second word of its name."""
    (task,) = task_manager(name.split("_")[1], **metadata).load([name])["tasks"].values()
    return task


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    """Texts by their paths below `root`."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root
