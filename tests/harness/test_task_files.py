"""What is remembered of lm-eval's task files, and when its folder is left out, with lm-eval's index."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import lm_eval.tasks._index as real
import lm_eval.tasks.manager as manager
import pytest

from lsn_eval.cli.run import _tasks as asked_on_the_command_line
from lsn_eval.harness import plugin, task_files
from lsn_eval.storage import shipped

TASK = "dataset_path: json\noutput_type: loglikelihood_rolling\n"


@pytest.fixture
def parsed(tmp_path, monkeypatch):
    """Names of the files that lm-eval parses; its folder, ours and a user's are small ones."""
    files = {
        "defaults/_shared": TASK,
        "defaults/one.yaml": "include: _shared\ntask: one\ndescription: Ünicode\n",
        "defaults/dated.yaml": f"{TASK}task: dated\nmetadata: {{when: 2026-01-01, 1: number}}\n",
        "defaults/broken.yaml": "task: [",
        "defaults/last.yaml": f"{TASK}task: rival\n",
        "ours/first.yaml": f"{TASK}task: rival\n",
        "ours/two.yaml": f"{TASK}task: two\ntag: pair\n",
        "ours/three.yaml": f"{TASK}task: three\ntag: pair\n",
        "ours/group.yaml": "group: both\ntask: [two, three]\n",
        "users/mixed.yaml": "group: mixed\ntask: [one, two]\n",
        "users/own.yaml": f"{TASK}task: three\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "defaults" / ".#one").symlink_to("somebody@host.123:456")  # an editor's
    names: list[str] = []
    load = real.load_yaml

    def load_yaml(path: Path, **options: Any) -> Any:
        names.append(Path(path).name)
        return load(path, **options)

    build = getattr(real.TaskIndex.build, "__wrapped__", real.TaskIndex.build)
    monkeypatch.setattr(real.TaskIndex, "build", staticmethod(build))
    monkeypatch.setattr(real, "load_yaml", load_yaml)
    monkeypatch.setattr(real, "__file__", str(tmp_path / "defaults" / "_index.py"))
    monkeypatch.setattr(manager, "__file__", str(tmp_path / "defaults" / "manager.py"))
    monkeypatch.setattr(shipped, "tasks_dir", lambda: tmp_path / "ours")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(task_files.SWITCH, raising=False)
    plugin.attach(plugin.TASK_HOST)
    return names


def index():
    return dict(manager.TaskManager().task_index)


OURS = {"two.yaml", "three.yaml", "group.yaml", "first.yaml"}
DEFAULTS = {"one.yaml", "dated.yaml", "broken.yaml", "last.yaml"}


def test_ours_come_after_lm_evals_and_before_the_users(parsed, tmp_path):
    users = str(tmp_path / "users")
    found = manager.TaskManager(include_path=users).task_index
    places = {name: found[name].yaml_path.parent.name for name in ("one", "rival", "three")}
    assert places == {"one": "defaults", "rival": "ours", "three": "users"}
    assert {"rival", "three"} <= set(manager.TaskManager().all_tasks)
    alone = manager.TaskManager(include_path=users, include_defaults=False)
    assert alone.all_tasks == ["mixed", "three"], "ours stay out without lm_eval's own"


def test_files_that_have_not_changed_are_parsed_once(parsed):
    first = index()
    assert set(parsed) == DEFAULTS | OURS
    parsed.clear()
    second = index()
    # A date and a key that is a number are no JSON: such a file is parsed every time.
    assert set(parsed) == {"dated.yaml", "broken.yaml"}
    assert second == first
    assert second["one"].cfg["description"] == "Ünicode"
    second["one"].cfg["description"] = "changed by somebody"
    assert index() == first


@pytest.mark.parametrize(
    "change", ["ours", "include", "new", "time", "damage", "other", "off", "gone"]
)
def test_what_has_changed_is_parsed_again(parsed, change, tmp_path, monkeypatch):
    before = index()
    caches = (tmp_path / "cache" / "lsn_eval").iterdir()
    (kept,) = (file for file in caches if "one.yaml" in file.read_text())
    parsed.clear()
    defaults = tmp_path / "defaults"
    if change == "ours":
        (tmp_path / "ours" / "two.yaml").write_text(f"{TASK}task: two\ndescription: new\n")
        assert index()["two"].cfg["description"] == "new"
        return
    if change == "include":
        (defaults / "_shared").write_text(TASK.replace("json", "csv"))
    elif change == "new":
        (defaults / "four.yaml").write_text(f"{TASK}task: four\n")
    elif change == "time":
        os.utime(defaults / "one.yaml", ns=(1, 1))
    elif change == "damage":
        kept.write_bytes(kept.read_bytes()[:-20])
    elif change == "other":
        kept.write_text(re.sub(r"one.yaml\": {.*?}", r'one.yaml": 1', kept.read_text()))
    elif change == "off":
        monkeypatch.setenv(task_files.SWITCH, "0")
    else:
        kept.unlink()
    now = index()
    assert "one.yaml" in parsed
    assert set(now) - set(before) == ({"four"} if change == "new" else set())
    assert now["one"].cfg["dataset_path"] == ("csv" if change == "include" else "json")


def test_what_was_long_ago_kept_for_others_is_dropped(parsed, tmp_path):
    kept = tmp_path / "cache" / "lsn_eval"
    kept.mkdir(parents=True)
    for name, days in (("task_files-old.json", 61), ("task_files-new.json", 1), ("mine.json", 61)):
        (kept / name).write_text("{}")
        os.utime(kept / name, (time.time() - days * 86400,) * 2)
    index()
    names = {path.name for path in kept.iterdir()}
    assert {"task_files-new.json", "mine.json"} < names
    assert "task_files-old.json" not in names


def test_a_home_that_cannot_be_written_to_costs_time_alone(parsed, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert index() == index()


def test_nothing_is_kept_where_somebody_happens_to_be(
    parsed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user without a home
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    index()
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "without"),
    [
        (["two"], True),
        (["both", "three"], True),
        (["pair"], True),
        (["mixed"], False),
        (["one"], False),
        (["two", "one"], False),
        (["tw*"], False),
        ([{"task": "two"}], False),
        ([], False),
    ],
)
def test_lm_evals_folder_is_left_out_if_nothing_of_it_was_asked_for(
    parsed, asked, without, tmp_path
):
    with plugin.asked_for(asked):
        found = manager.TaskManager(include_path=str(tmp_path / "users")).task_index
    assert ("one" not in found) is without
    assert {"two", "three", "both", "mixed"} <= set(found)
    assert bool(DEFAULTS & set(parsed)) is not without
    assert "one" in index(), "and is there for those who come after"


@pytest.mark.parametrize(
    ("arguments", "tasks"),
    [
        ("--model m --tasks a b,c --limit 2", ["a", "b", "c"]),
        ("--tasks a --limit 2 --tasks b -t c", ["a", "b", "c"]),
        ("--tasks=a --trust_remote_code", ["a"]),
        ("--tasks", []),
        ("--limit 2", []),
    ],
)
def test_every_task_that_the_command_names_is_asked_for(arguments: str, tasks: list[str]) -> None:
    assert asked_on_the_command_line(arguments.split()) == tasks
