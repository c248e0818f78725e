"""Published masks from a stand-in for the server that has them: released files, cut and wrong ones."""

from __future__ import annotations

import functools
import hashlib
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from builders.commands import printed, refused
from builders.loopback import answering
from builders.reference import REFERENCE, needs_reference

from lsn_eval import NeuronMask
from lsn_eval.masks import published
from lsn_eval.masks.published import PUBLISHED


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder; `cut` says more bytes than come."""

    cut = False

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def copyfile(self, source, outputfile):
        content = source.read()
        outputfile.write(content[: len(content) // 2] if self.server.cut else content)
        self.close_connection = True


@pytest.fixture
def server(tmp_path):
    """Serves `tmp_path/served` as the mirror."""
    handler = functools.partial(Handler, directory=str(tmp_path / "served"))
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    httpd.asked, httpd.cut = [], False
    with answering(httpd) as httpd.url:
        yield httpd


def serve(tmp_path, name, content):
    of = PUBLISHED[name]
    place = tmp_path / "served" / of.release[0] / of.file
    place.parent.mkdir(parents=True)
    place.write_bytes(content)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A published mask of two layers, as the table would name it."""
    path = tmp_path / "toy.pth"
    lists = [[torch.tensor([1, 4]), torch.tensor([])], [torch.tensor([2]), torch.tensor([0, 7])]]
    torch.save([[indices.long() for indices in layers] for layers in lists], path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = published.Published("M/N", "llama", 2, 8, 2, "toy.mask", digest)
    monkeypatch.setitem(PUBLISHED, "toy", entry)
    return path.read_bytes()


def test_a_mask_is_fetched_once_and_converted(tmp_path, server, toy):
    serve(tmp_path, "toy", toy)
    to = tmp_path / "masks"
    said = printed("fetch-masks", "toy", "--to", to, "--mirror", server.url)
    assert said == f"written: {to / 'toy.safetensors'}\n"
    mask = NeuronMask.load(to / "toy.safetensors")
    assert mask.languages == ("en", "zh")  # the first two that the release numbers
    assert mask.neurons("en").tolist() == [[0, 1], [0, 4]]
    assert mask.neurons("zh").tolist() == [[0, 2], [1, 0], [1, 7]]
    assert mask.model.name == "M/N"
    assert mask.method.parameters["sha256"] == PUBLISHED["toy"].sha256
    assert PUBLISHED["toy"].release[0] in server.asked[0]
    assert len(server.asked) == 1

    (to / "toy.safetensors").unlink()
    printed("fetch-masks", "toy", "--to", to, "--mirror", server.url)
    assert NeuronMask.load(to / "toy.safetensors") == mask
    assert len(server.asked) == 1  # the released file was there

    (to / "toy.pth").write_bytes(toy[:-1])
    said = refused("fetch-masks", "toy", "--to", to, "--mirror", server.url)
    assert "toy.pth has sha256" in said
    assert "delete it" in said


@pytest.mark.parametrize("wrong", ["another", "cut", "missing", "no server"])
def test_of_what_is_not_the_file_nothing_is_left(tmp_path, server, toy, wrong):
    if wrong != "missing":
        serve(tmp_path, "toy", toy[::-1] if wrong == "another" else toy)
    server.cut = wrong == "cut"
    mirror = "http://127.0.0.1:9" if wrong == "no server" else server.url
    said = refused("fetch-masks", "toy", "--to", tmp_path / "masks", "--mirror", mirror)
    expected = {
        "another": f"has sha256 {'':s}",
        "cut": f"({len(toy) // 2:,} bytes), expected was {PUBLISHED['toy'].sha256}",
        "missing": "cannot be fetched (404",
        "no server": "cannot be fetched (",
    }
    assert expected[wrong] in said
    assert list((tmp_path / "masks").iterdir()) == []


@pytest.mark.parametrize("inside", ["", "/deeper"])
def test_a_folder_that_cannot_be_is_refused_before_anything_is_fetched(tmp_path, inside):
    (tmp_path / "file").write_text("")
    said = refused("fetch-masks", "phi-2", "--out", f"{tmp_path / 'file'}{inside}")
    assert "file is a file, and" in said


def test_the_list_names_every_mask_and_an_unknown_one_is_refused(tmp_path):
    said = printed("fetch-masks")
    assert all(name in said and ",".join(of.languages) in said for name, of in PUBLISHED.items())
    assert "there are bloom-7b, llama-2-7b" in refused("fetch-masks", "gpt", "--to", tmp_path)


@needs_reference
@pytest.mark.parametrize("name", ["bloom-7b", "llama-2-7b", "mistral-7b", "opt-6.7b", "phi-2"])
def test_released_files_have_the_pinned_checksums_and_shapes(tmp_path, server, name):
    of = PUBLISHED[name]
    serve(tmp_path, name, (REFERENCE / "masks" / of.file).read_bytes())
    mask = NeuronMask.load(published.fetch_published(name, tmp_path / "m", mirror=server.url))
    assert list(mask.languages) == ["en", "zh", "fr", "es", "vi", "id", "ja"][: of.named]
    union = np.unique(np.concatenate([mask.neurons(n) for n in mask.languages]), axis=0)
    assert len(union) == round(0.01 * of.layers * of.width)
