"""Masks and statistics in repositories, against a stand-in of the Hub's interface."""

from __future__ import annotations

import re

import huggingface_hub
import pytest
from builders.commands import printed, refused
from builders.hub_server import Hub, hub_in_place
from builders.statistics import statistics

from lsn_eval import ActivationStats, NeuronMask
from lsn_eval.errors import LsnError, MaskError
from lsn_eval.harness.lsn_hf import LsnHF

COMMIT = re.compile(r"hf:someone/neurons@([0-9a-f]{40})")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with hub_in_place(monkeypatch, tmp_path / "cache") as hub:
        yield hub


def test_a_mask_goes_there_and_comes_back(hub: Hub, tmp_path):
    mask = NeuronMask.load("demo/planted")
    said = mask.push_to_hub("someone/neurons")
    assert COMMIT.fullmatch(said)
    for loaded in (
        NeuronMask.load(said),
        NeuronMask.load("hf:someone/neurons"),
        NeuronMask.load("hf:someone/neurons/mask.safetensors@main"),
        NeuronMask.from_pretrained("someone/neurons", revision=COMMIT.fullmatch(said)[1]),
    ):
        assert loaded == mask
        assert loaded.values_of.keys() == mask.values_of.keys()
    card = hub.commits["someone/neurons"][-1][1]["README.md"].decode()
    assert mask.digest in card
    assert "mask=hf:someone/neurons,condition=en:zero" in card
    assert "| mlp.act" in card


def test_a_revision_means_what_it_meant(hub: Hub):
    mask = NeuronMask.load("demo/planted")
    first = mask.push_to_hub("someone/neurons")
    second = mask.select(["de", "en"]).push_to_hub("someone/neurons")
    assert first != second
    assert NeuronMask.load(first) == mask
    assert NeuronMask.load(second).languages == ("de", "en")
    assert NeuronMask.load("hf:someone/neurons").languages == ("de", "en")


def test_the_commit_stands_in_the_record_of_a_run(hub: Hub):
    said = NeuronMask.load("demo/planted").push_to_hub("someone/neurons")
    model = LsnHF("lsn_demo", mask="hf:someone/neurons@main", condition="de:zero", device="cpu")
    assert model.get_model_info()["lsn"]["mask"]["name"] == said


def test_without_a_network_the_cache_answers(hub: Hub, monkeypatch):
    mask = NeuronMask.load("demo/planted")
    said = mask.push_to_hub("someone/neurons")
    NeuronMask.load(said)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert NeuronMask.load(said) == mask
    with pytest.raises(MaskError, match="hf:someone/other cannot be fetched"):
        NeuronMask.load("hf:someone/other")


def test_statistics_go_there_and_come_back(hub: Hub, tmp_path):
    stats = statistics()
    stats.save(tmp_path / "stats.safetensors")
    said = printed("stats", "push", tmp_path / "stats.safetensors", "someone/neurons")
    name = COMMIT.search(said)[0]
    assert ActivationStats.load(name).digest == stats.digest
    printed("stats", "pull", name, "--out", tmp_path / "back.safetensors")
    assert ActivationStats.load(tmp_path / "back.safetensors").digest == stats.digest
    assert stats.digest in hub.commits["someone/neurons"][-1][1]["README.md"].decode()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf:someone/nothing", "cannot be fetched"),
        ("hf:someone/neurons@nowhere", "cannot be fetched"),
        ("hf:someone/neurons/other.safetensors", "cannot be fetched"),
        ("hf:neurons", "hf:OWNER/NAME@REVISION was expected"),
        ("hf:a/b@c@d", "hf:OWNER/NAME@REVISION was expected"),
    ],
)
def test_what_is_not_there_is_one_message(hub: Hub, name, message):
    NeuronMask.load("demo/planted").push_to_hub("someone/neurons")
    assert message in refused("mask", "info", name)


def test_a_private_repository_needs_a_token_which_is_never_shown(hub: Hub, monkeypatch, tmp_path):
    printed("mask", "push", "demo/planted", "someone/neurons", "--private")
    assert hub.private == {"someone/neurons"}
    printed("mask", "pull", "hf:someone/neurons", "--out", tmp_path / "mask.safetensors")
    assert NeuronMask.load(tmp_path / "mask.safetensors") == NeuronMask.load("demo/planted")
    monkeypatch.setenv("HF_TOKEN", "hf_anothertoken0123456789")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "other"))
    for said in (
        refused("mask", "pull", "hf:someone/neurons", "--out", tmp_path / "again.safetensors"),
        refused("mask", "push", "demo/planted", "someone/neurons"),
    ):
        assert "anothertoken" not in said
        assert "log in" in said.lower()
    assert not (tmp_path / "again.safetensors").exists()


def test_no_server_is_a_message(hub: Hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(LsnError, match="cannot be written on the Hub"):
        NeuronMask.load("demo/planted").push_to_hub("someone/neurons")
