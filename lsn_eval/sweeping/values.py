"""What single values of a sweep's settings may be, so that a wrong one costs no model."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_DTYPES = ("auto", "float32", "bfloat16", "float16", "float64", "float", "half", "double")
_DEVICE = re.compile(r"cpu|cuda(:\d+)?|mps(:0)?|(npu|xpu|hpu):\d+")
"""The names that lm-eval knows; for any other it takes a device of its own choice."""


def _names_values(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(k, str) and k for k in value)


_PAIRS = "names with values, NAME=VALUE,NAME=VALUE or a JSON object,"
_COUNT = re.compile(r"[1-9][0-9]*|auto(:[1-9][0-9]*)?")

_WANTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "dtype": (_DTYPES.__contains__, f"one of {', '.join(_DTYPES)}"),
    "batch_size": (
        lambda value: bool(_COUNT.fullmatch(str(value))),
        "a whole number from 1 on, such as 16, or auto",
    ),
    "max_batch_size": (lambda value: value >= 1, "a whole number from 1 on"),
    "device": (lambda value: bool(_DEVICE.fullmatch(value)), "cpu, cuda, cuda:1, mps or the like"),
    "limit": (
        lambda value: 0 < value < math.inf,
        "a number above 0, the documents of a task or, below 1, a share of them,",
    ),
    "num_fewshot": (lambda value: value >= 0, "a number from 0 on"),
    "model_args": (_names_values, _PAIRS),
    "metadata": (_names_values, _PAIRS),
    "gen_kwargs": (_names_values, _PAIRS),
    "include_path": (lambda value: Path(value).is_dir(), "a folder that exists"),
}

CHECKED = tuple(_WANTED)
"""Names of the settings that `wrong_value` knows."""


def wrong_value(name: str, value: Any) -> str | None:
    """What to say of the value of a setting if it cannot be one; None stands for not given."""
    fits, wanted = _WANTED[name]
    if value is None or fits(value):
        return None
    return f"{name} is {value!r}; {wanted} was expected"


def missing_device(name: str | None) -> str | None:
    """What to say if this machine, or its PyTorch, has no such device."""
    import torch

    kind, _, number = (name or "cpu").partition(":")
    if kind == "cpu":
        return None
    module = getattr(torch, kind, None)
    if kind == "mps":
        count = int(torch.backends.mps.is_available())
    else:
        count = module.device_count() if module is not None and module.is_available() else 0
    if int(number or 0) < count:
        return None
    there = f"{count} of the kind {kind}" if count else f"none of the kind {kind}"
    return f"device is {name!r}, and PyTorch finds {there} here; give another --device, such as cpu"
