"""Room on the disk is taken before an array is written to."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from lsn_eval.errors import StatisticsError
from lsn_eval.statistics import quantiles
from lsn_eval.storage.mapped_arrays import mapped_array


@pytest.mark.parametrize("allocating", [True, False])
def test_an_array_has_its_room_and_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allocating: bool
) -> None:
    if not allocating:  # as on a Mac
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    path = tmp_path / "array"
    path.write_bytes(b"of another size")
    with open(path, "r+b") as file:
        array = mapped_array(file, np.float32, (700, 1000))
    assert not array.any()
    assert path.stat().st_size == 2_800_000
    assert path.stat().st_blocks * 512 >= 2_800_000
    array[3] = 7
    array.flush()
    with open(path, "r+b") as file:
        assert mapped_array(file, np.float32, (700, 1000))[3, 0] == 7


def test_a_full_disk_is_said_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    monkeypatch.setattr(quantiles, "SCRATCH_BYTES", 0)
    with pytest.raises(StatisticsError, match="has no room.*No space left.*MiB are free"):
        quantiles.scratch_array((10, 10), np.float16)
