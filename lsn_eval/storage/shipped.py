"""Where the tasks, the masks and the demo model are: somewhere on the path of `lsn_eval.data`."""

from __future__ import annotations

from pathlib import Path

from lsn_eval import data
from lsn_eval.errors import LsnError

DEMO_MODEL = "lsn_demo"
"""What the embedded model is called wherever a model is named."""


def tasks_dir() -> Path:
    """The folder with the task definitions, for lm-eval's `--include_path`."""
    return _folder("tasks")


def masks_dir() -> Path:
    """The folder with the masks that come with the package."""
    return _folder("masks")


def demo_model_dir() -> Path:
    """The embedded model: a Hugging Face checkpoint of a few megabytes."""
    return _folder("demo_model")


def model_place(name: str) -> str:
    """Where a model is loaded from: the name or folder itself, but for the embedded model."""
    return str(demo_model_dir()) if name == DEMO_MODEL else name


def _folder(name: str) -> Path:
    places = [Path(folder) / name for folder in data.__path__]
    for place in places:
        if place.is_dir():
            return place
    looked = " and ".join(str(place) for place in places)
    raise LsnError(
        f"The folder {name!r} of lsn_eval is missing: looked at {looked}. The installation is "
        "incomplete; run: pip install --force-reinstall --no-deps lsn-eval"
    )
