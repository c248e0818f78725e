"""`scripts/fetch_data.py` against a server on loopback that misbehaves."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import fetch_data
import pytest
from builders.loopback import answering
from builders.reference import REFERENCE, needs_reference
from fetch_data import FetchError, File, fetch

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(HTTPServer):
    """Serves `content`; `cut` is after how many bytes each answer ends."""

    content = CONTENT
    cut: int | None = None
    etag: str | None = '"first"'
    status: int | None = None
    ranges = True
    asked: list[str | None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if server.status:
            self.send_error(server.status)
            return
        same = self.headers.get("If-Range") in (None, server.etag)
        start = int(asked[6:-1]) if asked and server.ranges and same else 0
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        if start:
            whole = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.end_headers()
        self.wfile.write(body if server.cut is None else body[: server.cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    made = Server(("127.0.0.1", 0), Handler)
    made.asked = []
    with answering(made):
        yield made


def names(root) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_file()}


def test_a_whole_file_appears_and_is_not_fetched_again(server, tmp_path):
    file = File("a/b.bin", server.url, SHA256)
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    fetch(file, tmp_path)
    assert server.asked == [None]
    assert names(tmp_path) == {"b.bin"}


def test_a_truncated_download_is_no_file_and_goes_on_where_it_stopped(server, tmp_path):
    file = File("b.bin", server.url, SHA256)
    server.cut = 300_000
    with pytest.raises(FetchError, match=f"300000 of {len(CONTENT)} bytes came; run this again"):
        fetch(file, tmp_path)
    assert "b.bin" not in names(tmp_path)
    with pytest.raises(FetchError, match=f"600000 of {len(CONTENT)}"):
        fetch(file, tmp_path)
    server.cut = None
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=600000-"]
    assert names(tmp_path) == {"b.bin"}


@pytest.mark.parametrize("change", ["content", "ranges", "etag"])
def test_it_starts_anew_where_it_cannot_go_on(server, tmp_path, change):
    if change == "etag":
        server.etag = None  # nothing says that the rest is of the same file
    server.cut = 1000
    with pytest.raises(FetchError, match="1000 of"):
        fetch(File("b.bin", server.url), tmp_path)
    server.cut = None
    if change == "content":
        server.content, server.etag = CONTENT[::-1], '"second"'
    server.ranges = change != "ranges"
    assert fetch(File("b.bin", server.url), tmp_path).read_bytes() == server.content


def test_a_part_that_is_no_start_of_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "b.bin.part").write_bytes(b"x")
    (tmp_path / "b.bin.part.etag").write_text('"first"')
    server.status = 416
    with pytest.raises(FetchError, match="416"):
        fetch(File("b.bin", server.url, SHA256), tmp_path)
    server.status = None
    assert fetch(File("b.bin", server.url, SHA256), tmp_path).read_bytes() == CONTENT


def test_another_file_than_expected_is_refused(server, tmp_path):
    file = File("b.bin", server.url, "0" * 64)
    with pytest.raises(FetchError, match=f"has sha256 {SHA256}, expected was 0000.*Delete it"):
        fetch(file, tmp_path)
    assert names(tmp_path) == set()
    (tmp_path / "b.bin").write_bytes(b"damaged")
    with pytest.raises(FetchError, match=r"b\.bin has sha256"):
        fetch(File("b.bin", server.url, SHA256), tmp_path)


def test_a_checksum_that_is_not_known_is_that_of_the_first_download(server, tmp_path):
    file = File("b.bin", server.url)
    fetch(file, tmp_path)
    assert json.loads((tmp_path / "checksums.json").read_text()) == {"b.bin": SHA256}
    (tmp_path / "b.bin").unlink()
    server.content = CONTENT[1:]
    with pytest.raises(FetchError, match=f"expected was {SHA256}"):
        fetch(file, tmp_path)
    assert names(tmp_path) == {"checksums.json"}


def test_no_server_and_no_file_are_errors_to_mend(server, tmp_path):
    server.status = 404
    with pytest.raises(FetchError, match="404"):
        fetch(File("b.bin", server.url), tmp_path)
    with pytest.raises(FetchError, match="run this again"):
        fetch(File("b.bin", "http://127.0.0.1:9/none"), tmp_path)
    assert names(tmp_path) == set()


def archive(kind: str, members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as file:
            for name, content in members.items():
                file.writestr(name, content)
    else:
        with tarfile.open(fileobj=out, mode="w:gz") as file:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(("kind", "suffix"), [("zip", "zip"), ("tar", "tar.gz")])
def test_archives_are_unpacked_whole_or_not_at_all(server, tmp_path, kind, suffix):
    file = File(f"downloads/r.{suffix}", server.url, unpacked="release")
    server.content = archive(kind, {"release/dev/a.txt": b"a", "__MACOSX/x": b"y"})
    fetch(file, tmp_path)
    assert (tmp_path / "release/dev/a.txt").read_bytes() == b"a"
    assert {path.name for path in tmp_path.iterdir()} == {"downloads", "release", "checksums.json"}
    other = tmp_path / "other"
    other.mkdir()
    server.content = archive(kind, {"something/else": b"a"})
    with pytest.raises(FetchError, match="holds no release"):
        fetch(file, other)
    assert not (other / "release").exists()
    server.content = archive(kind, {"release/a": b"a", "../../outside": b"b"})
    third = tmp_path / "third"
    third.mkdir()
    if kind == "tar":
        with pytest.raises(FetchError, match="cannot be unpacked"):
            fetch(file, third)
    else:
        fetch(file, third)
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path.parent / "outside").exists()


def test_the_command_goes_on_past_a_failure_and_says_so(server, tmp_path, monkeypatch, capsys):
    files = [File("a.bin", server.url, "0" * 64), File("b.bin", server.url, SHA256)]
    monkeypatch.setitem(fetch_data.RELEASES, "xquad", files)
    assert fetch_data.main(["--data-root", str(tmp_path / "new"), "xquad"]) == 1
    assert names(tmp_path) == {"b.bin"}
    assert "error: " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        fetch_data.main(["--data-root", str(tmp_path), "wikipedia"])


def test_articles_are_the_held_out_ones_of_the_stream(tmp_path, monkeypatch):
    import datasets

    from lsn_eval.lm_tasks import wikippl

    rows = [{"id": str(n), "text": f"{n}\u2028" + "word " * 200} for n in range(60)]
    stream = datasets.Dataset.from_list(rows).to_iterable_dataset()
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: stream)
    arguments = ["--data-root", str(tmp_path), "wikipedia", "--languages", "de"]
    assert fetch_data.main(arguments) == 0
    from_files = wikippl.chosen(wikippl.local_articles(tmp_path, "de"))
    assert from_files == wikippl.chosen(wikippl.hub_articles("de"))
    assert len(from_files) > 3


@needs_reference
def test_known_checksums_are_those_of_released_files():
    for release in ("xquad", "mvicuna"):
        checked = 0
        for file in fetch_data.RELEASES[release]:
            path = REFERENCE / file.path
            if path.is_file():
                assert fetch_data.sha256_of(path) == file.sha256
                checked += 1
        assert checked >= 5
