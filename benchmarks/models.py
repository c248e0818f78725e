"""Models from a configuration, and what is done to them: prefill and decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.measuring import Options, Way

VOCABULARY = 2000
LAYERS = 8
SHARE = 0.01
"""Of the neurons of every layer, written."""


def llama(hidden: int, layers: int = LAYERS, positions: int = 512) -> torch.nn.Module:
    """Llama's shape with random weights."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=hidden * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=max(1, hidden // 64),
        max_position_embeddings=positions,
        pad_token_id=0,
    )
    return transformers.LlamaForCausalLM(config).eval()


def neurons(width: int, layers: int = LAYERS) -> list[np.ndarray]:
    """Some of every layer."""
    generator, count = np.random.RandomState(0), max(1, round(SHARE * width))
    return [np.sort(generator.permutation(width)[:count]) for _ in range(layers)]


def passes(options: Options) -> dict[str, tuple[Callable[..., Way], int]]:
    """Prefill and decoding, each a function from `around`, what the model is under, and `call`,
    how it is called, to a way; and how many rounds."""
    rows, length, tokens = options.of((2, 8, 2), (4, 128, 16), (4, 128, 16))
    return {
        f"prefill {rows} x {length}": (
            lambda *given: _prefill(rows, length, options.device, *given),
            options.of(1, 7, 60),
        ),
        f"decode {tokens}": (
            lambda *given: _decode(tokens, options.device, *given),
            options.of(1, 15, 60),
        ),
    }


def _prefill(rows: int, length: int, device: str, call: Any, around: Any = nullcontext) -> Way:
    """A batch, after a first one."""

    @contextmanager
    def way() -> Iterator[Callable[[], object]]:
        tokens = torch.randint(0, VOCABULARY, (rows, length), device=device)
        with torch.no_grad(), around():
            call(tokens)
            yield lambda: call(tokens)

    return way


def _decode(count: int, device: str, call: Any, around: Any = nullcontext) -> Way:
    """So many tokens one by one, after a prompt and a first one."""

    @contextmanager
    def way() -> Iterator[Callable[[], object]]:
        cache = transformers.DynamicCache()
        token = torch.tensor([[5]], device=device)
        with torch.no_grad(), around():
            call(torch.randint(0, VOCABULARY, (1, 16), device=device), past_key_values=cache)
            call(token, past_key_values=cache)
            yield lambda: [call(token, past_key_values=cache) for _ in range(count)]

    return way


@contextmanager
def patched(model: Any, chosen: list[torch.Tensor]) -> Iterator[None]:
    """The papers' way: every MLP's `forward` replaced by a function that sets neurons to 0."""

    def forward(mlp: Any, columns: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        def replaced(hidden: torch.Tensor) -> torch.Tensor:
            activation = mlp.act_fn(mlp.gate_proj(hidden)).index_fill(-1, columns, 0)
            return mlp.down_proj(activation * mlp.up_proj(hidden))

        return replaced

    for layer, found in zip(model.model.layers, chosen, strict=True):
        layer.mlp.forward = forward(layer.mlp, found)
    try:
        yield
    finally:
        for layer in model.model.layers:
            del layer.mlp.forward
