"""Where a file cannot be written, it is said, and nothing is left."""

from __future__ import annotations

import errno
import os

import pytest

from lsn_eval.errors import MaskError
from lsn_eval.storage import whole_files
from lsn_eval.storage.whole_files import check_folder, check_place, whole_file, whole_folder


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("afile/mask", "afile is a file, and a folder was expected there; give another name"),
        ("empty", "empty is a folder; the name of a file to write was expected"),
        ("nowhere/mask", "the folder .*nowhere does not exist; create it first"),
    ],
)
def test_a_place_that_can_hold_no_file(name, said, tmp_path):
    (tmp_path / "afile").write_text("kept")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MaskError, match=said), whole_file(tmp_path / name, MaskError):
        pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["afile", "empty"]
    assert (tmp_path / "afile").read_text() == "kept"


def test_a_file_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "mask"
    with whole_file(target, MaskError) as file:
        file.write(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    with pytest.raises(ZeroDivisionError), whole_file(target, MaskError) as file:
        file.write(b"half")
        _ = 1 / 0
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_is_said_and_the_old_file_stays(reason, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(reason, os.strerror(reason))

    target = tmp_path / "mask"
    target.write_bytes(b"old")
    monkeypatch.setattr(whole_files.os, "fsync", full)
    with pytest.raises(MaskError, match="has no room.*MiB are free"):  # noqa: SIM117
        with whole_file(target, MaskError) as file:
            file.write(b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_what_took_long_is_replaced_on_request_alone(tmp_path):
    target = tmp_path / "stats"
    check_place(target, MaskError, force=False)
    target.write_bytes(b"hours")
    with pytest.raises(MaskError, match="stats is there already and would be lost.*--force"):
        check_place(target, MaskError, force=False)
    check_place(target, MaskError)
    with pytest.raises(MaskError, match="is there already and would be lost"):
        check_folder(tmp_path, MaskError, force=False)
    with pytest.raises(MaskError, match="holds what this command did not write; give another"):
        check_folder(tmp_path, MaskError, ours=lambda folder: not any(folder.iterdir()))
    check_folder(tmp_path / "new", MaskError, ours=lambda folder: False, force=False)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_the_folder_that_it_leads_to_is_replaced(there, tmp_path):
    if there:
        (tmp_path / "disk").mkdir()
        (tmp_path / "disk" / "old").touch()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    with whole_folder(tmp_path / "link", MaskError, force=there) as unfinished:
        (unfinished / "new").touch()
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["new"]
