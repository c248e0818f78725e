"""One writer at a time, and nothing left of the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lsn_eval.errors import LsnError
from lsn_eval.storage.folder_lock import LOCK, only_writer


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_writer_at_a_time(tmp_path):
    out = tmp_path / "out"
    with only_writer(out, LsnError):
        assert names(out) == [LOCK]
        with pytest.raises(
            LsnError, match=r"another sweep is writing to .*; wait, or give another"
        ):
            only_writer(out, LsnError).__enter__()
        (out / "kept").write_text("")
    assert names(out) == ["kept"]
    with only_writer(out, LsnError):
        pass
    assert names(out) == ["kept"]
    with only_writer(tmp_path / "nothing_written", LsnError):
        pass
    assert names(tmp_path) == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(LsnError, match="cannot be written to"):
        only_writer(tmp_path / "out", LsnError).__enter__()


@pytest.mark.slow
def test_processes_that_take_turns_lose_no_step(tmp_path):
    """The holder removes the lock's file: whoever opened it before must not take it for the lock."""
    program = """
import sys, time
from pathlib import Path
from lsn_eval.errors import LsnError
from lsn_eval.storage.folder_lock import only_writer
folder, done = Path(sys.argv[1]), 0
while done < 40:
    try:
        with only_writer(folder, LsnError):
            count = folder / "count"
            seen = int(count.read_text()) if count.exists() else 0
            time.sleep(0.0005)
            count.write_text(str(seen + 1))
            done += 1
    except LsnError as error:
        assert "another sweep" in str(error), error
"""
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "120"
