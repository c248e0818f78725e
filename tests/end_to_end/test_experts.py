"""A mixture of experts from texts to numbers, by the commands that users type."""

from __future__ import annotations

import json

import lm_eval
import pytest
from builders.commands import printed
from builders.mixtures import tiny_mixture
from builders.plain_recording import TEXTS

from lsn_eval import NeuronMask
from lsn_eval.harness import plugin
from lsn_eval.results import read_results

TASKS = ["lsn_demo_ppl_de", "lsn_demo_langacc_de"]


@pytest.mark.slow
def test_from_texts_to_numbers(tmp_path, tokenizer):
    folder, stats, mask = (tmp_path / name for name in ("model", "s.safetensors", "m.safetensors"))
    tiny_mixture("qwen2_moe").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    texts = []
    for language, lines in TEXTS.items():
        (tmp_path / f"{language}.txt").write_text("\n".join(lines * 9), encoding="utf-8")
        texts += ["--texts", f"{language}={tmp_path / language}.txt"]
    said = printed("record", "--model", folder, *texts, "--length", 32, "--out", stats)
    assert "de: fewer than 1,000 tokens reached" in said
    assert "of 12 experts" in said
    assert "experts     fr: fewer than 1,000 tokens reached" in printed("stats", "info", stats)
    described = json.loads(printed("stats", "info", stats, "--json"))
    assert sum(described["routing"]["de"].values()) == pytest.approx(4, rel=1e-6)
    options = "--top-rate", 0.1, "--filter-rate", 0.5, "--activation-bar-rate", 0.5
    found = printed("identify", stats, *options, "--min-tokens", 1400, "--out", mask)
    assert "experts with" in found
    assert "fewer than 1,400 tokens of some language reached them (--min-tokens)" in found
    loaded = NeuronMask.load(mask)
    left_out = loaded.method.parameters["left_out"]["experts"]
    assert 0 < left_out < 12
    places = {layer for _, layer in loaded.places("de")}
    assert any(layer.startswith(("0.", "2.")) and layer[2:].isdigit() for layer in places)
    lines = [line.split() for line in printed("mask", "info", mask).splitlines()]
    shown = {line[0]: int(line[1]) for line in lines if line and line[0] in ("0.*", "2.*")}
    assert shown == {
        f"{layer}.*": sum(
            loaded.indices("de", "mlp.act", f"{layer}.{number}").size for number in range(6)
        )
        for layer in (0, 2)
    }

    def evaluated(kind: str, condition: str = "") -> dict:
        given = f"pretrained={folder}" + (
            f",mask={mask},condition={condition}" if condition else ""
        )
        with plugin.asked_for(TASKS):
            return lm_eval.simple_evaluate(
                kind, given, tasks=TASKS, limit=3, batch_size=2, device="cpu", bootstrap_iters=0,
                gen_kwargs="max_gen_toks=4",
            )  # fmt: skip

    runs = {name: evaluated("lsn_hf", name) for name in ("none", "de:mean", "random1-de:mean")}
    numbers = {
        name: run["results"]["lsn_demo_ppl_de"]["byte_perplexity,none"]
        for name, run in runs.items()
    }
    assert numbers["none"] == evaluated("hf")["results"]["lsn_demo_ppl_de"]["byte_perplexity,none"]
    assert len(set(numbers.values())) == 3
    record = runs["de:mean"]["config"]["lsn"]
    assert set(record["neurons_per_layer"]["mlp.act"]) == places
    seen = record["seen"]["hookpoints"]["mlp.act"]
    assert seen["neurons"] == loaded.count("de")
    assert 0 < seen["values_changed"] == seen["values_compared"]

    done = tmp_path / "sweep"
    printed(
        "sweep", "--model", folder, "--mask", mask, "--conditions", "none,de:mean,de:zero", "--out",
        done, "--tasks", ",".join(TASKS), "--limit", 2, "--device", "cpu",
    )  # fmt: skip
    values = {
        row.condition: row.value for row in read_results(done) if row.task == "lsn_demo_ppl_de"
    }
    assert len(set(values.values())) == 3
