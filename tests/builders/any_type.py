"""A tiny model of any text model type of transformers, from sizes alone: nothing is known of it.

What a config calls its sizes is looked up in one table; what it does not have is left out. What
fits no type by this is what `scripts/sweep_model_types.py` calls "not built".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers
from torch import nn
from transformers.models.auto import modeling_auto

VOCABULARY, LAYERS, HIDDEN, WIDTH, HEADS, KEYS = 257, 2, 32, 48, 4, 2
MOST_PARAMETERS = 30_000_000

_SIZES: Sequence[tuple[int, str]] = (
    (
        VOCABULARY,
        "vocab_size n_vocab entity_vocab_size vocab_size_per_layer_input src_vocab_size tgt_vocab_size "
        "audio_vocab_size",
    ),
    (
        LAYERS,
        "num_hidden_layers num_layers n_layer n_layers encoder_layers decoder_layers "
        "num_encoder_layers num_decoder_layers encoder_n_layers n_head_layers",
    ),
    (
        HIDDEN,
        "hidden_size d_model n_embd dim emb_dim embed_dim word_embed_proj_dim embedding_size "
        "lru_width attention_hidden_size hidden_dim d_embed decoder_hidden_size "
        "intra_bottleneck_size entity_emb_size",
    ),
    (
        WIDTH,
        "intermediate_size ffn_dim d_ff n_inner dff encoder_ffn_dim decoder_ffn_dim dim_ff d_inner "
        "ffn_hidden_size shared_intermediate_size moe_intermediate_size shared_expert_intermediate_size "
        "moe_shared_expert_intermediate_size intermediate_size_mlp expert_ffn_hidden_size",
    ),
    (
        HEADS,
        "num_attention_heads num_heads n_head n_heads encoder_attention_heads "
        "decoder_attention_heads attention_heads num_encoder_attention_heads "
        "num_decoder_attention_heads linear_num_value_heads linear_num_key_heads "
        "swa_num_attention_heads",
    ),
    (KEYS, "num_key_value_heads num_kv_heads multi_query_group_num swa_num_key_value_heads"),
    (
        8,
        "head_dim d_kv d_head attention_head_size linear_key_head_dim linear_value_head_dim "
        "mamba_d_head mamba_head_dim kv_channels qk_nope_head_dim v_head_dim qk_rope_head_dim "
        "hidden_size_per_layer_input dim_head swa_head_dim rotary_dim mamba_d_state global_head_dim "
        "swa_v_head_dim mamba_n_heads n_mamba_heads mamba_num_heads",
    ),
    (16, "q_lora_rank kv_lora_rank chunk_size mamba_chunk_size"),
    (64, "mamba_d_ssm"),
    (4, "num_experts num_local_experts n_routed_experts moe_num_experts laurel_rank index_n_heads"),
    (2, "num_experts_per_tok moe_topk moe_k top_k_experts"),
    (1, "n_group topk_group num_expert_groups n_groups mamba_n_groups"),
    (
        64,
        "max_position_embeddings n_positions max_seq_len max_source_positions "
        "max_target_positions max_seq_length sliding_window attention_window_size n_ctx",
    ),
)
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
_OTHERS = {"forced_eos_token_id": None, "forced_bos_token_id": None, "num_kv_shared_layers": 0,
           "attention_types": [[["global", "local"], 1]], "block_sizes": [1, 1],
           "attn_layers": ["local", "lsh"], "axial_pos_embds_dim": [16, 16],
           "axial_pos_shape": [8, 8], "activation_sparsity_pattern": [0.5, 0.0], "attn_layer_period": 2,
           "attn_layer_offset": 1, "full_attention_interval": 2}  # fmt: skip
SIZES: Mapping[str, Any] = {
    **{name: size for size, names in _SIZES for name in names.split()},
    **_TOKENS,
    **_OTHERS,
}


def text_model_types() -> list[str]:
    """Every type that transformers has a text model with a language model's head of."""
    names: set[str] = set()
    for of in ("CAUSAL_LM", "MASKED_LM", "SEQ_TO_SEQ_CAUSAL_LM"):
        names |= set(getattr(modeling_auto, f"MODEL_FOR_{of}_MAPPING_NAMES"))
    return sorted(names)


def sizes_of(config_class: type) -> dict[str, Any]:
    """The arguments of a config class that make it tiny, those of the configs inside it too."""
    plain = config_class()
    given = {name: size for name, size in SIZES.items() if _has(plain, name)}
    if "qk_rope_head_dim" in given:  # latent attention has head sizes of its own
        given.pop("head_dim", None)
        given |= {"num_key_value_heads": HEADS} if "num_key_value_heads" in given else {}
    kinds = getattr(plain, "layer_types", None)
    if isinstance(kinds, list) and _has(plain, "layer_types"):
        given["layer_types"] = kinds[-LAYERS:]  # of hybrids the last has attention
    for name, inside in getattr(config_class, "sub_configs", {}).items():
        sub_class = type(getattr(plain, name, None) or inside)
        if hasattr(sub_class, "model_type"):
            given[name] = sizes_of(sub_class)
            if sub_class.model_type:
                given[name]["model_type"] = sub_class.model_type
    return given


def _has(config: Any, name: str) -> bool:
    """Whether the config has a size of this name that can be set."""
    if isinstance(getattr(type(config), name, None), property):
        return False
    try:
        return hasattr(config, name)
    except Exception:  # of some, each layer may have its own
        return True


def any_config(model_type: str) -> Any:
    config_class = type(transformers.AutoConfig.for_model(model_type))
    sizes = sizes_of(config_class)
    try:
        return config_class(**sizes)
    except AttributeError:  # of some the kinds of layers follow from the rest
        return config_class(**{name: of for name, of in sizes.items() if name != "layer_types"})


def any_model(model_type: str, attention: str | None = "eager") -> nn.Module:
    """The tiny model with seeded weights, large enough for neurons to matter.

    Raises:
        Exception: whatever the type says against the sizes.
    """
    config = any_config(model_type)
    if attention:
        config._attn_implementation = attention
    kinds = (
        transformers.AutoModelForCausalLM,
        transformers.AutoModelForSeq2SeqLM,
        transformers.AutoModelForMaskedLM,
    )
    kind = next(kind for kind in kinds if type(config) in kind._model_mapping)
    if config.is_encoder_decoder and type(config) in kinds[1]._model_mapping:
        kind = kinds[1]
    with torch.device("meta"):
        count = sum(of.numel() for of in kind.from_config(config).parameters())
    if count > MOST_PARAMETERS:
        raise ValueError(f"too big: {count} parameters with a tiny config")
    torch.manual_seed(0)
    model = kind.from_config(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.empty(parameter.shape).normal_(0, 1, generator=generator)
            if parameter.ndim > 1:
                parameter.copy_(noise * 0.2)
            elif parameter.ndim == 1:
                parameter.add_(noise * 0.1)
    return model.eval()


def any_inputs(model: nn.Module, rows: int = 2, length: int = 7) -> dict[str, torch.Tensor]:
    """Tokens [row, position], none of them special."""
    generator = torch.Generator().manual_seed(2)
    given = {"input_ids": torch.randint(3, 250, (rows, length), generator=generator)}
    if model.config.is_encoder_decoder:
        given["decoder_input_ids"] = torch.randint(3, 250, (rows, 5), generator=generator)
    return given
