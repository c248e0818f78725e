"""The activation functions of the tiny models that have no SiLU, as formulas."""

from __future__ import annotations

from functools import partial

from torch.nn import functional

ACTIVATIONS = dict.fromkeys(
    ("bloom", "gemma", "gemma2", "gemma3", "gemma3_text", "gpt2"),
    partial(functional.gelu, approximate="tanh"),
)
