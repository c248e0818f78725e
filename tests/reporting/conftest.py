"""One page about ordinary results, for tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders.report_results import Outline, report, write_sweep


@pytest.fixture(scope="session")
def sweep(tmp_path_factory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="session")
def page(sweep) -> str:
    return report(sweep)


@pytest.fixture(scope="session")
def outline(page) -> Outline:
    return Outline(page)
