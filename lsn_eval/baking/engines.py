"""What engines are known to leave out of a checkpoint without an error: facts, from their source.

transformers and ONNX Runtime GenAI read what is written here, as tests hold. vLLM and SGLang run a
type that they have no class of their own for by transformers' class; llama.cpp refuses a file with
a tensor that it does not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Fact(NamedTuple):
    """`engine` leaves `what` of models of these types out, where `setting` is on."""

    engine: str
    setting: str
    what: str
    types: tuple[str, ...]


VLLM, SGLANG, CTRANSLATE2 = "vLLM 0.33", "SGLang 0.5.23", "CTranslate2 4.8"
LLAMA3_ROPE = "rope_type llama3"
FACTS = (
    Fact(VLLM, "attention_bias", "attention biases", ("cohere", "cohere2", "falcon_h1", "gemma")),
    Fact(VLLM, "attention_bias", "the bias of attn.o", ("qwen3",)),
    Fact(VLLM, "mlp_bias", "MLP biases", ("falcon_h1",)),
    Fact(VLLM, "use_bias", "all biases", ("ernie4_5",)),
    Fact(
        SGLANG,
        "attention_bias",
        "attention biases",
        ("cohere", "cohere2", "falcon_h1", "gemma", "granite"),
    ),
    Fact(SGLANG, "mlp_bias", "MLP biases", ("arcee", "falcon_h1", "granite", "llama")),
    Fact(SGLANG, "use_bias", "MLP biases", ("ernie4_5",)),
    Fact(CTRANSLATE2, LLAMA3_ROPE, "the factor of RoPE scaling", ("llama",)),
)


def ignored_by(config: Any, settings: Mapping[str, Any]) -> list[str]:
    """What engines would leave out of a model, in words.

    Args:
        config: of the original.
        settings: of the config that baking changed.
    """
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    on = {name for name, value in settings.items() if value is True}
    on |= {LLAMA3_ROPE} & {f"rope_type {rope.get('rope_type')}"}
    return [
        f"{fact.engine} leaves out {fact.what}"
        for fact in FACTS
        if fact.setting in on and text.model_type in fact.types
    ]
