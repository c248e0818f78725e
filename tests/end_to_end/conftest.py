"""What is built once for all tests of what is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders.distributions import build

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def wheel(shared_folder) -> Path:
    return next(shared_folder("wheel", lambda out: build(ROOT, out, "--wheel")).glob("*.whl"))
