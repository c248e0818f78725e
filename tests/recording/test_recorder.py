"""Recording against a plain loop, on every family; padding, precision, provenance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders.architectures import tiny_model
from builders.masked_models import KINDS, masked_model, masked_tokenizer
from builders.plain_recording import TEXTS, assert_equals_loop, packed, plain_loop
from torch import nn

from lsn_eval.errors import LsnError, RecordingError
from lsn_eval.identification import identify
from lsn_eval.masks.names import quantile_share
from lsn_eval.models.loading import load_model
from lsn_eval.models.resolving import resolve
from lsn_eval.recording import count_above_thresholds, record
from lsn_eval.recording.recorded_model import RecordedModel
from lsn_eval.recording.texts import Document, is_held_out
from lsn_eval.statistics import ActivationStats
from lsn_eval.statistics.quantiles import QUANTILES

HOOKPOINTS = ["mlp.act", "mlp.down_in", "attn.k", "attn.q", "mlp.down"]


def recorded_as_by_a_loop(model: Any, hookpoints: list[str], tokenizer: Any) -> ActivationStats:
    chosen = {"hookpoints": hookpoints, "quantiles": ("p25", "p95")}
    stats = record(model, tokenizer, TEXTS, length=32, batch_size=4, **chosen)
    assert {"p10", "p25", "median", "p90", "p95"} <= set(stats.names(hookpoints[0]))
    assert set(stats.hookpoints) == set(hookpoints)
    for language, texts in TEXTS.items():
        loop = plain_loop(model, hookpoints, packed(tokenizer, texts, 32))
        assert_equals_loop(stats, language, loop, 2e-5)
    return stats


def test_equals_a_plain_loop_on_every_family(family: str, tokenizer) -> None:
    recorded_as_by_a_loop(tiny_model(family), HOOKPOINTS, tokenizer)


@pytest.mark.parametrize(
    ("name", "hookpoints"),
    [
        ("opt", HOOKPOINTS),  # its MLP sees [token, neuron]
        ("xlm-roberta", HOOKPOINTS),
        ("t5:gated", HOOKPOINTS),
        ("bart", ["cross.q", "cross.v"]),  # in the decoder alone
    ],
)
@pytest.mark.slow
def test_equals_a_plain_loop_where_there_are_other_stacks(name, hookpoints, tokenizer) -> None:
    model = tiny_model(name)
    stats = recorded_as_by_a_loop(model, hookpoints, tokenizer)
    found = resolve(model)
    assert stats.model.layers == found.layers_with(hookpoints)
    mask = identify(stats, method="random", hookpoint=hookpoints[0], top_rate=0.1)
    assert mask.check_model(found) == ()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("model_type", ["llama", "gpt2"])
def test_equals_a_plain_loop_in_half_precision(model_type: str, dtype, tokenizer) -> None:
    model = tiny_model(model_type, dtype)
    stats = record(model, tokenizer, TEXTS, length=32, batch_size=1)
    loop = plain_loop(model, ["mlp.act"], packed(tokenizer, TEXTS["de"], 32))
    assert stats.provenance["dtype"] == str(dtype).removeprefix("torch.")
    assert_equals_loop(stats, "de", loop, 1e-6)  # sums are in higher precision


@pytest.mark.slow
def test_counts_are_exact_and_alone(tokenizer) -> None:
    """And the head does not run, as logits are not needed."""
    model = tiny_model("llama")
    head = model.lm_head
    model.lm_head = None
    stats = record(model, tokenizer, TEXTS, length=32, batch_size=1, statistics="counts")
    model.lm_head = head
    assert stats.names("mlp.act") == ("positive",)
    loop = plain_loop(model, ["mlp.act"], packed(tokenizer, TEXTS["fr"], 32))
    np.testing.assert_array_equal(stats.get("mlp.act", "positive")[1], (loop["mlp.act"] > 0).sum(0))
    everything = record(model, tokenizer, TEXTS, length=32, batch_size=1)
    np.testing.assert_array_equal(
        everything.get("mlp.act", "positive"), stats.get("mlp.act", "positive")
    )


@pytest.mark.parametrize(
    ("family", "linear"),
    [
        ("llama", ["mlp.gate", "mlp.up", "mlp.down", "attn.q", "attn.k", "attn.v", "attn.o"]),
        ("gpt2", ["mlp.up", "mlp.down", "attn.q", "attn.k", "attn.v", "attn.o"]),
    ],
)
@pytest.mark.slow
def test_groups_of_hookpoints_are_what_the_model_has(family, linear, tokenizer) -> None:
    options: dict[str, Any] = {"length": 16, "pack": False, "per_text": True, "batch_size": 4}
    stats = record(tiny_model(family), tokenizer, TEXTS, hookpoints="linear", **options)
    assert list(stats.hookpoints) == linear
    asked = record(tiny_model(family), tokenizer, TEXTS, hookpoints=["attn", "mlp"], **options)
    assert asked.digest == stats.digest
    attention = [at for at in linear if at.startswith("attn.")]
    for given, looked_at in ((None, linear), ("linear", linear), (["attn"], attention)):
        mask = identify(stats, "average_precision", hookpoint=given, neurons=4)
        assert list(mask.method.parameters["hookpoint"]) == looked_at
        assert set(mask.model.widths) == set(looked_at)


def test_quantiles_of_more_tokens_than_the_sample(tokenizer) -> None:
    model = tiny_model("llama")
    stats = record(model, tokenizer, TEXTS, length=16, batch_size=4, sample_tokens=200)
    values = plain_loop(model, ["mlp.act"], packed(tokenizer, TEXTS["fr"], 16))["mlp.act"]
    assert len(values) > 600
    for name in QUANTILES:
        share = quantile_share(name)
        ranks = (values <= stats.get("mlp.act", name)[1]).mean(0)
        assert np.abs(ranks - share).max() < 5 * np.sqrt(share * (1 - share) / 200)
        assert np.abs(ranks - share).mean() < np.sqrt(share * (1 - share) / 200)


# Texts in rows of their own ------------------------------------------------------------------


@pytest.mark.parametrize("model_type", ["llama", "bloom", "gpt2", "gemma2"])
@pytest.mark.slow
def test_padding_does_not_leak(model_type: str, tokenizer) -> None:
    model = tiny_model(model_type)
    texts = {"de": [text[: 3 + 5 * (n % 5)] for n, text in enumerate(TEXTS["de"])]}
    options: dict[str, Any] = {
        "pack": False, "per_text": True, "length": 64, "hookpoints": ["mlp.act", "attn.v"],
    }  # fmt: skip
    one, many = (record(model, tokenizer, texts, batch_size=size, **options) for size in (1, 16))
    assert one.tokens == many.tokens == {"de": sum(len(text) for text in texts["de"])}
    rows = [tokenizer(text)["input_ids"] for text in texts["de"]]
    for hookpoint in options["hookpoints"]:
        per_text = [plain_loop(model, [hookpoint], [row])[hookpoint].mean(0) for row in rows]
        for layer in range(2):
            expected = np.stack(per_text)[:, layer]
            for stats in (one, many):
                found = stats.responses(hookpoint, layer)
                assert found.dtype == np.float16
                np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
        for name in ("mean", "variance", "max"):
            np.testing.assert_allclose(
                one.get(hookpoint, name), many.get(hookpoint, name), rtol=2e-5, atol=2e-6
            )
    values = plain_loop(model, ["mlp.act"], rows)
    assert_equals_loop(many, "de", values, 2e-5)


def test_special_tokens(tokenizer) -> None:
    """A tokenizer that adds a beginning-of-sequence token, and one that does not."""
    import copy

    from tokenizers.processors import TemplateProcessing

    with_bos = copy.deepcopy(tokenizer)
    with_bos._tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 256)]
    )
    assert with_bos("a")["input_ids"][0] == 256
    model = tiny_model("llama")
    texts = {"de": ["abcd", "efghij"]}
    kept: dict[str, Any] = {"length": 64, "batch_size": 2, "pack": False}
    plain = record(model, tokenizer, texts, **kept)
    assert plain.tokens["de"] == 10
    counted = record(model, with_bos, texts, **kept)
    assert counted.tokens["de"] == 12
    skipped = record(model, with_bos, texts, skip_special_tokens=True, per_text=True, **kept)
    assert skipped.tokens["de"] == 10
    # The model saw the token that was not counted.
    rows = [[256, *tokenizer(text)["input_ids"]] for text in texts["de"]]
    loop = [plain_loop(model, ["mlp.act"], [row])["mlp.act"][1:] for row in rows]
    assert_equals_loop(skipped, "de", {"mlp.act": np.concatenate(loop)}, 2e-5)
    np.testing.assert_allclose(
        skipped.responses("mlp.act", 0)[1], loop[1].mean(0)[0], rtol=1e-3, atol=1e-4
    )
    # A text of special tokens alone has no response.
    ends = {"de": ["ab", "<|endoftext|>", "cd"]}
    stats = record(model, tokenizer, ends, skip_special_tokens=True, per_text=True, **kept)
    assert stats.texts is not None
    assert stats.texts.index.tolist() == [0, 2]
    assert stats.tokens == {"de": 4}
    # Packed, no special token stands between texts unless it is asked for.
    packs: dict[str, Any] = {"length": 5, "batch_size": 2}
    without = record(model, tokenizer, texts, **packs)
    assert record(model, with_bos, texts, **packs).digest == without.digest
    asked = record(model, with_bos, texts, special_tokens=True, **packs)
    assert asked.tokens["de"] == 10
    assert asked.digest != without.digest


def test_token_ids_need_no_tokenizer() -> None:
    ids = torch.randint(0, 256, (100,), generator=torch.Generator().manual_seed(0))
    model = tiny_model("llama")
    stats = record(model, None, {"de": ids}, length=32, batch_size=2)
    loop = plain_loop(model, ["mlp.act"], ids[:96].reshape(3, 32).tolist())
    assert_equals_loop(stats, "de", loop, 2e-5)
    with pytest.raises(RecordingError, match="token 999 is beyond the 257"):
        record(model, None, {"de": ids + 999 - ids}, length=32)


def test_held_out_documents(tokenizer) -> None:
    documents = [Document(f"Satz {n}. ", f"id {n}") for n in range(60)]
    recorded = [document.text for document in documents if not is_held_out(document.identity)]
    model = tiny_model("llama")
    options: dict[str, Any] = {"length": 16, "batch_size": 4}
    split = record(model, tokenizer, {"de": documents}, hold_out=True, **options)
    assert split.digest == record(model, tokenizer, {"de": recorded}, **options).digest
    whole = record(model, tokenizer, {"de": documents}, **options)
    assert whole.tokens["de"] > split.tokens["de"]
    assert split.provenance["corpora"]["de"][0]["held_out"] is True


# The model -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_model_is_as_it_was(family: str, tokenizer) -> None:
    model = tiny_model(family).train()
    ids = torch.tensor([[1, 2, 3, 4]])
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = model.eval()(ids).logits
    model.train()

    def broken() -> Iterator[str]:
        yield from ["some text "] * 300
        raise OSError("the disk is gone")

    record(model, tokenizer, TEXTS, length=16, batch_size=4)
    with pytest.raises(OSError, match="the disk is gone"):
        record(model, tokenizer, {"de": broken()}, length=16, batch_size=1)
    assert model.training
    assert all(module.training for module in model.modules())
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])
    assert torch.equal(model.eval()(ids).logits, before)


class _Bypass(nn.Module):
    """An MLP that goes round its activation module, as a fused kernel does."""

    def __init__(self, mlp: nn.Module) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = mlp.gate_proj, mlp.up_proj, mlp.down_proj
        self.act_fn = mlp.act_fn

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        gate = torch.nn.functional.silu(self.gate_proj(hidden))
        return self.down_proj(gate * self.up_proj(hidden))


def test_a_site_that_never_fires_is_an_error(tokenizer) -> None:
    model = tiny_model("llama")
    model.model.layers[1].mlp = _Bypass(model.model.layers[1].mlp)
    with pytest.raises(RecordingError, match="mlp.act of layer 1.*fired 0 times"):
        record(model, tokenizer, TEXTS, length=16, batch_size=4)
    record(model, tokenizer, TEXTS, length=16, batch_size=4, hookpoints=["mlp.down_in"])


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("statistics", ["all", "counts"])
def test_values_that_are_not_finite_are_an_error(tokenizer, statistics: str, value: str) -> None:
    model = tiny_model("llama")
    model.model.layers[1].mlp.gate_proj.register_forward_hook(
        lambda module, args, output: output.index_fill(-1, torch.tensor([3]), float(value))
    )
    at = "mlp.gate"
    with pytest.raises(RecordingError, match=f"{at} of layer 1.*no finite numbers.*texts of de"):
        record(
            model, tokenizer, TEXTS, length=16, batch_size=4, statistics=statistics, hookpoints=at
        )


def test_a_stop_for_good_leaves_nothing_in_the_way(tmp_path: Path, tokenizer) -> None:
    """Not where states were saved: those can be gone on from once the reason is mended."""
    out = tmp_path / "stats"
    options: dict[str, Any] = {"out": out, "length": 8, "batch_size": 2}
    model = tiny_model("llama")
    for texts in ({"de": torch.arange(99) - 9}, {"de": [*TEXTS["de"], "half \ud800"]}):
        with pytest.raises(RecordingError, match="token -9|half a character"):
            record(model, tokenizer, texts, **options)
        assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_finished_recording_is_replaced_on_request_alone(tmp_path: Path, tokenizer) -> None:
    out = tmp_path / "stats"
    model = tiny_model("llama")
    options: dict[str, Any] = {"out": out, "length": 16, "batch_size": 4}
    first = record(model, tokenizer, TEXTS, **options)
    with pytest.raises(RecordingError, match="would be lost.*--force"):
        record(model, tokenizer, {"de": TEXTS["fr"]}, **options)
    assert ActivationStats.load(out).digest == first.digest
    assert not (tmp_path / "stats.unfinished").exists()
    record(model, tokenizer, {"de": TEXTS["fr"]}, force=True, **options)
    assert ActivationStats.load(out).languages == ("de",)


@pytest.mark.parametrize("options", [{}, {"statistics": "counts", "pack": False, "per_text": True}])
def test_a_full_disk_is_said(tmp_path: Path, options: dict[str, Any]) -> None:
    """The largest file that the system allows stands for a full disk."""
    resource = pytest.importorskip("resource")
    ids = torch.randint(0, 256, (6_000, 1), generator=torch.Generator().manual_seed(0))
    options |= {"length": 1, "batch_size": 64, "out": tmp_path / "stats"}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, limits[1]))
        with pytest.raises(RecordingError, match="has no room for what is .*File too large"):
            record(tiny_model("llama"), None, {"de": ids}, **options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hookpoints": ["mlp.gelu"]}, "hookpoint 'mlp.gelu' does not exist"),
        ({"hookpoints": []}, "no hookpoint"),
        ({"hookpoints": ["mlp", "linears"]}, "hookpoint 'linears' does not exist"),
        ({"length": 65}, "beyond the 64 positions"),
        ({"per_text": True}, "--one-text-per-row"),
        ({"shard": (3, 2), "batch_size": 2}, "shard 3/2"),
        ({"shard": (1, 2)}, "the same --batch-size"),
        ({"batch_size": 0}, "batch size 0"),
        ({"statistics": "mean"}, "all or counts"),
        ({"tokens": 5}, "do not fill one row"),
        ({"tokens": "10M"}, "tokens '10M': a number"),
        ({"tokns": 5}, "tokns is no setting .* sample_tokens"),
        ({"sample_tokens": 0}, "1 or more"),
        ({"resume": True}, "resume needs the file"),
        ({"out": "/nowhere/at/all/stats"}, "does not exist"),
        ({"texts": {}}, "no texts were given"),
        ({"texts": ["a"]}, "no texts were given"),
        ({"texts": {"de": "no/such.txt"}}, "is no file, no folder and no glob"),
        ({"texts": {"de": "Ein Satz. " * 5000}}, "is no file, no folder and no glob"),
        ({"model": "no/such/model"}, "cannot be loaded"),
        ({"texts": {"none": ["a"]}}, "a name such as"),
        ({"texts": {"a/b": ["a"]}}, "a name such as"),
        ({"texts": {"random1-de": ["a"]}}, "the name of a control, not of a language"),
        ({"texts": {"de": []}}, "texts of de are empty"),
        ({"texts": {"de": TEXTS["de"], "fr": TEXTS["de"]}}, "recorded from the same texts"),
        ({"tokenizer": None}, "texts need a tokenizer"),
    ],
)
def test_what_cannot_be_recorded(options: dict[str, Any], message: str, tokenizer) -> None:
    usual = {
        "model": tiny_model("llama"), "tokenizer": tokenizer, "texts": TEXTS, "length": 16
    }  # fmt: skip
    with pytest.raises(LsnError, match=message):
        record(**(usual | options))


@pytest.mark.slow
def test_names_and_paths_are_the_same_as_objects(tmp_path: Path) -> None:
    """A model by name and a file, a glob and a list equal what they stand for, also to the further
    passes for thresholds."""
    model, words = load_model("lsn_demo")
    lines = {language: [f"{text}\n" for text in texts] for language, texts in TEXTS.items()}
    for language, texts in lines.items():
        (tmp_path / f"{language}.txt").write_text("".join(texts))
    paths = {"de": tmp_path / "de.txt", "fr": str(tmp_path / "f*.txt")}
    options = {"length": 16, "batch_size": 4}
    expected = record(model, words, lines, **options)
    assert record("lsn_demo", texts={"de": paths["de"], "fr": lines["fr"]}, **options).digest == (
        expected.digest
    )
    stats = record("lsn_demo", "lsn_demo", texts=paths, **options)
    assert stats.digest == expected.digest
    assert stats.model.name == "lsn_demo"
    above = [count_above_thresholds(stats, model, words, texts) for texts in (paths, lines)]
    assert above[0].digest == above[1].digest


def test_tokens_are_limited(tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model("llama")
    stats = record(model, tokenizer, TEXTS, length=16, batch_size=4, tokens=100)
    assert stats.tokens == {"de": 96, "fr": 96}
    assert not caplog.records
    record(model, tokenizer, TEXTS, length=16, batch_size=4, tokens=600)
    assert "the texts of de have 496 tokens, fewer than the 600 asked for" in caplog.text


def test_what_is_written_names_where_it_is_from(tmp_path: Path, tokenizer) -> None:
    out = tmp_path / "stats"
    model = tiny_model("llama")
    stats = record(model, tokenizer, TEXTS, out=out, length=16, batch_size=4, command="a b")
    assert ActivationStats.load(out).digest == stats.digest
    provenance = stats.provenance
    assert provenance["command"] == "a b"
    assert set(provenance["versions"]) == {"lsn_eval", "torch", "transformers", "tokenizers"}
    assert len(provenance["weights_fingerprint"]) == 64
    [corpus] = provenance["corpora"]["de"]
    assert corpus["documents"] == len(corpus["document_sketch"]) == 23
    assert corpus["tokens_asked"] is None
    assert corpus["tokens"] == stats.tokens["de"] == corpus["rows"] * 16
    assert stats.model.type == "llama"
    json.dumps(dict(provenance))


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_as_long_as_the_model_reads(kind):
    model = RecordedModel(masked_model(kind, masked_tokenizer(kind), positions=9), ["mlp"])
    assert model.length(None) == 9
    model.run(torch.full((1, 9), 5), None)
