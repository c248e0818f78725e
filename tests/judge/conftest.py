"""What every test of the judge needs: a key, and no endpoint but the one it names."""

from __future__ import annotations

import pytest
from builders.scripted_server import KEY


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
