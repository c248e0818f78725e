"""What `pip list` prints, without a process of pip: a tenth of the start of lm-eval, which has
PyTorch describe the machine for every results file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from importlib.util import find_spec
from typing import Any

COMMAND = [sys.executable, "-mpip", "list", "--format=freeze"]
"""PyTorch's."""


@contextmanager
def listed_here() -> Iterator[None]:
    """Within the block, PyTorch describes what is installed in the same lines and without pip."""
    from torch.utils import collect_env

    read: Any = getattr(collect_env, "run_and_read_all", None)

    def run_and_read_all(run: Any, command: Any) -> Any:
        return listed() if command == COMMAND and find_spec("pip") else read(run, command)

    if read:
        collect_env.run_and_read_all = run_and_read_all
    try:
        yield
    finally:
        if read:
            collect_env.run_and_read_all = read


def listed() -> str:
    """A line `name==version` for each package, of two with one name the first on the path."""
    lines: dict[str, str] = {}
    for package in distributions():
        if name := package.metadata["Name"]:
            key = name.lower().replace("_", "-").replace(".", "-")
            lines.setdefault(key, f"{name}=={package.version}")
    return "\n".join(lines[key] for key in sorted(lines))
