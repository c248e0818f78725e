"""A tiny model of every supported type, and what is known of it from its modelling source.

Two layers, hidden 32, four heads of eight, two keys and values where heads share them, 48 neurons.
Nothing here is read off the rows that are tested with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional

VOCABULARY = 257
LAYERS, WIDTH, HIDDEN, HEADS = 2, 48, 32, 4

_TINY: Mapping[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": 256,
    "pad_token_id": 256,
}
_HEAD = {"head_dim": 8}
_BERT = {"pad_token_id": 0, "max_position_embeddings": 66}
_T5 = {
    "d_model": HIDDEN, "d_kv": 8, "d_ff": WIDTH, "num_layers": LAYERS,
    "num_decoder_layers": LAYERS, "num_heads": HEADS, "pad_token_id": 0, "eos_token_id": 1,
    "decoder_start_token_id": 0,
}  # fmt: skip
_BART = {
    "d_model": HIDDEN, "encoder_layers": LAYERS, "decoder_layers": LAYERS,
    "encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS, "encoder_ffn_dim": WIDTH,
    "decoder_ffn_dim": WIDTH, "max_position_embeddings": 64, "pad_token_id": 1, "eos_token_id": 2,
    "bos_token_id": 0, "decoder_start_token_id": 2, "forced_eos_token_id": None, "scale_embedding": True,
}  # fmt: skip
_VISION = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 14, "patch_size": 14,
}  # fmt: skip

ALL = slice(None)
QKV = (slice(0, 32), slice(32, 64), slice(64, 96))
"""Query, key and value one after the other, as wide as each other."""
GROUPED = (slice(0, 32), slice(32, 48), slice(48, 64))
"""The same with two keys and values for four heads."""
ONE_KEY = (slice(0, 32), slice(32, 40), slice(40, 48))
BY_HEAD = tuple(
    [24 * head + 8 * part + n for head in range(4) for n in range(8)] for part in range(3)
)
"""Query, key and value of the first head, then those of the next."""
BY_GROUP = (
    [*range(16), *range(32, 48)], [*range(16, 24), *range(48, 56)], [*range(24, 32), *range(56, 64)],
)  # fmt: skip
"""Two queries, their key and their value; then those of the next group."""
Q_AND_GATE = ([16 * head + n for head in range(4) for n in range(8)], ALL, ALL)
"""The query of the first head and its output's gate, then those of the next; keys apart."""
HALVES = (slice(0, WIDTH), slice(WIDTH, 2 * WIDTH))


Activation = Callable[[torch.Tensor, nn.Module], torch.Tensor]
"""The activation function as a formula, of its input and, where it has parameters, its layer."""


def _plain(formula: Callable[[torch.Tensor], torch.Tensor]) -> Activation:
    return lambda x, layer: formula(x)


GELU, RELU, SILU = map(_plain, (functional.gelu, functional.relu, functional.silu))
GELU_TANH = _plain(partial(functional.gelu, approximate="tanh"))
RELU2 = _plain(lambda x: functional.relu(x).square())
HALF_SILU = _plain(lambda x: functional.silu(x * 0.5))


def _xielu(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """arXiv 2411.13010: quadratic above 0, exponential below."""
    act = layer.mlp.act_fn
    above, below = functional.softplus(act.alpha_p), 0.5 + functional.softplus(act.alpha_n)
    small = torch.expm1(x.clamp(max=-1e-6)) - x
    return torch.where(x > 0, above * x * x, below * small) + 0.5 * x


def _half_cut(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """Gemma 3n: in the first layer, what is below the median of a normal distribution is 0."""
    first = layer.mlp.activation_sparsity > 0
    return GELU_TANH(functional.relu(x - x.mean(-1, keepdim=True)) if first else x, layer)


@dataclass(frozen=True)
class Tiny:
    """One tiny model: its config, and the facts of its kind."""

    config: Mapping[str, Any] = field(default_factory=dict)
    act: Activation = SILU
    gated: bool = True
    qkv: tuple[Any, ...] = (ALL, ALL, ALL)
    """Columns of query, key and value."""
    gate_up: tuple[Any, Any] = (ALL, ALL)
    """Columns of gate and up."""
    kind: str = "decoder"
    """Or `encoder`, or `encoder-decoder`."""
    without_attention: tuple[str, ...] = ()
    """Layers that mix positions in another way."""


_ENCODER = {"gated": False, "kind": "encoder"}
_BOTH = {"kind": "encoder-decoder"}

_ALIKE: tuple[tuple[Tiny, str], ...] = (
    (
        Tiny(_HEAD),
        "cohere2 ernie4_5 exaone4 helium hunyuan_v1_dense llama ministral ministral3 mistral "
        "qwen3 seed_oss",
    ),
    (Tiny(), "cohere granite olmo olmo2 olmo3 qwen2 smollm3 stablelm"),
    (Tiny(_HEAD, GELU_TANH), "gemma gemma2 gemma3_text vaultgemma"),
    (Tiny(_HEAD, RELU2, gated=False), "arcee jais2 nanochat nemotron"),
    (
        Tiny(_BERT, GELU, **_ENCODER),
        "bert camembert data2vec-text deberta-v2 ernie megatron-bert roberta xlm-roberta "
        "xlm-roberta-xl",
    ),
    (Tiny(_BART, GELU, gated=False, **_BOTH), "bart blenderbot marian mbart pegasus plbart"),
)

ARCHITECTURES: dict[str, Tiny] = {
    "apertus": Tiny(_HEAD, _xielu, gated=False),
    "biogpt": Tiny(_BERT, GELU, gated=False),
    "bloom": Tiny({"n_layer": LAYERS, "n_head": HEADS}, GELU_TANH, gated=False, qkv=BY_HEAD),
    "cwm": Tiny({**_HEAD, "bos_token_id": 0}),
    "deberta-v2:relative": Tiny(
        {**_BERT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "share_att_key": True},
        GELU, **_ENCODER,
    ),
    "distilbert": Tiny({**_BERT, "dim": HIDDEN, "hidden_dim": WIDTH, "n_layers": LAYERS, "n_heads": HEADS}, GELU, **_ENCODER),
    "electra": Tiny({**_BERT, "embedding_size": HIDDEN}, GELU, **_ENCODER),
    "eurobert": Tiny(_HEAD, kind="encoder"),
    "falcon": Tiny({"ffn_hidden_size": WIDTH, "multi_query": True}, GELU, gated=False, qkv=ONE_KEY),
    "falcon:alibi": Tiny(
        {"ffn_hidden_size": WIDTH, "multi_query": False, "alibi": True, "parallel_attn": False}, GELU,
        gated=False, qkv=BY_HEAD,
    ),
    "falcon:new": Tiny(
        {"ffn_hidden_size": WIDTH, "new_decoder_architecture": True, "num_kv_heads": 2}, GELU,
        gated=False, qkv=BY_GROUP,
    ),
    "falcon_h1": Tiny(
        {**_HEAD, "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8,
         "mamba_chunk_size": 8, "mlp_multipliers": [0.5, 1.5]}, HALF_SILU,
    ),
    "gemma3": Tiny({"text_config": {**_TINY, **_HEAD}, "vision_config": _VISION}, GELU_TANH),
    "gemma3n_text": Tiny(
        {**_HEAD, "vocab_size_per_layer_input": VOCABULARY, "hidden_size_per_layer_input": 8,
         "num_kv_shared_layers": 0, "laurel_rank": 4, "activation_sparsity_pattern": [0.5, 0.0],
         "layer_types": ["sliding_attention", "full_attention"]}, _half_cut,
    ),
    "glm": Tiny(_HEAD, gate_up=HALVES),
    "glm4": Tiny(_HEAD, gate_up=HALVES),
    "gpt2": Tiny({"n_inner": WIDTH}, GELU_TANH, gated=False, qkv=QKV),
    "gpt_bigcode": Tiny({"n_inner": WIDTH}, GELU_TANH, gated=False, qkv=ONE_KEY),
    "gpt_bigcode:heads": Tiny({"n_inner": WIDTH, "multi_query": False}, GELU_TANH, gated=False, qkv=BY_HEAD),
    "gpt_neo": Tiny({"attention_types": [[["global", "local"], 1]], "num_layers": LAYERS}, GELU_TANH, gated=False),
    "gpt_neox": Tiny({}, GELU, gated=False, qkv=BY_HEAD),
    "gpt_neox_japanese": Tiny({"intermediate_multiple_size": 2}, GELU, gated=False, qkv=BY_HEAD),
    "gptj": Tiny({"n_inner": WIDTH, "rotary_dim": 8}, GELU_TANH, gated=False),
    "m2m_100": Tiny(_BART, RELU, gated=False, **_BOTH),
    "modernbert": Tiny({**_BERT, "cls_token_id": 1, "sep_token_id": 2}, GELU, kind="encoder", qkv=QKV, gate_up=HALVES),
    "modernbert-decoder": Tiny({**_BERT, "bos_token_id": 1, "cls_token_id": 1, "sep_token_id": 2}, GELU, gate_up=HALVES),
    "mpt": Tiny({"expansion_ratio": 2, "max_seq_len": 64}, GELU, gated=False, qkv=QKV),
    "mt5": Tiny(_T5, GELU_TANH, **_BOTH),
    "olmo_hybrid": Tiny({**_HEAD, "layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}, without_attention=("0",)),
    "opt": Tiny({"ffn_dim": WIDTH, "word_embed_proj_dim": HIDDEN}, RELU, gated=False),
    "persimmon": Tiny({}, RELU2, gated=False, qkv=BY_HEAD),
    "phi": Tiny({}, GELU_TANH, gated=False),
    "phi3": Tiny({}, qkv=GROUPED, gate_up=HALVES),
    "qwen3_5_text": Tiny({**_HEAD, "layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}, qkv=Q_AND_GATE, without_attention=("0",)),
    "rembert": Tiny({**_BERT, "input_embedding_size": 16, "output_embedding_size": 16}, GELU, **_ENCODER),
    "starcoder2": Tiny({}, GELU_TANH, gated=False),
    "t5": Tiny(_T5, RELU, gated=False, **_BOTH),
    "t5:gated": Tiny({**_T5, "feed_forward_proj": "gated-gelu"}, GELU_TANH, **_BOTH),
    "umt5": Tiny(_T5, GELU_TANH, **_BOTH),
    "xglm": Tiny(
        {"d_model": HIDDEN, "ffn_dim": WIDTH, "num_layers": LAYERS, "attention_heads": HEADS,
         "pad_token_id": 1}, GELU, gated=False,
    ),
}  # fmt: skip
ARCHITECTURES |= {name: facts for facts, names in _ALIKE for name in names.split()}
ARCHITECTURES = dict(sorted(ARCHITECTURES.items()))
"""By model type; a second config of a type has a word behind a colon."""


def tiny_config(name: str, attention: str | None = None) -> transformers.PretrainedConfig:
    """The config of one of `ARCHITECTURES`."""
    config_class = type(transformers.AutoConfig.for_model(name.partition(":")[0]))
    config = config_class(**{**_TINY, **ARCHITECTURES[name].config})
    config._attn_implementation = attention
    return config


def tiny_model(
    name: str, dtype: torch.dtype = torch.float32, attention: str | None = None
) -> nn.Module:
    """A model with seeded weights, large enough for neurons to matter."""
    torch.manual_seed(0)
    config = tiny_config(name, attention)
    kind = ARCHITECTURES[name].kind
    if name == "gemma3":
        model = transformers.Gemma3ForConditionalGeneration(config)
    elif kind == "encoder-decoder":
        model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    elif kind == "encoder":
        model = transformers.AutoModelForMaskedLM.from_config(config)
    else:
        model = transformers.AutoModelForCausalLM.from_config(config)
    return with_seeded_weights(model, dtype)


def saved_model(folder: Path, name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The same, and a checkpoint of it."""
    model = tiny_model(name, dtype)
    model.save_pretrained(folder)  # type: ignore[operator]
    return model


def with_seeded_weights(model: Any, dtype: torch.dtype) -> Any:
    """The model with other weights, the same every time."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.2, generator=generator)
            elif parameter.ndim == 1:
                parameter.add_(torch.empty_like(parameter).normal_(0, 0.1, generator=generator))
    return model.to(dtype).eval()


QUICK = {"bart", "bert", "falcon:new", "gpt2", "llama", "opt", "phi3", "t5:gated"}
EVERY = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in ARCHITECTURES
    if name != "deberta-v2:relative"  # is refused
]
"""The names as parameters of a test: of every kind of row one is quick."""


def _layout(name: str) -> str:
    """Of what the code that writes is told by a row, everything."""
    facts = ARCHITECTURES[name]
    return repr((facts.kind, facts.gated, facts.qkv, facts.gate_up, facts.without_attention))


LAYOUTS = QUICK | set({_layout(name): name for name in ARCHITECTURES}.values())
"""One type of each layout, and every quick one: what is written there in every way is written in one
way on the types that differ from them in nothing but names of modules and formulas."""


def inputs(name: str, rows: int = 2, length: int = 7) -> dict[str, torch.Tensor]:
    """Tokens [row, position] of one of `ARCHITECTURES`, none of them special."""
    generator = torch.Generator().manual_seed(2)
    given = {"input_ids": torch.randint(3, 250, (rows, length), generator=generator)}
    if ARCHITECTURES[name].kind == "encoder-decoder":
        given["decoder_input_ids"] = torch.randint(3, 250, (rows, 5), generator=generator)
    return given
