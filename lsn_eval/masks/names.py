"""Names of languages, controls and statistics in a mask, and the method that made it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LANGUAGE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
CONTROL_NAME = re.compile(r"random([1-9][0-9]*)-(.+)")
STATISTICS = ("mean", "median", "p10", "p90", "max")
"""Statistics of a neuron in its language that a mask can store and a condition can write."""


@dataclass(frozen=True)
class MaskMethod:
    """How the neurons were found."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
