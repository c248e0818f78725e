"""The activation functions of the tiny models, as formulas."""

from __future__ import annotations

from torch.nn import functional

ACTIVATIONS = {
    "bloom": lambda x: functional.gelu(x, approximate="tanh"),
    "gemma": lambda x: functional.gelu(x, approximate="tanh"),
    "gemma2": lambda x: functional.gelu(x, approximate="tanh"),
    "gemma3": lambda x: functional.gelu(x, approximate="tanh"),
    "gemma3_text": lambda x: functional.gelu(x, approximate="tanh"),
    "gpt2": lambda x: functional.gelu(x, approximate="tanh"),
}
