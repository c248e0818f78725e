"""`lsn_hf` beside lm-eval's `hf`, on a tokenizer that adds no BOS and one that does."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
import sqlite3
from types import SimpleNamespace

import lm_eval
import numpy as np
import pytest
import torch
from builders.architectures import tiny_model
from builders.masks import tiny_mask
from builders.requests import KINDS, TEXTS, answers, requests
from datasets import Dataset
from lm_eval.api.instance import Instance
from lm_eval.api.model import CachingLM
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from tokenizers import processors

from lsn_eval import NeuronMask, identify, intervene, record
from lsn_eval.errors import ConditionError, InterventionError, LsnError, MaskError
from lsn_eval.harness import lsn_hf, plugin
from lsn_eval.harness.lsn_hf import LsnHF


def save_llama(folder, tokenizer, bos: bool) -> str:
    if bos:
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.bos_token = "<|endoftext|>"
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 256)]
        )
    tiny_model("llama").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, tokenizer) -> str:
    return save_llama(tmp_path_factory.mktemp("llama"), tokenizer, bos=False)


@pytest.fixture(scope="module", params=[False, True], ids=["no BOS", "BOS"])
def either(request, tmp_path_factory, tokenizer) -> str:
    """A checkpoint, where it matters what begins a text."""
    return save_llama(tmp_path_factory.mktemp("llama"), tokenizer, request.param)


@pytest.fixture(scope="module")
def mask_file(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("mask") / "tiny.safetensors"
    tiny_mask(tiny_model("llama")).save(path)
    return str(path)


def load(checkpoint, mask=None, condition=None, **kwargs) -> LsnHF:
    options = {"device": "cpu", "batch_size": 3} | kwargs
    return LsnHF(checkpoint, mask=mask, condition=condition, **options)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.slow
def test_none_and_an_empty_mask_give_the_numbers_of_hf_bit_for_bit(
    either, mask_file, tmp_path, batch_size
):
    """Batches of more than one are hf's own but for rolling windows, which are sorted first."""
    kinds = KINDS if batch_size == 1 else [kind for kind in KINDS if "rolling" not in kind]

    def given(*loaded):
        return answers(load(either, *loaded, batch_size=batch_size), kinds)

    expected = answers(HFLM(either, device="cpu", batch_size=batch_size), kinds)
    empty = NeuronMask({"de": {}}, model=tiny_mask(tiny_model("llama")).model)
    empty.save(tmp_path / "empty")
    assert given() == expected
    assert given(mask_file, "none") == expected
    assert given(mask_file, None) == expected
    assert given(str(tmp_path / "empty"), "de:zero") == expected
    assert given(mask_file, "de:4") != expected


@pytest.mark.slow
def test_rolling_windows_of_a_batch_are_equally_long(either, monkeypatch):
    """The same numbers as hf's, of half as many tokens."""
    lengths = np.random.RandomState(0).permutation(np.arange(2, 66).repeat(3))
    texts = ["".join(chr(97 + (n + i) % 26) for i in range(n)) for n in [*lengths, 150, 200]]
    asked = [Instance("loglikelihood_rolling", {}, (text,), n) for n, text in enumerate(texts)]
    computed: list[int] = []
    call = HFLM._model_call
    monkeypatch.setattr(
        HFLM, "_model_call", lambda self, ids, **k: computed.append(ids.numel()) or call(self, ids)
    )
    expected = HFLM(either, device="cpu", batch_size=16).loglikelihood_rolling(asked)
    usual = sum(computed)
    computed.clear()
    assert load(either, batch_size=16).loglikelihood_rolling(asked) == pytest.approx(expected)
    padded = sum(computed)
    computed.clear()
    HFLM(either, device="cpu", batch_size=1).loglikelihood_rolling(asked)
    assert padded / sum(computed) < 1.05 < 1.5 < usual / sum(computed)


@pytest.mark.parametrize("condition", ["none", "de:zero", "fr:mean/random1-de:-2"])
def test_rolling_loglikelihood_equals_a_loop_of_our_own(either, mask_file, condition):
    lm = load(either, mask_file, condition, batch_size=2)
    got = lm.loglikelihood_rolling(requests("loglikelihood_rolling"))
    model = tiny_model("llama")
    for text, loglikelihood in zip(TEXTS, got, strict=True):
        tokens = lm.tokenizer.encode(text * 3)
        total = 0.0
        # Windows of 64 that each start from one token already seen, the first from end-of-text.
        for start in range(0, len(tokens), 64):
            window = tokens[start : start + 64]
            context = [256] if start == 0 else tokens[start - 1 : start]
            ids = torch.tensor([context + window])
            with torch.no_grad(), intervene(model, NeuronMask.load(mask_file), condition):
                logprobs = model(ids[:, :-1]).logits.log_softmax(-1)
            total += logprobs[0].gather(1, ids[0, 1:, None]).sum().item()
        if len(tokens) <= 64:  # lm-eval gives the last of several windows a longer context
            assert loglikelihood == pytest.approx(total, rel=1e-5)


def test_numbers_do_not_depend_on_the_batch_size(either, mask_file):
    one = answers(load(either, mask_file, "de:zero/fr:1", batch_size=1))
    four = answers(load(either, mask_file, "de:zero/fr:1", batch_size=4))
    assert one["generate_until"] == four["generate_until"]
    assert one["loglikelihood_rolling"] == pytest.approx(four["loglikelihood_rolling"], rel=1e-5)
    for (left, _), (right, _) in zip(one["loglikelihood"], four["loglikelihood"], strict=True):
        assert left == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize("positions", ["prompt", "generated", "last"])
@pytest.mark.slow
def test_positions_are_those_of_generation_and_log_likelihoods_are_refused(
    checkpoint, mask_file, positions
):
    lm, four = (
        load(checkpoint, mask_file, f"de:4@{positions}/fr:-4@{positions}", batch_size=size)
        for size in (1, "auto")
    )
    assert answers(lm, ["generate_until"]) == answers(four, ["generate_until"])
    everywhere = load(checkpoint, mask_file, "de:4/fr:-4")
    assert answers(everywhere, ["generate_until"]) != answers(lm, ["generate_until"])
    record = lm.get_model_info()["lsn"]
    assert f"condition:de:4@{positions}/fr:-4@{positions}|" in record["signature"]
    for kind in ("loglikelihood", "loglikelihood_rolling"):
        with pytest.raises(
            InterventionError, match="log-likelihoods, does not say where its prompt"
        ):
            answers(lm, [kind])


def test_every_kind_of_request_runs_under_the_condition(either, mask_file):
    plain, changed = load(either), load(either, mask_file, "de:4/fr:-4")
    for kind in KINDS:
        before = changed.get_model_info()["lsn"]["seen"]["hookpoints"]["mlp.act"]
        assert answers(plain, [kind]) != answers(changed, [kind])
        after = changed.get_model_info()["lsn"]["seen"]["hookpoints"]["mlp.act"]
        assert after["values_overwritten"] > before["values_overwritten"]


def test_the_record_says_what_was_done(checkpoint, mask_file):
    lm = load(checkpoint, mask_file, "vi:zero/de:0.5", dtype="bfloat16")
    answers(lm, ["loglikelihood"])
    info = lm.get_model_info()
    record = info["lsn"]
    json.dumps(record)
    mask = NeuronMask.load(mask_file)
    assert info["model_num_parameters"] > 0, "hf's own information is kept"
    assert record["condition"] == "vi:zero/de:0.5"
    assert record["mask"]["digest"] == mask.digest
    assert record["mask"]["languages"] == ["de", "fr", "vi"]
    layers = record["neurons_per_layer"]["mlp.act"]
    assert layers["0"] == 5
    assert 5 <= layers["1"] <= 7
    seen = record["seen"]["hookpoints"]["mlp.act"]
    assert seen["neurons"] == sum(layers.values())
    assert seen["values_overwritten"] > seen["values_changed"] * 0.99 > 0
    assert record["signature"] == (
        f"model:{checkpoint}|dtype:bfloat16|mask:sha256-{mask.digest[:12]}|method:unknown|"
        "condition:vi:zero/de:0.5|hookpoint:mlp.act|v0.1.0"
    )
    baseline = load(checkpoint, mask_file, None).get_model_info()["lsn"]
    assert baseline["signature"].endswith(
        "|dtype:float32|mask:none|method:none|condition:none|hookpoint:none|v0.1.0"
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ConditionError, "neither mask nor condition"),
        ({"condition": "de:zero"}, ConditionError, "without a mask"),
        ({"mask": ...}, ConditionError, r"several languages \(de, fr, vi\)"),
        ({"mask": ..., "condition": "de:nil"}, ConditionError, "nothing to write"),
        ({"mask": ..., "condition": "es:zero"}, ConditionError, "'es' .* languages are de, fr, vi"),
        ({"mask": ..., "condition": "de:max"}, ConditionError, "no 'max' for de"),
        ({"mask": "no/such/mask"}, MaskError, "neither a file nor a shipped mask"),
        ({"condition": "none"}, LsnError, "pretrained=/no/such/model cannot be loaded"),
        ({"condition": "none", "pretrained": None}, LsnError, "give pretrained=MODEL"),
    ],
)
def test_what_does_not_fit_is_said_before_the_model_is_loaded(mask_file, arguments, error, message):
    given = {name: mask_file if value is ... else value for name, value in arguments.items()}
    with pytest.raises(error, match=message):
        LsnHF(**{"pretrained": "/no/such/model", "device": "cpu", **given})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"no_such_argument": 1}, "with no_such_argument=1,.*unexpected keyword argument"),
        ({"load_in_8bit": True}, "with load_in_8bit=True.*name a checkpoint that was saved quant"),
        ({"quantization_config": "int8"}, "quantization_config=int8.*load the model in Python"),
        ({"autogptq": True}, "autogptq=True.*not installed"),
        ({"gptqmodel": True}, "gptqmodel=True.*not installed"),
        ({"gguf_file": "no.gguf"}, "gguf_file=no.gguf.*does not appear to have a file"),
        ({"device": "gpu"}, "device is 'gpu', and PyTorch finds none"),
        ({"subfolder": "nowhere"}, "subfolder=nowhere: there is no .*config.json"),
        ({"backend": "seq2seq"}, "with backend=seq2seq.*leave backend out"),
        ({"dtype": "float7"}, "with dtype=float7"),
        ({"token": "hf_" + "s" * 30, "load_in_4bit": True}, r"with token=\*\*\*,load_in_4bit=True"),
        ({"prefix_token_id": 300}, "prefix_token_id is 300, and this model has tokens 0 to 256"),
        ({"prefix_token_id": "5"}, "prefix_token_id is '5', and this model has tokens 0 to 256"),
    ],
)
def test_what_a_model_is_not_loaded_with_is_one_message(checkpoint, arguments, message):
    with pytest.raises(LsnError, match=f"(?s){message}") as raised:
        LsnHF(
            checkpoint, condition="none", **arguments | {"device": arguments.get("device", "cpu")}
        )
    assert "ssss" not in str(raised.value)
    assert len(str(raised.value)) < 1200


@pytest.mark.parametrize(
    ("method", "more", "package"),
    [
        ("gptq", {"bits": 4, "dataset": "c4"}, "GPTQ|gptqmodel|optimum"),
        ("awq", {"bits": 4, "group_size": 16}, "AWQ|gptqmodel|autoawq"),
        ("bitsandbytes", {"load_in_8bit": True}, "bitsandbytes"),
        ("hqq", {}, "hqq|HQQ"),
    ],
)
def test_a_quantised_checkpoint_without_its_package_is_one_message(
    checkpoint, tmp_path, method, more, package
):
    shutil.copytree(checkpoint, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text("utf-8"))
    config["quantization_config"] = {"quant_method": method, **more}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(LsnError, match=f"cannot be loaded.*({package})"):
        LsnHF(str(tmp_path / "model"), condition="none", device="cpu")


def test_the_search_for_a_batch_size_is_not_part_of_what_was_seen(checkpoint, mask_file):
    def seen(batch_size) -> dict:
        lm = load(checkpoint, mask_file, "de:2", batch_size=batch_size, max_batch_size=4)
        lm.loglikelihood_rolling(requests("loglikelihood_rolling"))
        lm.generate_until(requests("generate_until"))
        return lm.get_model_info()["lsn"]["seen"]["hookpoints"]["mlp.act"]

    assert seen("auto") == seen(4)


def test_a_signature_says_what_makes_another_model_of_one(checkpoint, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "inner")
    arguments = {"subfolder": "inner", "revision": "abc123"}
    name = LsnHF(str(tmp_path), condition="none", device="cpu", **arguments).get_model_info()
    assert name["lsn"]["model"]["name"] == f"{tmp_path}/inner@abc123"
    plain = load(checkpoint, revision="main")
    assert plain.get_model_info()["lsn"]["model"]["name"] == checkpoint
    # As transformers and peft leave them on a model in memory.
    plain.model.config.quantization_config = SimpleNamespace(quant_method="torchao")
    plain.model.peft_config = {"german": object()}
    said = plain.get_model_info()["lsn"]
    assert said["model"]["name"] == f"{checkpoint}+german(torchao)"
    assert said["signature"].startswith(f"model:{checkpoint}+german(torchao)|")


def test_a_type_without_a_row_is_said_in_files_and_signatures(tokenizer, tmp_path):
    """And its numbers are those of the same model with a row."""
    model = tiny_model("llama")
    texts = {"de": TEXTS[:1] * 9, "ru": TEXTS[1:2] * 9}

    def measured(model_type: str) -> tuple[list, str, str]:
        model.config.model_type = model_type
        stats = record(model, tokenizer, texts, length=16)
        path = tmp_path / model_type
        identify(stats, method="random", top_rate=0.1).save(path)
        under, none = (
            load(model, str(path), condition, tokenizer=tokenizer)
            for condition in ("de:zero", "none")
        )
        numbers = under.loglikelihood_rolling(requests("loglikelihood_rolling"))
        said = [lm.get_model_info()["lsn"]["signature"] for lm in (under, none)]
        assert "resolved" not in said[1]
        assert NeuronMask.load(path).model.resolved == stats.model.resolved
        return numbers, said[0], str(stats.model.resolved)

    by_structure, by_row = measured("of-mine"), measured("llama")
    assert by_structure[0] == by_row[0]
    assert "|hookpoint:mlp.act(resolved:structure)|" in by_structure[1]
    assert "resolved" not in by_row[1]
    assert (by_structure[2], by_row[2]) == ("structure", "None")


def test_an_answer_longer_than_the_context_is_an_error(checkpoint):
    request = Instance("generate_until", {}, ("ja", {"until": [], "max_gen_toks": 64}), 0)
    with pytest.raises(LsnError, match="context of 64; give --gen_kwargs max_gen_toks=N"):
        load(checkpoint).generate_until([request])


def test_a_mask_of_another_model_is_refused(checkpoint, tmp_path):
    tiny_mask(tiny_model("gpt2")).save(tmp_path / "gpt2")
    with pytest.raises(MaskError, match="mask is of a gpt2 model"):
        load(checkpoint, str(tmp_path / "gpt2"), "de:zero")


def test_a_mask_of_another_model_of_the_same_shape_is_recorded_and_warned_of_once(
    checkpoint, tmp_path, caplog
):
    made = tiny_mask(tiny_model("llama"))
    model = dataclasses.replace(made.model, name="somebody/other-model")
    neurons = {"de": {"mlp.act": {"0": made.indices("de", "mlp.act", "0")}}}
    NeuronMask(neurons, model=model).save(tmp_path / "other")
    lm = load(checkpoint, str(tmp_path / "other"), "de:zero")
    lm.set_condition("de:4")
    (doubt,) = lm.get_model_info()["lsn"]["seen"]["doubts"]
    assert "somebody/other-model" in doubt
    assert caplog.text.count("somebody/other-model") == 1


def test_a_model_that_goes_round_the_hooks_is_refused_before_the_first_number(
    checkpoint, mask_file, monkeypatch
):
    from torch.nn import functional
    from transformers.models.llama.modeling_llama import LlamaMLP

    def fused(mlp, x):
        return mlp.down_proj(functional.silu(mlp.gate_proj(x)) * mlp.up_proj(x))

    monkeypatch.setattr(LlamaMLP, "forward", fused)
    with pytest.raises(InterventionError, match="goes round its activation module"):
        load(checkpoint, mask_file, "de:zero")
    assert answers(load(checkpoint, mask_file, None), ["loglikelihood"])


def test_set_condition_switches_and_counts_anew(checkpoint, mask_file):
    lm = load(checkpoint, mask_file, "de:zero")
    zero = answers(lm, ["loglikelihood_rolling"])
    lm.set_condition("none")
    assert answers(lm, ["loglikelihood_rolling"]) == answers(
        load(checkpoint), ["loglikelihood_rolling"]
    )
    lm.set_condition("de:zero")
    assert lm.get_model_info()["lsn"]["seen"]["hookpoints"]["mlp.act"]["calls"] == 0
    assert answers(lm, ["loglikelihood_rolling"]) == zero
    assert not any(module._forward_hooks for module in lm.model.model.layers.modules())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_a_response_cache_is_kept_apart_by_signature(checkpoint, mask_file, tmp_path, kind):
    path = str(tmp_path / "cache.db")

    def cached(model) -> list:
        caching = CachingLM(model, path)
        result = getattr(caching, kind)(requests(kind))
        caching.get_model_info()
        caching.dbdict.close()
        return result

    conditions = [None, "de:4", "fr:-4", "de:4/fr:-4"]
    models = [load(checkpoint, mask_file, c, batch_size=1) for c in conditions]
    fresh = [getattr(model, kind)(requests(kind)) for model in models]
    hf = HFLM(checkpoint, device="cpu", batch_size=1)
    assert cached(hf) == fresh[0]
    for _ in range(2):
        for condition, expected in zip(conditions, fresh, strict=True):
            assert cached(load(checkpoint, mask_file, condition, batch_size=1)) == expected
    assert cached(hf) == fresh[0]
    assert any(expected != fresh[0] for expected in fresh[1:])
    tables = sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall()
    assert sum(name.startswith("lsn_") for (name,) in tables) == 4


def other_weights(model) -> None:
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[3, 4] += 5


def test_weights_that_cannot_be_read_lose_no_results(tokenizer, monkeypatch):
    model = load(tiny_model("llama"), tokenizer=tokenizer)
    assert len(model.get_model_info()["lsn"]["model"]["loaded"]) == 12

    def failing(*given):
        raise RuntimeError("no such kernel")

    warned: list[str] = []
    # Not caplog: whoever ran lm-eval's command in this process has set its logger up.
    monkeypatch.setattr(lsn_hf.logger, "warning", lambda text, *of: warned.append(text % of))
    monkeypatch.setattr(lsn_hf, "loaded_digest", failing)
    assert "loaded" not in model.get_model_info()["lsn"]["model"]
    assert "no such kernel" in warned[0]


def swap_two_tokens(folder) -> None:
    file = folder / "tokenizer.json"
    document = json.loads(file.read_text("utf-8"))
    vocabulary = document["model"]["vocab"]
    vocabulary["e"], vocabulary["a"] = vocabulary["a"], vocabulary["e"]
    file.write_text(json.dumps(document), "utf-8")


@pytest.mark.parametrize("changed", ["mask", "weights", "subfolder", "tokenizer", "in memory"])
def test_what_changes_an_answer_keeps_a_cache_apart(changed, mask_file, tmp_path, tokenizer):
    folder, model = tmp_path / "model", tiny_model("llama")
    for place in (folder, folder / "inner"):
        save_llama(place, tokenizer, bos=False)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    arguments = {
        "subfolder": {"subfolder": "inner"},
        "tokenizer": {"tokenizer": str(tmp_path / "tokenizer")},
        "in memory": {"tokenizer": tokenizer},
    }.get(changed, {})
    loaded = model if changed == "in memory" else str(folder)
    asked = requests("loglikelihood_rolling")

    def cached(mask: str) -> list:
        """With a cache that has seen all others."""
        caching = CachingLM(load(loaded, mask, "de:4", **arguments), str(tmp_path / "cache.db"))
        return caching.loglikelihood_rolling(asked)

    first, mask = cached(mask_file), mask_file
    other_weights(model)
    if changed == "mask":
        mask = str(tmp_path / "other")
        tiny_mask(tiny_model("llama"), seed=5).save(mask)
    elif changed == "tokenizer":
        swap_two_tokens(tmp_path / "tokenizer")
    elif changed in ("weights", "subfolder"):
        model.save_pretrained(folder / "inner" if changed == "subfolder" else folder)
    fresh = load(loaded, mask, "de:4", **arguments).loglikelihood_rolling(asked)
    assert cached(mask) == fresh != first


@pytest.mark.parametrize("conditions", [("de:zero", "fr:zero"), (None, "de:zero")])
def test_a_rerun_answered_wholly_from_the_cache_still_reports(
    checkpoint, mask_file, tmp_path, conditions
):
    records = []
    for condition in (conditions[0], *conditions):
        lm = CachingLM(load(checkpoint, mask_file, condition), str(tmp_path / "cache.db"))
        lm.loglikelihood_rolling(requests("loglikelihood_rolling"))
        records.append(lm.get_model_info()["lsn"])
    first, second, other = records
    assert bool(first["seen"]) == (conditions[0] is not None)
    assert second["seen"] == first["seen"]
    assert other["seen"]["hookpoints"]["mlp.act"]["values_overwritten"] > 0
    assert [r["answered_from_cache"] for r in records] == [False, True, False]
    assert second["signature"] == first["signature"] != other["signature"]


@pytest.mark.slow
def test_simple_evaluate_by_name_with_the_arguments_of_the_stock_command(checkpoint, mask_file):
    plugin.register()
    task = {
        "task": "two_texts",
        "output_type": "loglikelihood_rolling",
        "custom_dataset": lambda **_: {"test": Dataset.from_list([{"text": t} for t in TEXTS])},
        "test_split": "test",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "byte_perplexity"}],
    }

    def evaluated(model: str, arguments: str) -> tuple[float, dict]:
        results = lm_eval.simple_evaluate(
            model=model, model_args=f"pretrained={checkpoint}{arguments}", tasks=[task],
            task_manager=TaskManager(include_defaults=False), batch_size=2, device="cpu",
        )  # fmt: skip
        return results["results"]["two_texts"]["byte_perplexity,none"], results["config"]

    none, zero = (
        evaluated("lsn_hf", f",mask={mask_file},condition={condition}")
        for condition in ("none", "de:zero")
    )
    assert (none[1]["lsn"]["condition"], zero[1]["lsn"]["condition"]) == ("none", "de:zero")
    assert none[0] == pytest.approx(evaluated("hf", "")[0], rel=1e-5)
    assert zero[0] != pytest.approx(none[0], rel=1e-3)
    with pytest.raises(LsnError, match="'es'"):
        evaluated("lsn_hf", f",mask={mask_file},condition=es:zero")


def test_a_model_with_an_adapter_says_so_in_its_signature(checkpoint, mask_file, tmp_path):
    peft = pytest.importorskip("peft", reason="peft is an optional dependency")
    config = peft.LoraConfig(target_modules=["down_proj", "q_proj"], init_lora_weights=False)
    adapter = str(tmp_path / "adapter")
    peft.get_peft_model(tiny_model("llama"), config).save_pretrained(adapter)
    lm = load(checkpoint, mask_file, "de:4", peft=adapter)
    record = lm.get_model_info()["lsn"]
    assert record["model"]["name"] == f"{checkpoint}+{adapter}"
    assert f"model:{checkpoint}+{adapter}|" in record["signature"]
    assert answers(lm, ["loglikelihood"]) != answers(
        load(checkpoint, mask_file, "de:4"), ["loglikelihood"]
    )
