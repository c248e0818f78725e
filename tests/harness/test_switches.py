"""Switches of lm-eval and transformers under a condition, each against the same model with neurons
zeroed by hand. `docs/switches.md` is the table of them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from builders.architectures import tiny_model
from builders.gguf_files import write_gguf
from builders.masks import hooks_of, tiny_mask
from builders.requests import KINDS, TEXTS, answers, requests
from lm_eval.models.hf_steered import SteeredModel
from lm_eval.models.huggingface import HFLM
from tokenizers import processors

from lsn_eval import NeuronMask, intervene
from lsn_eval.errors import InterventionError, LsnError
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.models.loading import load_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
CHOICES, ROLLING, GENERATED = KINDS
Given = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer) -> Path:
    """A tiny Llama in float32 and its tokenizer."""
    place = tmp_path_factory.mktemp("llama")
    tiny_model("llama").save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def mask() -> NeuronMask:
    return tiny_mask(tiny_model("llama"))


@contextmanager
def zeroed(model: Any, mask: NeuronMask, who: str = "de") -> Iterator[None]:
    """What the down projections are given of the neurons is 0."""
    handles = []
    for name, module in model.named_modules():
        if name.endswith("mlp.down_proj"):
            columns = mask.indices(who, "mlp.act", name.split(".")[-3])

            def zero(module: Any, args: Any, columns: Any = columns) -> Any:
                values = args[0].clone()
                values[..., columns] = 0
                return (values, *args[1:])

            handles.append(module.register_forward_pre_hook(zero))
    assert handles
    yield
    for handle in handles:
        handle.remove()


# Models -------------------------------------------------------------------------------------------


def adapted(kind: str, folder: Path) -> Any:
    """The tiny model with an adapter whose every weight is random."""
    peft = pytest.importorskip("peft")
    projections = {"target_modules": ["down_proj", "q_proj", "gate_proj"]}
    config = {
        "LoRA": lambda: peft.LoraConfig(**projections),
        "DoRA": lambda: peft.LoraConfig(**projections, use_dora=True),
        "IA3": lambda: peft.IA3Config(
            target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]
        ),
        "prefix": lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
        "prompt": lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    }[kind]()
    model = peft.get_peft_model(tiny_model("llama"), config).eval()
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += torch.randn_like(parameter) * 0.3
    return model


def adapter(kind: str, folder: Path, place: Path, tokenizer: Any) -> Given:
    adapted(kind, folder).save_pretrained(place / kind)
    return {"pretrained": str(folder), "peft": str(place / kind)}


def merged(kind: str, folder: Path, place: Path, tokenizer: Any) -> Given:
    model = adapted(kind, folder).merge_and_unload()
    return {"pretrained": model, "tokenizer": tokenizer}


def in_memory(kind: str, folder: Path, place: Path, tokenizer: Any) -> Given:
    return {"pretrained": adapted(kind, folder), "tokenizer": tokenizer}


def dynamic(folder: Path, place: Path, tokenizer: Any) -> Given:
    quantised = torch.ao.quantization.quantize_dynamic(tiny_model("llama"), {torch.nn.Linear})
    return {"pretrained": quantised, "tokenizer": tokenizer}


def torchao(kind: str, folder: Path, place: Path, tokenizer: Any) -> Given:
    api = pytest.importorskip(
        "torchao.quantization", reason="transformers imports torchao wherever it is, see the docs"
    )
    model = tiny_model("llama")
    api.quantize_(model, getattr(api, kind)())
    return {"pretrained": model, "tokenizer": tokenizer}


def saved_by_torchao(kind: str, folder: Path, place: Path, tokenizer: Any) -> Given:
    api = pytest.importorskip(
        "torchao.quantization", reason="transformers imports torchao wherever it is, see the docs"
    )
    import transformers

    config = transformers.TorchAoConfig(getattr(api, kind)())
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, quantization_config=config)
    model.save_pretrained(place / kind)
    return {"pretrained": str(place / kind), "tokenizer": str(folder)}


def offloaded(folder: Path, place: Path, tokenizer: Any) -> Given:
    """The second layer's weights are on disk, and fetched for each call."""
    parts = ("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head", "model.layers.0")
    devices = dict.fromkeys(parts, "cpu") | {"model.layers.1": "disk"}
    return {"pretrained": str(folder), "device_map": devices, "offload_folder": str(place / "off")}


def named(folder: Path, place: Path, tokenizer: Any, **more: Any) -> Given:
    offload = {"offload_folder": str(place / "off")} if "parallelize" in more else {}
    return {"pretrained": str(folder), **more, **offload}


def with_bos(folder: Path, place: Path, tokenizer: Any) -> Given:
    """A tokenizer with BOS and a chat template that spells it out."""
    words = copy.deepcopy(tokenizer)
    words.bos_token = "<|endoftext|>"
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 256)]
    )
    words.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    )
    words.save_pretrained(place / "words")
    return {"pretrained": str(folder), "tokenizer": str(place / "words")}


Switch = Callable[[Path, Path, Any], Given]
SWITCHES: Mapping[str, tuple[Switch, str]] = {
    **{f"{kind}": (functools.partial(adapter, kind), f"+.*{kind}") for kind in ("LoRA", "DoRA")},
    "IA3": (functools.partial(adapter, "IA3"), "+.*IA3"),
    "prefix tuning": (functools.partial(adapter, "prefix"), "+.*prefix"),
    **{f"{k} merged": (functools.partial(merged, k), "#") for k in ("LoRA", "DoRA", "IA3")},
    "LoRA in memory": (functools.partial(in_memory, "LoRA"), "+default#"),
    "PyTorch's dynamic quantisation": (dynamic, "(DynamicQuantizedLinear)#"),
    **{
        f"torchao {kind}": (functools.partial(torchao, kind), "(Int8Tensor)#")
        for kind in ("Int8WeightOnlyConfig", "Int8DynamicActivationInt8WeightConfig")
    },
    "torchao saved": (
        functools.partial(saved_by_torchao, "Int8WeightOnlyConfig"),
        "(torchao+Int8WeightOnlyConfig)",
    ),
    "device_map over cpu and disk": (offloaded, ""),
    "device_map": (functools.partial(named, device_map="auto"), ""),
    "parallelize": (functools.partial(named, parallelize=True), ""),
    "tp_plan in one process": (functools.partial(named, tp_plan="auto"), ""),
    "bfloat16": (functools.partial(named, dtype="bfloat16"), "|dtype:bfloat16|"),
    "float16": (functools.partial(named, dtype="float16"), "|dtype:float16|"),
    "mixed precision": (functools.partial(named, mixed_precision_dtype="bfloat16"), ""),
    "eager attention": (functools.partial(named, attn_implementation="eager"), ""),
    "logits_cache": (functools.partial(named, logits_cache=False), ""),
    "add_bos_token": (functools.partial(named, add_bos_token=True), ""),
    "BOS": (with_bos, ""),
    "truncation": (functools.partial(named, truncation=True, max_length=24), ""),
}
"""How a model with the switch is made, and what its signature says of it."""


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.slow
def test_a_condition_is_zeroing_by_hand(switch, folder, mask, tmp_path, tokenizer):
    make, says = SWITCHES[switch]
    given = make(folder, tmp_path, tokenizer)
    options = {"device": "cpu", "batch_size": 2}
    lm = LsnHF(**given, **options, mask=mask, condition="none")
    untouched, hooks = answers(lm), hooks_of(lm.model)
    same_batches = [CHOICES, GENERATED]
    assert answers(HFLM(**given, **options), same_batches) == {
        k: untouched[k] for k in same_batches
    }
    with zeroed(lm.model, mask):
        expected = answers(lm)
    for kind in KINDS:
        assert untouched[kind] != expected[kind], kind
    lm.set_condition("de:zero")
    assert answers(lm) == expected
    signature = lm.get_model_info()["lsn"]["signature"]
    for part in says.split(".*"):
        assert part in signature
    lm.set_condition("none")
    assert answers(lm) == untouched
    assert hooks_of(lm.model) == hooks


@pytest.mark.parametrize("kind", ["LoRA", "DoRA", "IA3"])
def test_an_adapter_is_what_it_is_merged(kind, folder, mask):
    """And not what the model is without it."""
    ids = torch.arange(24).view(2, 12)
    plain, apart, whole = tiny_model("llama"), adapted(kind, folder), adapted(kind, folder)
    whole = whole.merge_and_unload()
    logits = []
    for model in (plain, apart, whole):
        with torch.no_grad(), intervene(model, mask, "de:zero/fr:mean"):
            logits.append(model(ids).logits)
    assert torch.allclose(logits[1], logits[2], atol=1e-5)
    assert not torch.allclose(logits[0], logits[2], atol=1e-2)


@pytest.mark.slow
def test_a_prompt_tuned_model_answers_and_is_not_scored_at_wrong_positions(
    folder, mask, tmp_path, tokenizer
):
    given = adapter("prompt", folder, tmp_path, tokenizer)
    plain = HFLM(**given, device="cpu")
    lm = LsnHF(**given, device="cpu", mask=mask, condition="de:zero")
    with zeroed(plain.model, mask):
        expected = answers(plain, [GENERATED])
    assert answers(lm, [GENERATED]) == expected != answers(plain, [GENERATED])
    for condition in ("de:zero", "none"):
        lm.set_condition(condition)
        with pytest.raises(LsnError, match="only generation tasks are right"):
            answers(lm, [ROLLING])


@pytest.mark.slow
def test_gguf_files_of_one_folder(tmp_path):
    """The embedded model in float32, with its tokenizer, and quantised."""
    pytest.importorskip("gguf")
    model, tokenizer = load_model("lsn_demo", dtype="float32", device="cpu")
    mask = NeuronMask.load("demo/planted")
    loaded = answers(LsnHF(model, tokenizer=tokenizer, mask=mask, condition="de:zero"))
    for name, quantised in (("whole", False), ("small", True)):
        write_gguf(tmp_path / f"{name}.gguf", model, tokenizer, quantised)
        given = {"pretrained": str(tmp_path), "gguf_file": f"{name}.gguf", "device": "cpu"}
        lm = LsnHF(**given, mask=mask, condition="none")
        untouched = answers(lm)
        with zeroed(lm.model, mask):
            expected = answers(lm)
        lm.set_condition("de:zero")
        assert answers(lm) == expected != untouched
        assert (expected == loaded) != quantised
        model_name = lm.get_model_info()["lsn"]["model"]["name"]
        assert model_name == f"{tmp_path}/{name}.gguf(gguf)"


# Decoding -----------------------------------------------------------------------------------------

GREEDY: Mapping[str, Given] = {
    "static cache": {"cache_implementation": "static"},
    "prompt lookup": {"prompt_lookup_num_tokens": 3},
    "assisted": {"assistant_model": ...},
}
OTHERS: Mapping[str, Given] = {
    "beams": {"num_beams": 3},
    "beams that differ": {"num_beams": 4, "length_penalty": 2.0, "no_repeat_ngram_size": 2},
    "repetition penalty": {"repetition_penalty": 1.5},
    "seeded sampling": {"do_sample": True, "temperature": 0.8, "seed": 3},
}


@pytest.mark.parametrize("decoding", [*GREEDY, *OTHERS])
@pytest.mark.slow
def test_decoding_under_a_condition_is_generate_with_zeroed_neurons(
    decoding, folder, mask, tokenizer
):
    options = dict({**GREEDY, **OTHERS}[decoding])
    if options.get("assistant_model") is ...:
        options["assistant_model"] = assistant = tiny_model("llama")
        assistant.lm_head.weight.data.mul_(-1)  # it proposes what the model then rejects
    lm = LsnHF(str(folder), mask=mask, condition="de:zero", device="cpu", batch_size=1)
    got = answers(lm, [GENERATED], until=[], **options)[GENERATED]
    model = tiny_model("llama")
    expected = []
    for text in TEXTS:
        ids = torch.tensor([lm.tok_encode(text)])
        call = {"do_sample": False, "pad_token_id": 256, **options}
        if (seed := call.pop("seed", None)) is not None:
            torch.manual_seed(seed)
        with zeroed(model, mask):
            tokens = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_length=ids.shape[1] + 8, **call
            )
        expected.append(lm.tok_decode(tokens[0, ids.shape[1] :]))
    assert got == expected
    greedy = answers(lm, [GENERATED], until=[])[GENERATED]
    assert (got == greedy) == (decoding in GREEDY)
    lm.set_condition("none")
    assert answers(lm, [GENERATED], until=[], **options)[GENERATED] != got


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_cache": False}, "use_cache=False.*leave use_cache out"),
        (
            {"cache_implementation": "quantized"},
            "cache_implementation=quantized.*You need to install",
        ),
        ({"cache_implementation": "offloaded"}, "cache_implementation=offloaded.*no GPU here"),
        ({"assistant_model": "gpt2"}, "assistant_model=gpt2.*has to be a loaded model"),
        ({"prompt_lookup_num_tokens": 3}, "prompt_lookup_num_tokens=3.*give --batch_size 1"),
        ({"num_return_sequences": 2}, "num_return_sequences=2"),
        ({"no_such_option": 2}, "no_such_option"),
    ],
)
def test_what_generate_refuses_is_one_message(options, message, folder, mask):
    lm = LsnHF(str(folder), mask=mask, condition="de:zero", device="cpu", batch_size=2)
    with pytest.raises(LsnError, match=f"(?s)generate cannot run with.*{message}"):
        answers(lm, [GENERATED], **options)
    assert not hooks_of(lm.model)


def test_an_answer_begins_behind_the_thinking(folder, mask):
    given = {"mask": mask, "condition": "de:zero", "device": "cpu"}
    (whole,) = answers(LsnHF(str(folder), **given), [GENERATED], until=[]).values()
    end = next(text[3] for text in whole if text.count(text[3]) == 1)
    (short,) = answers(
        LsnHF(str(folder), **given, think_end_token=end), [GENERATED], until=[]
    ).values()
    assert short == [text.rpartition(end)[2].lstrip() for text in whole] != whole


def test_a_chat_template_and_bos_under_a_condition(folder, mask, tmp_path, tokenizer):
    """One BOS, though template and tokenizer both add it."""
    given = with_bos(folder, tmp_path, tokenizer)
    lm = LsnHF(**given, mask=mask, condition="de:zero", device="cpu", batch_size=2)
    chat = [{"role": "system", "content": "kurz"}, {"role": "user", "content": "Wo?"}]
    text = lm.apply_chat_template(chat)
    assert text == "<|endoftext|>[system]kurz[user]Wo?"
    seen = []
    handle = lm.model.get_input_embeddings().register_forward_pre_hook(
        lambda module, args: seen.append(args[0].clone())
    )
    (got,) = lm.generate_until(requests(GENERATED, [text], until=[]))
    handle.remove()
    prompt = seen[0][0].tolist()
    assert prompt[0] == 256
    assert 256 not in prompt[1:]
    model, ids = tiny_model("llama"), torch.tensor([prompt])
    with zeroed(model, mask):
        tokens = model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=256)
    assert got == lm.tok_decode(tokens[0, len(prompt) :])
    lm.set_condition("none")
    assert lm.generate_until(requests(GENERATED, [text], until=[])) != [got]


# Others -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_lm_evals_steered_adds_is_a_condition(folder, mask, tmp_path):
    vectors = {}
    for layer in mask.model.layers:
        vector = torch.zeros(mask.model.widths["mlp.act"])
        vector[torch.as_tensor(mask.indices("de", "mlp.act", layer)).long()] = 2.0
        vectors[f"layers.{layer}.mlp.act_fn"] = {
            "steering_vector": vector, "steering_coefficient": 1.5, "action": "add",
        }  # fmt: skip
    torch.save(vectors, tmp_path / "steer.pt")
    steered = SteeredModel(str(folder), str(tmp_path / "steer.pt"), device="cpu", batch_size=2)
    lm = LsnHF(str(folder), mask=mask, condition="de:+3", device="cpu", batch_size=2)
    assert answers(lm) == answers(steered)
    lm.set_condition("none")
    assert answers(lm) != answers(steered)


@pytest.mark.parametrize("compiled_before", [True, False])
@pytest.mark.slow
def test_a_compiled_model_is_written_into_or_refused_and_afterwards_as_it_was(
    mask, compiled_before
):
    """Graphs are made with the hooks of the moment, and not made anew for others."""
    torch._dynamo.reset()
    model, ids = tiny_model("llama"), torch.arange(12).view(2, 6)
    expected = {}
    with torch.no_grad():
        plain = model(ids).logits
        for who in ("de", "fr"):
            with zeroed(model, mask, who):
                expected[who] = model(ids).logits
        compiled = torch.compile(model, backend="eager")
        if compiled_before:
            assert torch.allclose(compiled(ids).logits, plain, atol=1e-5)
        outcomes = []
        for who in ("de", "fr"):
            try:
                with intervene(compiled, mask, f"{who}:zero"):
                    logits = compiled(ids).logits
            except InterventionError:
                outcomes.append("refused")
            else:
                assert torch.allclose(logits, expected[who], atol=1e-5)
                outcomes.append("written")
            assert torch.allclose(compiled(ids).logits, plain, atol=1e-5)
    assert outcomes == ["written", "refused"]
    torch._dynamo.reset()
