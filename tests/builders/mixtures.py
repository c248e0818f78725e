"""A tiny mixture of experts of every supported type, and what is known of it from its source.

Three layers with six experts of 24 neurons, of which a token runs through two; other widths where
a type has dense layers and shared experts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional

from builders.architectures import with_seeded_weights

EXPERTS, WIDTH, SHARED, DENSE, HIDDEN = 6, 24, 40, 48, 32

_TINY: Mapping[str, Any] = {
    "vocab_size": 257, "hidden_size": HIDDEN, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "bos_token_id": None,
    "eos_token_id": 256, "pad_token_id": 256, "num_experts": EXPERTS, "num_local_experts": EXPERTS,
    "num_experts_per_tok": 2, "intermediate_size": WIDTH,
}  # fmt: skip
_DENSE = {"intermediate_size": DENSE, "moe_intermediate_size": WIDTH}
_DEEPSEEK = {
    **_DENSE, "n_routed_experts": EXPERTS, "n_shared_experts": 2, "first_k_dense_replace": 1,
    "n_group": 1, "topk_group": 1,
}  # fmt: skip
_LINEAR = {
    "linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8, "layer_types": ["linear_attention", "full_attention"] * 2,
}  # fmt: skip


@dataclass(frozen=True)
class Mixture:
    """One tiny mixture: its config, and the facts of its kind."""

    config: Mapping[str, Any] = field(default_factory=dict)
    dense: tuple[str, ...] = ()
    """Layers without experts."""
    shared: int = 0
    """Neurons of the shared expert."""
    attention: Mapping[str, str] = field(default_factory=dict)
    """Which of q, k, v and o a layer has, where that is not all."""
    own_gate: bool = False
    """Gate and up alternate, are clamped, and are multiplied in another way (GPT-OSS)."""
    path: str = "mlp"


MIXTURES: Mapping[str, Mixture] = {
    "deepseek_v3": Mixture(
        {**_DEEPSEEK, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8,
         "qk_nope_head_dim": 8, "v_head_dim": 8, "num_key_value_heads": 4},
        dense=("0",), shared=2 * WIDTH, attention=dict.fromkeys("012", "qo"),
    ),
    "ernie4_5_moe": Mixture(
        {**_DENSE, "moe_num_experts": EXPERTS, "moe_k": 2, "moe_num_shared_experts": 2}, dense=("0",),
        shared=2 * WIDTH,
    ),
    "glm4_moe": Mixture(_DEEPSEEK, dense=("0",), shared=2 * WIDTH),
    "gpt_oss": Mixture(own_gate=True),
    "granitemoe": Mixture(path="block_sparse_moe"),
    "hunyuan_v1_moe": Mixture({"moe_topk": 2}, shared=WIDTH),
    "jamba": Mixture(
        {"expert_layer_period": 2, "expert_layer_offset": 1, "attn_layer_period": 2,
         "attn_layer_offset": 1, "use_mamba_kernels": False},
        dense=("0", "2"), attention={"0": "", "2": ""}, path="feed_forward",
    ),
    "minimax": Mixture(
        {"layer_types": ["linear_attention", "full_attention", "linear_attention"], "block_size": 4},
        attention={"0": "", "2": ""},
    ),
    "mixtral": Mixture(),
    "olmoe": Mixture(),
    "phimoe": Mixture(),
    "qwen2_moe": Mixture(
        {**_DENSE, "shared_expert_intermediate_size": SHARED, "mlp_only_layers": [1]}, dense=("1",),
        shared=SHARED,
    ),
    "qwen3_moe": Mixture({**_DENSE, "mlp_only_layers": [1]}, dense=("1",)),
    "qwen3_next": Mixture(
        {**_DENSE, **_LINEAR, "layer_types": _LINEAR["layer_types"][:3],
         "shared_expert_intermediate_size": SHARED},
        shared=SHARED, attention={"0": "", "2": ""},
    ),
}  # fmt: skip
"""By model type."""

IMPLEMENTATIONS = ("grouped_mm", "batched_mm", "eager")
QUICK = {"qwen2_moe", "gpt_oss"}
KINDS = {"deepseek_v3", "gpt_oss", "jamba", "mixtral", "qwen2_moe"}
"""With shared experts, dense layers, layers without attention or a gate of its own, and without."""
EVERY_MIXTURE = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MIXTURES
]


def tiny_mixture(
    name: str, dtype: torch.dtype = torch.float32, implementation: str = "grouped_mm"
) -> Any:
    """A model with seeded weights, large enough for neurons and the router to matter."""
    config_class = type(transformers.AutoConfig.for_model(name))
    config = config_class(**{**_TINY, **MIXTURES[name].config})
    model = with_seeded_weights(transformers.AutoModelForCausalLM.from_config(config), dtype)
    model.set_experts_implementation(implementation)
    return model


def tokens(rows: int = 2, length: int = 7) -> torch.Tensor:
    """Tokens [row, position]."""
    return torch.randint(3, 250, (rows, length), generator=torch.Generator().manual_seed(2))


def experts_of(model: Any, name: str, layer: str) -> nn.Module:
    """transformers' module of the experts of a layer."""
    return model.model.layers[int(layer)].get_submodule(f"{MIXTURES[name].path}.experts")


def expert_weights(experts: Any, number: int) -> dict[str, torch.Tensor]:
    """Weights [output, input] and biases of one expert, as views: what is changed there is."""
    both, down = experts.gate_up_proj[number], experts.down_proj[number]
    biases = {}
    if hasattr(experts, "gate_up_proj_bias"):  # GPT-OSS: [input, output], gate and up alternate
        both, down = both.T, down.T
        bias = experts.gate_up_proj_bias[number]
        biases = {"gate_bias": bias[::2], "up_bias": bias[1::2], "down_bias": experts.down_proj_bias[number]}  # fmt: skip
        return {"gate": both[::2], "up": both[1::2], "down": down, **biases}
    return {"gate": both[:WIDTH], "up": both[WIDTH:], "down": down}


def by_a_slow_loop(
    weights: dict[str, torch.Tensor], x: torch.Tensor, own_gate: bool = False
) -> dict[str, torch.Tensor]:
    """What one expert makes of one token [hidden], at each of its hookpoints."""

    def linear(of: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, weights[of], weights.get(f"{of}_bias"))

    gate, up = linear("gate", x), linear("up", x)
    if own_gate:  # arXiv 2508.10925 and its reference code: limit 7, alpha 1.702
        limited = gate.clamp(max=7)
        inside = limited * torch.sigmoid(1.702 * limited) * (up.clamp(-7, 7) + 1)
        return {"gate": gate, "up": up, "down_in": inside, "down": linear("down", inside)}
    act = functional.silu(gate)
    values = {"gate": gate, "up": up, "act": act, "down_in": act * up}
    return {**values, "down": linear("down", act * up)}
