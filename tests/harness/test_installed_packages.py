"""What is installed, listed without pip, against pip itself."""

from __future__ import annotations

import pytest
from torch.utils import collect_env

from lsn_eval.harness import installed_packages


@pytest.mark.slow
def test_packages_are_listed_as_by_pip(monkeypatch):
    """On both sides with whatever PyTorch may ask for, and nothing else of the machine."""
    expected = collect_env.run_and_read_all(collect_env.run, installed_packages.COMMAND)
    description = collect_env.get_pip_packages(collect_env.run)
    usual = collect_env.run_and_read_all
    with installed_packages.listed_here():
        monkeypatch.setattr(collect_env, "run", lambda command: pytest.fail("started a process"))
        assert collect_env.run_and_read_all(collect_env.run, installed_packages.COMMAND) == expected
        assert collect_env.get_pip_packages(collect_env.run) == description
        assert collect_env.run_and_read_all(lambda _: (0, "other", ""), ["other"]) == "other"
    assert collect_env.run_and_read_all is usual


def test_without_pip_nothing_is_listed_as_ever(monkeypatch):
    monkeypatch.setattr(installed_packages, "find_spec", lambda name: None)
    with installed_packages.listed_here():
        assert collect_env.get_pip_packages(lambda _: (1, "", "No module named pip"))[1] is None
