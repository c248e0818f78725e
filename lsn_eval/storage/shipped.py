"""Where the tasks, the masks and the demo model are.

`tasks/` and `masks/` lie at the top of the repository, where people look for them, and are
installed in `lsn_eval/data/`, where they take no top-level name. Installed they are found there, in
a checkout or an editable install beside the package.
"""

from __future__ import annotations

from pathlib import Path

from lsn_eval.errors import LsnError

DEMO_MODEL = "lsn_demo"
"""What the embedded model is called wherever a model is named."""

_PACKAGE = Path(__file__).resolve().parents[1]


def tasks_dir() -> Path:
    """The folder with the task definitions, for lm-eval's `--include_path`."""
    return _folder("tasks")


def masks_dir() -> Path:
    """The folder with the masks that come with the package."""
    return _folder("masks")


def demo_model_dir() -> Path:
    """The embedded model: a Hugging Face checkpoint of a few megabytes."""
    return _folder("demo_model")


def _folder(name: str, package: Path = _PACKAGE) -> Path:
    places = [package / "data" / name]
    # Beside the package only in a checkout: in site-packages that folder is somebody else's.
    if (package.parent / "pyproject.toml").is_file():
        places.append(package.parent / name)
    for place in places:
        if place.is_dir():
            return place
    looked = " and ".join(str(place) for place in places)
    raise LsnError(
        f"The folder {name!r} of lsn_eval is missing: looked at {looked}. The installation is "
        "incomplete; run: pip install --force-reinstall --no-deps lsn-eval"
    )
