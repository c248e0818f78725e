"""GGUF files of a Llama with a byte-level tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def write_gguf(path: Path, model: Any, tokenizer: Any, quantised: bool = False) -> None:
    """The model and its tokenizer in one file, in float32 or its matrices in Q8_0."""
    import gguf

    config, writer = model.config, gguf.GGUFWriter(path, "llama")
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads["q_proj"])
    writer.add_head_count_kv(heads["k_proj"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    words = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(vocabulary := tokenizer.get_vocab(), key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(tokens))
    writer.add_token_merges([" ".join(pair) for pair in words["merges"]])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        values = tensor.float().numpy()
        for part, count in heads.items():
            if part in name:  # the halves of a head's rows alternate in these files
                halves = values.reshape(count, 2, -1, *values.shape[1:])
                values = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))
        kind = gguf.GGMLQuantizationType.Q8_0 if quantised and values.ndim == 2 else None
        if kind is not None:
            values = gguf.quants.quantize(values, kind)
        to = names.get_name(name, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(to, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
