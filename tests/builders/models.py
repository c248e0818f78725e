"""Tiny models of every family, built from configs: no download, no GPU, two layers of 32."""

from __future__ import annotations

import numpy as np
import torch
import transformers
from torch import nn

from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.hookpoints import resolve
from lsn_eval.models.layout import ModelLayout

VOCABULARY = 257
LAYERS, WIDTH, HIDDEN = 2, 48, 32


_LLAMA_LIKE = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": 256,
    "pad_token_id": 256,
}


def tiny_config(model_type: str) -> transformers.PretrainedConfig:
    """A two-layer config of a family."""
    if model_type == "gpt2":
        return transformers.GPT2Config(
            vocab_size=VOCABULARY, n_embd=HIDDEN, n_inner=WIDTH, n_layer=LAYERS, n_head=4,
            n_positions=64, bos_token_id=256, eos_token_id=256,
        )  # fmt: skip
    if model_type == "bloom":
        return transformers.BloomConfig(
            vocab_size=VOCABULARY, hidden_size=HIDDEN, n_layer=LAYERS, n_head=4,
            bos_token_id=256, eos_token_id=256, pad_token_id=256,
        )  # fmt: skip
    config_class = type(transformers.AutoConfig.for_model(model_type))
    if model_type == "gemma3":
        vision = {
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 14, "patch_size": 14,
        }  # fmt: skip
        return config_class(text_config=dict(_LLAMA_LIKE), vision_config=vision)
    return config_class(**_LLAMA_LIKE)


def tiny_model(model_type: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A model of a family with seeded weights, large enough for neurons to matter."""
    torch.manual_seed(0)
    config = tiny_config(model_type)
    if model_type == "gemma3":
        model = transformers.Gemma3ForConditionalGeneration(config)
    else:
        model = transformers.AutoModelForCausalLM.from_config(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.2, generator=generator)
            elif parameter.ndim == 1:
                parameter.add_(torch.empty_like(parameter).normal_(0, 0.1, generator=generator))
    return model.to(dtype).eval()


def tiny_mask(
    model: nn.Module, hookpoint: str = "mlp.act", seed: int = 0, controls: int = 2
) -> NeuronMask:
    """Three languages: `de` and `fr` share neurons, `vi` has neurons in the last layer alone."""
    found = resolve(model)
    width = found.widths()[hookpoint]
    generator = np.random.RandomState(seed)

    def pick(count: int) -> np.ndarray:
        return np.sort(generator.permutation(width)[:count])

    de = {layer: pick(5) for layer in found.layer_names}
    fr = {layer: np.union1d(indices[:2], pick(3)) for layer, indices in de.items()}
    vi = {found.layer_names[-1]: pick(2)}
    neurons = {"de": {hookpoint: de}, "fr": {hookpoint: fr}, "vi": {hookpoint: vi}}
    mask = NeuronMask(
        neurons,
        model=ModelLayout(found.layer_names, {hookpoint: width}, type=found.model_type),
    ).with_controls(controls)
    values = {
        who: {
            hookpoint: {
                layer: {
                    statistic: generator.normal(size=mask.indices(who, at, layer).size)
                    for statistic in ("mean", "p90")
                }
                for at, layer in mask.places(who)
            }
        }
        for who in mask.who
    }
    return mask.with_values(values)


def hooks_of(model: nn.Module) -> int:
    """How many hooks are on a model."""
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )
