"""The rows of supported architectures: where the layers are and what the modules of one are called.

Supporting an architecture is a row in `FAMILIES`. A row is believed only after the loaded model's
shapes agree with it (`lsn_eval.models.hookpoints.resolve`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lsn_eval.errors import HookpointError


@dataclass(frozen=True)
class Part:
    """The outputs of a fused linear layer that make up one hookpoint.

    `layout="block"`: part `index` of `of` equal consecutive blocks (GPT-2's `c_attn`).
    `layout="head"`: within every attention head, block `index` of `of` (BLOOM's
    `query_key_value`, which interleaves query, key and value head by head).
    """

    module: str
    index: int
    of: int = 3
    layout: Literal["block", "head"] = "block"

    def columns(self, width: int, heads: int) -> np.ndarray:
        """Indices [neuron] of this part among the `width` outputs of the fused layer."""
        if width % self.of or (self.layout == "head" and width % (self.of * heads)):
            raise HookpointError(
                f"{self.module} has {width} outputs, which do not split into {self.of} equal "
                f"parts{f' of {heads} heads' if self.layout == 'head' else ''}: this model's "
                "layout differs from the row of its family in lsn_eval/models/families.py"
            )
        if self.layout == "block":
            size = width // self.of
            return np.arange(self.index * size, (self.index + 1) * size)
        head_width = width // (self.of * heads)
        shape = (heads, self.of, head_width)
        return np.arange(width).reshape(shape)[:, self.index, :].reshape(-1)


@dataclass(frozen=True)
class Family:
    """One architecture: paths of its modules. All but `layers` are relative to a layer.

    `layers` lists the paths at which the stack of layers may sit, seen from the model: the first
    that exists is used, so that a text model and its multimodal wrapper can share a row.
    `gate` is None for an MLP whose activation feeds the down projection directly.
    """

    layers: tuple[str, ...]
    act: str
    up: str
    down: str
    gate: str | None
    q: str | Part
    k: str | Part
    v: str | Part
    o: str

    def linears(self) -> dict[str, str | Part]:
        """Linear layer (or part of one) whose output each hookpoint is."""
        gate: dict[str, str | Part] = {} if self.gate is None else {"mlp.gate": self.gate}
        return gate | {
            "mlp.up": self.up,
            "mlp.down": self.down,
            "attn.q": self.q,
            "attn.k": self.k,
            "attn.v": self.v,
            "attn.o": self.o,
        }


_LLAMA = Family(
    layers=("model.layers", "model.language_model.layers", "language_model.model.layers", "layers"),
    act="mlp.act_fn",
    gate="mlp.gate_proj",
    up="mlp.up_proj",
    down="mlp.down_proj",
    q="self_attn.q_proj",
    k="self_attn.k_proj",
    v="self_attn.v_proj",
    o="self_attn.o_proj",
)
_GPT2 = Family(
    layers=("transformer.h", "h"),
    act="mlp.act",
    gate=None,
    up="mlp.c_fc",
    down="mlp.c_proj",
    q=Part("attn.c_attn", 0),
    k=Part("attn.c_attn", 1),
    v=Part("attn.c_attn", 2),
    o="attn.c_proj",
)
_BLOOM = Family(
    layers=("transformer.h", "h"),
    act="mlp.gelu_impl",
    gate=None,
    up="mlp.dense_h_to_4h",
    down="mlp.dense_4h_to_h",
    q=Part("self_attention.query_key_value", 0, layout="head"),
    k=Part("self_attention.query_key_value", 1, layout="head"),
    v=Part("self_attention.query_key_value", 2, layout="head"),
    o="self_attention.dense",
)

FAMILIES: Mapping[str, Family] = {
    "bloom": _BLOOM,
    "gemma": _LLAMA,
    "gemma2": _LLAMA,
    "gemma3": _LLAMA,
    "gemma3_text": _LLAMA,
    "gpt2": _GPT2,  # mGPT is a GPT-2
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
}
"""Rows by `config.model_type`. Each is held against its weights by `tests/test_hookpoints.py`."""
