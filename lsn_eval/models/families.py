"""The rows of supported architectures: where the layers are and what the modules of one are called.

Supporting an architecture is a row in `FAMILIES`. A row is believed only after the loaded model's
shapes agree with it (`lsn_eval.models.resolving.resolve`). What cannot be supported stands in
`REFUSED`, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import HookpointError


@dataclass(frozen=True)
class Part:
    """The outputs of a fused linear layer that make up one hookpoint: part `index` of `of`.

    Three parts are query, key and value: the query is as wide as what the output projection
    takes, key and value share the rest evenly. Two parts are equally wide.

    `layout="block"`: one part after the other (GPT-2's `c_attn`, Phi-3's `gate_up_proj`).
    `layout="head"`: head by head, the queries that share a key and a value before these two
    (BLOOM's and Falcon's `query_key_value`; with one key for all queries it is the same as blocks).
    """

    module: str
    index: int
    of: int = 3
    layout: Literal["block", "head"] = "block"

    def columns(self, width: int, attended: int, heads: int) -> NDArray[np.int64]:
        """Indices [neuron] of this part among the `width` outputs of the fused layer.

        Args:
            attended: inputs of the attention's output projection.
            heads: query heads.
        """
        first = attended if self.of == 3 else width // self.of
        rest = (width - first) // (self.of - 1)
        sizes = [first, *[rest] * (self.of - 1)]
        groups, uneven = (1, 0) if self.layout == "block" else divmod(rest * heads, first)
        even = not uneven and groups and heads % groups == 0 and (self.of == 3 or first == rest)
        if rest < 1 or sum(sizes) != width or not even:
            raise HookpointError(
                f"{self.module} has {width} outputs, which do not split into {self.of} parts, the "
                f"first {first} wide{f', over {heads} heads' if self.layout == 'head' else ''}: "
                "this model's layout differs from its row in lsn_eval/models/families.py"
            )
        ends = np.cumsum([0, *sizes]) // groups
        wanted = slice(ends[self.index], ends[self.index + 1])
        return np.arange(width).reshape(groups, -1)[:, wanted].reshape(-1)


Linear = str | Part


def path_of(linear: Linear) -> str:
    """Where the linear layer is, of which this may be a part."""
    return linear if isinstance(linear, str) else linear.module


def shape_of(linear: object) -> tuple[int, int] | None:
    """Inputs and outputs of a linear layer (`nn.Linear` and its like, or GPT-2's `Conv1D`), or
    None."""
    for inputs, outputs in (("in_features", "out_features"), ("nx", "nf")):
        if hasattr(linear, inputs) and hasattr(linear, outputs):
            return int(getattr(linear, inputs)), int(getattr(linear, outputs))
    return None


@dataclass(frozen=True)
class Attention:
    """Paths of query, key, value and output projection; None where no linear layer makes it."""

    q: Linear
    k: Linear | None
    v: Linear | None
    o: str

    @staticmethod
    def named(pattern: str, names: str) -> Attention:
        """The path of each is `pattern` with its name in the place of `{}`."""
        q, k, v, o = map(pattern.format, names.split())
        return Attention(q, k, v, o)

    @staticmethod
    def fused(module: str, o: str, layout: Literal["block", "head"] = "block") -> Attention:
        """Query, key and value are parts of one linear layer."""
        q, k, v = (Part(module, index, layout=layout) for index in range(3))
        return Attention(q, k, v, o)


@dataclass(frozen=True)
class Stack:
    """A stack of layers: paths of its modules. All but `layers` are relative to a layer.

    `layers` lists the paths at which the stack may sit, seen from the model: the first that exists
    is used, so that a text model and its multimodal wrapper can share a row. `gate` is None for an
    MLP whose activation feeds the down projection directly. `cross` is the attention to an encoder;
    `attention` is None where it is not known which linear layers make it.
    `sometimes` are hookpoints that a layer may lack.

    In a layer that has `experts` (transformers' module of routed experts), they and the `shared`
    one, where the layer has that, take the place of the MLP. The shared one's modules are called as
    those of the MLP, which other layers may have.
    """

    layers: tuple[str, ...]
    act: str
    gate: Linear | None
    up: Linear
    down: str
    attention: Attention | None
    cross: Attention | None = None
    sometimes: tuple[str, ...] = ()
    experts: str | None = None
    shared: str | None = None
    name: Literal["encoder", "decoder"] = "decoder"
    """Goes before the numbers of the layers where a model has several stacks."""

    def linears(self) -> dict[str, Linear]:
        """Linear layer (or part of one) whose output each hookpoint is."""
        named: dict[str, Linear | None]
        named = {"mlp.gate": self.gate, "mlp.up": self.up, "mlp.down": self.down}
        for kind, attention in (("attn", self.attention), ("cross", self.cross)):
            if attention is not None:
                named |= {f"{kind}.{of}": getattr(attention, of) for of in "qkvo"}
        return {hookpoint: linear for hookpoint, linear in named.items() if linear is not None}

    def of_shared(self) -> Stack:
        """The row of the shared expert."""

        def moved(linear: Linear) -> Linear:
            path = f"{self.shared}.{path_of(linear).rpartition('.')[2]}"
            return path if isinstance(linear, str) else replace(linear, module=path)

        act, down = str(moved(self.act)), str(moved(self.down))
        gate = None if self.gate is None else moved(self.gate)
        return replace(self, act=act, gate=gate, up=moved(self.up), down=down)


Family = tuple[Stack, ...]
"""The stacks of an architecture. Of two with one name, the later is used where its `up` exists."""


_SELF = Attention.named("self_attn.{}", "q_proj k_proj v_proj o_proj")
_SELF_OUT = replace(_SELF, o="self_attn.out_proj")
_MODEL = ("model.layers", "model.language_model.layers", "language_model.model.layers", "layers")
_TRANSFORMER = ("transformer.h", "h")

_LLAMA = Stack(
    layers=_MODEL,
    act="mlp.act_fn",
    gate="mlp.gate_proj",
    up="mlp.up_proj",
    down="mlp.down_proj",
    attention=_SELF,
)
_UNGATED_LLAMA = replace(_LLAMA, gate=None)
_HYBRID = replace(_LLAMA, sometimes=("attn.q", "attn.k", "attn.v", "attn.o"))
_MOE = replace(_LLAMA, experts="mlp.experts")
_SHARED_MOE = replace(_MOE, shared="mlp.shared_experts")
_QWEN3_5 = replace(
    _HYBRID, attention=replace(_SELF, q=Part("self_attn.q_proj", 0, of=2, layout="head"))
)
_PHI = Stack(
    layers=_MODEL,
    act="mlp.activation_fn",
    gate=None,
    up="mlp.fc1",
    down="mlp.fc2",
    attention=replace(_SELF, o="self_attn.dense"),
)
_FUSED_GATE = replace(
    _LLAMA,
    act="mlp.activation_fn",
    gate=Part("mlp.gate_up_proj", 0, of=2),
    up=Part("mlp.gate_up_proj", 1, of=2),
)
_FALCON_H1 = replace(
    _LLAMA,
    act="feed_forward.act_fn",
    gate="feed_forward.gate_proj",
    up="feed_forward.up_proj",
    down="feed_forward.down_proj",
)
_GPT2 = Stack(
    layers=_TRANSFORMER,
    act="mlp.act",
    gate=None,
    up="mlp.c_fc",
    down="mlp.c_proj",
    attention=Attention.fused("attn.c_attn", "attn.c_proj"),
)
_GPT_NEO = replace(
    _GPT2,
    attention=Attention.named("attn.attention.{}", "q_proj k_proj v_proj out_proj"),
)
_GPTJ = Stack(
    layers=_TRANSFORMER,
    act="mlp.act",
    gate=None,
    up="mlp.fc_in",
    down="mlp.fc_out",
    attention=Attention.named("attn.{}", "q_proj k_proj v_proj out_proj"),
)
_GPT_NEOX = Stack(
    layers=("gpt_neox.layers", "layers"),
    act="mlp.act",
    gate=None,
    up="mlp.dense_h_to_4h",
    down="mlp.dense_4h_to_h",
    attention=Attention.fused("attention.query_key_value", "attention.dense", "head"),
)
_FALCON = replace(
    _GPT_NEOX,
    layers=_TRANSFORMER,
    attention=Attention.fused("self_attention.query_key_value", "self_attention.dense", "head"),
)
_MPT = Stack(
    layers=("transformer.blocks", "blocks"),
    act="ffn.act",
    gate=None,
    up="ffn.up_proj",
    down="ffn.down_proj",
    attention=Attention.fused("attn.Wqkv", "attn.out_proj"),
)
_XGLM = Stack(
    layers=("model.layers", "layers"),
    act="activation_fn",
    gate=None,
    up="fc1",
    down="fc2",
    attention=_SELF_OUT,
)
_BERT = Stack(
    name="encoder",
    layers=("bert.encoder.layer", "encoder.layer"),
    act="intermediate.intermediate_act_fn",
    gate=None,
    up="intermediate.dense",
    down="output.dense",
    attention=Attention.named("attention.{}", "self.query self.key self.value output.dense"),
)
_ROBERTA = replace(_BERT, layers=("roberta.encoder.layer", "encoder.layer"))
_DISTILBERT = Stack(
    name="encoder",
    layers=("distilbert.transformer.layer", "transformer.layer"),
    act="ffn.activation",
    gate=None,
    up="ffn.lin1",
    down="ffn.lin2",
    attention=Attention.named("attention.{}", "q_lin k_lin v_lin out_lin"),
)
_DEBERTA = replace(
    _BERT,
    layers=("deberta.encoder.layer", "encoder.layer"),
    attention=Attention.named(
        "attention.{}", "self.query_proj self.key_proj self.value_proj output.dense"
    ),
)
_MODERNBERT = Stack(
    name="encoder",
    layers=("model.layers", "layers"),
    act="mlp.act",
    gate=Part("mlp.Wi", 0, of=2),
    up=Part("mlp.Wi", 1, of=2),
    down="mlp.Wo",
    attention=Attention.fused("attn.Wqkv", "attn.Wo"),
)
_BART = (
    replace(_XGLM, name="encoder", layers=("model.encoder.layers", "encoder.layers")),
    replace(
        _XGLM,
        layers=("model.decoder.layers", "decoder.layers"),
        cross=Attention.named("encoder_attn.{}", "q_proj k_proj v_proj out_proj"),
    ),
)


def _t5(gated: bool) -> Family:
    def stack(name: Literal["encoder", "decoder"], mlp: str) -> Stack:
        return Stack(
            name=name,
            layers=(f"{name}.block",),
            act=f"{mlp}.act",
            gate=f"{mlp}.wi_0" if gated else None,
            up=f"{mlp}.wi_1" if gated else f"{mlp}.wi",
            down=f"{mlp}.wo",
            attention=Attention.named("layer.0.SelfAttention.{}", "q k v o"),
        )

    cross = Attention.named("layer.1.EncDecAttention.{}", "q k v o")
    decoder = replace(stack("decoder", "layer.2.DenseReluDense"), cross=cross)
    return stack("encoder", "layer.1.DenseReluDense"), decoder


_T5 = (*_t5(gated=False), *_t5(gated=True))  # one type, and its config says which

_ALIKE: tuple[tuple[Family, str], ...] = (
    (
        (_LLAMA,),
        "cohere cohere2 cwm ernie4_5 exaone4 gemma gemma2 gemma3 gemma3_text gemma3n_text "
        "granite helium hunyuan_v1_dense llama ministral ministral3 mistral olmo olmo2 "
        "olmo3 qwen2 qwen3 seed_oss smollm3 stablelm vaultgemma",
    ),
    ((_UNGATED_LLAMA,), "apertus arcee jais2 nemotron"),
    ((_MOE,), "gpt_oss mixtral olmoe phimoe qwen3_moe"),
    (_BART, "bart blenderbot m2m_100 marian mbart pegasus plbart"),
    ((_ROBERTA,), "camembert roberta xlm-roberta xlm-roberta-xl"),
    (_T5, "mt5 t5 umt5"),
)
"""Types of one row; NLLB is an m2m_100."""

FAMILIES: dict[str, Family] = {
    "bert": (_BERT,),
    "biogpt": (replace(_XGLM, layers=("biogpt.layers", "layers")),),
    "bloom": (replace(_FALCON, act="mlp.gelu_impl"),),
    "data2vec-text": (replace(_BERT, layers=("data2vec_text.encoder.layer", "encoder.layer")),),
    "deberta-v2": (_DEBERTA,),
    "deepseek_v3": (  # its keys and values come out of two linear layers
        replace(
            _SHARED_MOE,
            attention=Attention("self_attn.q_b_proj", None, None, "self_attn.o_proj"),
            sometimes=("attn.q",),
        ),
    ),
    "distilbert": (_DISTILBERT,),
    "electra": (replace(_BERT, layers=("electra.encoder.layer", "encoder.layer")),),
    "ernie": (replace(_BERT, layers=("ernie.encoder.layer", "encoder.layer")),),
    "ernie4_5_moe": (_SHARED_MOE,),
    "eurobert": (replace(_LLAMA, name="encoder"),),
    "falcon": (_FALCON,),
    "falcon_h1": (_FALCON_H1,),
    "glm": (_FUSED_GATE,),
    "glm4": (_FUSED_GATE,),
    "glm4_moe": (_SHARED_MOE,),
    "gpt2": (_GPT2,),  # mGPT is a GPT-2
    "gpt_bigcode": (
        replace(_GPT2, attention=Attention.fused("attn.c_attn", "attn.c_proj", "head")),
    ),
    "gpt_neo": (_GPT_NEO,),
    "gpt_neox": (_GPT_NEOX,),
    "gpt_neox_japanese": (replace(_GPT_NEOX, layers=("gpt_neox_japanese.layers", "layers")),),
    "gptj": (_GPTJ,),
    "granitemoe": (replace(_LLAMA, experts="block_sparse_moe.experts"),),
    "hunyuan_v1_moe": (replace(_MOE, shared="mlp.shared_mlp"),),
    "jamba": (replace(_FALCON_H1, experts="feed_forward.experts", sometimes=_HYBRID.sometimes),),
    "megatron-bert": (_BERT,),
    "minimax": (replace(_HYBRID, experts="mlp.experts"),),
    "modernbert": (_MODERNBERT,),
    "modernbert-decoder": (
        replace(
            _MODERNBERT,
            name="decoder",
            attention=Attention.named("attn.{}", "q_proj k_proj v_proj Wo"),
        ),
    ),
    "mpt": (_MPT,),
    "nanochat": (replace(_PHI, attention=_SELF),),
    "olmo_hybrid": (_HYBRID,),
    "opt": (replace(_XGLM, layers=("model.decoder.layers", "decoder.layers")),),
    "persimmon": (
        replace(
            _GPT_NEOX,
            layers=_MODEL,
            attention=Attention.fused("self_attn.query_key_value", "self_attn.dense", "head"),
        ),
    ),
    "phi": (_PHI,),
    "phi3": (
        replace(_FUSED_GATE, attention=Attention.fused("self_attn.qkv_proj", "self_attn.o_proj")),
    ),
    "qwen2_moe": (replace(_MOE, shared="mlp.shared_expert"),),
    "qwen3_5_text": (_QWEN3_5,),
    "qwen3_next": (replace(_QWEN3_5, experts="mlp.experts", shared="mlp.shared_expert"),),
    "rembert": (replace(_BERT, layers=("rembert.encoder.layer", "encoder.layer")),),
    "starcoder2": (replace(_GPT2, layers=_MODEL, attention=_SELF),),
    "xglm": (_XGLM,),
}

FAMILIES |= {name: row for row, names in _ALIKE for name in names.split()}
FAMILIES = dict(sorted(FAMILIES.items()))
"""Rows by `config.model_type`. Each is held against its weights by `tests/models/test_rows.py`."""

_EXPERTS = "its experts do not run through transformers' experts functions, which tell them apart"

REFUSED: Mapping[str, str] = {
    "dbrx": _EXPERTS,
    "llama4_text": _EXPERTS,
    "mamba": "it has no MLP and no attention, but a scan",
    "nllb-moe": _EXPERTS,
}
"""Why there is no row, by `config.model_type`."""
