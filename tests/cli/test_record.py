"""`lsn-eval record` and `lsn-eval stats`, as typed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders.architectures import tiny_model
from builders.commands import printed, refused
from builders.reference import REFERENCE, needs_reference

from lsn_eval.cli.record import parse_shard, parse_tokens
from lsn_eval.recording import estimate_recording
from lsn_eval.recording.checkpoints import unfinished_folder
from lsn_eval.statistics import ActivationStats

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory, tokenizer):
    """A tiny model and its tokenizer, saved."""
    folder = tmp_path_factory.mktemp("model")
    tiny_model("llama").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def texts(tmp_path):
    found = {}
    for language, word in (("de", "Satz"), ("fr", "phrase")):
        found[language] = tmp_path / f"{language}.txt"
        found[language].write_text("\n".join(f"{word} {n}, {n * n}." for n in range(120)))
    return found


def typed(model: Path, out: Path, texts: dict[str, Path], *more: Any) -> list[Any]:
    named = [f"--texts={language}={path}" for language, path in texts.items()]
    return ["record", "--model", model, "--out", out, *named, "--no-progress", *more]


def recording(model: Path, out: Path, texts: dict[str, Path], *more: Any) -> ActivationStats:
    printed(*typed(model, out, texts, *more))
    return ActivationStats.load(out)


@needs_reference
def test_the_published_sentences(model, tmp_path):
    """Five languages of Kojima et al.'s sentences, 200 each, as text and as JSON lines."""
    languages = ["de", "en", "es", "fr", "zh"]
    texts, lines = {}, {}
    for language in languages:
        published = json.loads((REFERENCE / "sentences" / f"{language}.json").read_text("utf-8"))
        sentences = [s.replace("\n", " ") for s in published["sentences"]["positive"]]
        assert len(sentences) == 500
        sentences = sentences[:200]
        texts[language] = tmp_path / f"{language}.txt"
        texts[language].write_text("\n".join(sentences), encoding="utf-8")
        lines[language] = tmp_path / f"{language}.jsonl"
        lines[language].write_text("".join(json.dumps({"text": s}) + "\n" for s in sentences))
    stats = recording(model, tmp_path / "a", texts, "--length", 64, "--tokens", "10k")
    assert stats.languages == tuple(languages)
    assert set(stats.tokens.values()) == {9984}
    assert len({corpus[0]["texts_sha256"] for corpus in stats.provenance["corpora"].values()}) == 5
    options = ["--one-text-per-row", "--per-text", "--length", 64]
    one = recording(model, tmp_path / "b", texts, *options, "--batch-size", 16)
    other = recording(model, tmp_path / "c", lines, *options, "--batch-size", 16)
    assert one.digest == other.digest
    assert one.text_languages is not None
    assert one.text_languages.tolist() == [name for name in languages for _ in range(200)]
    assert one.responses("mlp.act", 1).shape == (1000, 48)


def test_hookpoints_dtype_and_info(model, texts, tmp_path):
    stats = recording(
        model, tmp_path / "a", texts,
        "--hookpoint", "mlp.act", "--hookpoint", "attn.q", "--length", 32, "--dtype", "bfloat16",
        "--statistics", "counts",
    )  # fmt: skip
    assert stats.hookpoints == ("mlp.act", "attn.q")
    assert stats.provenance["dtype"] == "bfloat16"
    assert stats.model.name == str(model)
    described = json.loads(printed("stats", "info", tmp_path / "a", "--json"))
    assert described["digest"] == stats.digest
    assert described["languages"] == dict(stats.tokens)
    assert described["statistics"]["attn.q"] == ["positive"]
    assert 0 < described["active"]["mlp.act"]["de"] < 1
    assert stats.provenance["corpora"]["de"][0]["document_sketch"]
    (corpus,) = described["provenance"]["corpora"]["de"]
    assert corpus["texts_sha256"]
    assert "sketch" not in str(described)
    said = printed("stats", "info", tmp_path / "a")
    for part in ("mlp.act", "attn.q", "bfloat16", "de.txt", f"{stats.tokens['de']:,}"):
        assert part in said


def test_a_dataset(model, tmp_path):
    pytest.importorskip("datasets")
    data = tmp_path / "data"
    data.mkdir()
    configs = ""
    for language in ("de", "fr"):
        lines = [json.dumps({"id": str(n), "text": f"{language} {n} "}) for n in range(200)]
        (data / f"{language}.jsonl").write_text("\n".join(lines))
        configs += f"- config_name: {language}\n  data_files: {language}.jsonl\n"
    (data / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    options = ["--dataset", f"{data}:{{lang}}", "--languages", "de,fr", "--length", 16]
    split = recording(model, tmp_path / "split", {}, *options)
    whole = recording(model, tmp_path / "whole", {}, *options, "--no-hold-out")
    assert split.languages == ("de", "fr")
    assert 0.8 < split.tokens["de"] / whole.tokens["de"] < 0.97
    assert split.provenance["corpora"]["fr"][0]["source"] == f"{data}:fr[train]"
    assert "cannot be streamed" in refused(
        *typed(model, tmp_path / "x", {}, *options, "--dataset-split", "dev")
    )


def test_the_embedded_model_and_token_ids(model, tmp_path):
    (tmp_path / "de.txt").write_text("Köln liegt am Rhein. " * 200)
    options = ["--length", 64, "--statistics", "counts", "--batch-size", 4]
    texts = {"de": tmp_path / "de.txt"}
    stats = recording(Path("lsn_demo"), tmp_path / "a", texts, *options)
    assert stats.model.name == "lsn_demo"
    assert stats.get("mlp.act", "positive").sum() > 0
    torch.save(torch.arange(100), tmp_path / "de.pt")
    stats = recording(model, tmp_path / "b", {"de": tmp_path / "de.pt"}, "--length", 10)
    assert stats.tokens == {"de": 100}
    assert stats.provenance["corpora"]["de"][0]["source"] == str(tmp_path / "de.pt")


def test_shards_are_merged(model, texts, tmp_path):
    options = ["--length", 16, "--batch-size", 4]
    whole = recording(model, tmp_path / "whole", texts, *options)
    shards = [tmp_path / f"shard{number}" for number in (1, 2)]
    for number, shard in enumerate(shards, start=1):
        recording(model, shard, texts, *options, "--shard", f"{number}/2")
    said = printed("stats", "merge", *shards[::-1], "--out", tmp_path / "merged")
    assert f"{whole.tokens['fr']:,}" in said
    merged = ActivationStats.load(tmp_path / "merged")
    for name in ("positive", "max", "p10", "median", "p90"):
        np.testing.assert_array_equal(merged.get("mlp.act", name), whole.get("mlp.act", name))
    assert not whole.samples
    assert "--force (force=True) to write over it" in refused(
        *typed(model, tmp_path / "whole", texts, *options, "--shard", "1/2")
    )
    recording(model, tmp_path / "whole", texts, *options, "--force")
    printed("stats", "merge", *shards, "--keep", "positive", "--out", tmp_path / "counts")
    assert ActivationStats.load(tmp_path / "counts").names("mlp.act") == ("positive",)
    assert "share tokens" in refused(
        "stats", "merge", shards[0], shards[0], "--out", tmp_path / "twice"
    )


def test_an_interrupted_command_says_how_to_go_on(model, texts, tmp_path, monkeypatch, ctrl_c):
    from lsn_eval.recording import language_recording

    run_batch = language_recording.LanguageRecording.run_batch

    def press(self, *arguments: Any) -> None:
        run_batch(self, *arguments)
        if self.language == "fr":
            os.kill(os.getpid(), signal.SIGINT)

    options = ["--length", 16, "--batch-size", 4]
    given: tuple[Any, ...] = (model, tmp_path / "a", texts, *options)
    with monkeypatch.context() as patch:
        patch.setattr(language_recording.LanguageRecording, "run_batch", press)
        assert "--resume" in printed(*typed(*given), status=130)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert unfinished_folder(tmp_path / "a").is_dir()
    assert "--resume" in refused(*typed(*given))
    assert "length was 16 and is now 32" in refused(*typed(*given, "--resume", "--length", 32))
    resumed = recording(*given, "--resume")
    assert resumed.digest == recording(model, tmp_path / "whole", texts, *options).digest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no texts were given"),
        (["--texts", "german.txt"], "LANG=PATH was expected"),
        (["--texts", "de=nowhere.txt"], "no file, no folder"),
        (["--texts", "de={de}", "--texts", "de={fr}"], "names de twice"),
        (["--texts", "de={de}", "--dataset", "x", "--languages", "de"], "give it once"),
        (["--dataset", "x"], "go together"),
        (["--texts", "de={de}", "--tokens", "many"], "500K or 10M"),
        (["--texts", "de={de}", "--tokens", "9" * 400], "500K or 10M"),
        (["--texts", "de={de}", "--shard", "1"], "i/n was expected"),
        (["--texts", "de={de}", "--shard", "1/" + "9" * 99], "i/n was expected"),
        (["--texts", "de={de}", "--batch-size", "big"], "auto or a number"),
        (["--texts", "de={de}", "--statistics", "mean"], "all or counts"),
        (["--texts", "de={de}", "--dtype", "int8"], "bfloat16, float16"),
        (["--texts", "de={de}", "--length", "900"], "beyond the 64 positions"),
        (["--texts", "de={de}", "--texts", "fr={de}"], "recorded from the same texts"),
        (["--texts", "de={de}", "--model", "/no/such/model"], "cannot be loaded"),
        (
            ["--texts", "de={de}", "--device", "abacus"],
            "device is 'abacus', and PyTorch finds none",
        ),
        (["--texts", "de={de}", "--device", "cuda:9"], "device is 'cuda:9', and PyTorch finds"),
        (["--texts", "de={de}", "--model", "/no/such/model", "--out", "/no/such/a"], "create it"),
    ],
)
def test_what_cannot_be_recorded(model, texts, tmp_path, arguments, message):
    """And a dry run ends in the same error."""
    filled = [argument.format(**texts) for argument in arguments]
    for dry in (["--dry-run"], []):
        assert message in refused(*typed(model, tmp_path / "a", {}, "--length", 16, *filled, *dry))
        assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--hookpoint", "linear"],
        ["--statistics", "counts", "--own-p90", "--tokens", "600"],
        ["--one-text-per-row", "--per-text", "--keep-sample"],
        ["--shard", "1/2", "--sample-tokens", 50],
    ],
)
def test_a_dry_run_writes_nothing_and_says_what_it_would_take(model, texts, tmp_path, options):
    out = tmp_path / "a"
    more = ["--length", 16, "--batch-size", 4, *options]
    before = sorted(tmp_path.iterdir())
    said = printed(*typed(model, out, texts, *more, "--dry-run", "--json"))
    said = json.loads(said[said.index("{\n") :])  # behind what is on the screen
    shown = printed(*typed(model, out, texts, *more, "--dry-run"))
    assert sorted(tmp_path.iterdir()) == before
    stats = recording(model, out, texts, *more)
    assert said["model"] == stats.model.to_json()
    share = 2 if "--shard" in options else 1
    for language, path in texts.items():
        of, corpus = said["texts"][language], stats.provenance["corpora"][language][0]
        assert (of["source"], of["bytes"]) == (str(path), path.stat().st_size)
        whole = {name: of[name] // share for name in ("tokens", "rows")}
        assert whole["tokens"] == pytest.approx(corpus["tokens"], abs=64)
        assert whole["rows"] == pytest.approx(corpus["rows"], abs=4)
        assert of["documents"] == pytest.approx(corpus["documents"], abs=1)
        assert f"{of['tokens']:,}" in shown
    assert said["measured_rows"] == 8
    assert "measured on 8 rows" in shown
    tokens = sum(of["tokens"] for of in said["texts"].values())
    passes = 3 if "--own-p90" in options else 1
    assert said["seconds"] == pytest.approx(passes * tokens / share / said["tokens_per_second"])
    header = int.from_bytes(out.read_bytes()[:8], "little") + 8
    size = out.stat().st_size - header
    if "--keep-sample" in options:  # which a small corpus does not fill
        assert said["file_bytes"] > size
    else:
        assert said["file_bytes"] == pytest.approx(size, rel=0.01)
    assert "--force (force=True) to write over it" in refused(
        *typed(model, out, texts, *more, "--dry-run")
    )
    printed(*typed(model, out, texts, *more, "--dry-run", "--force"))
    unfinished_folder(out).mkdir()
    (unfinished_folder(out) / "arguments.json").write_text("{}")
    assert "an unfinished recording is in" in refused(
        *typed(model, out, texts, *more, "--dry-run", "--force")
    )


def test_a_dry_run_of_texts_without_a_size(tokenizer):
    stream = {"de": (f"Satz {n}. " for n in range(500)), "fr": ["une phrase"] * 200}
    said = estimate_recording(tiny_model("llama"), tokenizer, stream, length=16, batch_size=2)
    assert (said.seconds, said.texts["de"].tokens) == (None, None)
    assert said.texts["fr"].tokens == 2000


@needs_reference
def test_published_counts(tmp_path):
    files = [REFERENCE / "activations" / f"{name}.llama-7b.pt" for name in ("en", "de", "tr")]
    options = ["--languages", "en, de,tr", "--model", "Llama-2-7b", "--out", tmp_path / "a"]
    said = printed("stats", "import", *files, *options)
    assert "6,287,360" in said
    assert "de.llama-7b.pt" in said
    stats = ActivationStats.load(tmp_path / "a")
    assert stats.languages == ("en", "de", "tr")
    assert stats.model.name == "Llama-2-7b"


def test_numbers():
    assert [parse_tokens(text) for text in ("7", "1.5k", "10M", "2_000", "1B", "1,000")] == [
        7, 1500, 10**7, 2000, 10**9, 1000,
    ]  # fmt: skip
    assert parse_shard("2/8") == (2, 8)
    assert parse_shard(None) == (1, 1)


def test_counts_above_the_own_90th_percentile_are_recorded_on_request(model, texts, tmp_path):
    options = ["--tokens", "2k", "--batch-size", 2]
    plain = recording(model, tmp_path / "plain", texts, *options)
    more = recording(model, tmp_path / "more", texts, *options, "--own-p90")
    above = more.get("mlp.act", "above_threshold")
    shares = above / np.array([more.tokens[language] for language in more.languages])[:, None, None]
    assert 0.03 < shares.mean() < 0.2
    assert shares.std() > 0.001
    assert np.array_equal(more.get("mlp.act", "positive"), plain.get("mlp.act", "positive"))
    refused("stats", "merge", *[tmp_path / "more"] * 2, "--out", tmp_path / "sum")
    assert "--own-p90 needs all texts in one process" in refused(
        *typed(model, tmp_path / "shard", texts, "--own-p90", "--shard", "1/2")
    )
