"""What an intervention costs: prefill and decoding with and without it, interleaved, one thread.

    python benchmarks/intervention.py [HIDDEN ...]

Llamas of 8 layers, one per cent of the neurons of each. Prints the median and quartiles of the
ratio to the plain model in the process's own time, pair by pair; the first row compares plain with
plain, so it shows what the machine's noise alone does.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import numpy as np
import torch
import transformers

from lsn_eval import NeuronMask, intervene
from lsn_eval.models.layout import ModelLayout

LAYERS, SHARE, VOCABULARY = 8, 0.01, 2000
ROWS, LENGTH, TOKENS = 4, 256, 16
ROUNDS = {"prefill": 15, "decode": 60}
CONDITIONS = ("de:zero", "de:1.5", "de:x0.5", "de:+1")


def llama(hidden: int) -> tuple[transformers.LlamaForCausalLM, NeuronMask]:
    """A model and a mask of a share of the neurons of every layer."""
    width = hidden * 11 // 4
    config = transformers.LlamaConfig(
        hidden_size=hidden,
        intermediate_size=width,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        vocab_size=VOCABULARY,
    )
    generator, count = np.random.RandomState(0), max(1, round(SHARE * width))
    neurons = {str(layer): np.sort(generator.permutation(width)[:count]) for layer in range(LAYERS)}
    layout = ModelLayout.numbered(LAYERS, {"mlp.act": width}, type="llama")
    mask = NeuronMask({"de": {"mlp.act": neurons}}, model=layout)
    return transformers.LlamaForCausalLM(config).eval(), mask


def prefill(model: transformers.LlamaForCausalLM, context: AbstractContextManager[object]) -> float:
    """Seconds for a batch."""
    tokens = torch.randint(0, VOCABULARY, (ROWS, LENGTH))
    with torch.no_grad(), context:
        start = time.process_time()
        model(tokens)
        return time.process_time() - start


def decode(model: transformers.LlamaForCausalLM, context: AbstractContextManager[object]) -> float:
    """Seconds for some tokens one by one, after the first of them."""
    cache = transformers.DynamicCache(config=model.config)
    token = torch.tensor([[5]])
    with torch.no_grad(), context:
        model(torch.randint(0, VOCABULARY, (1, 16)), past_key_values=cache)
        model(token, past_key_values=cache)
        start = time.process_time()
        for _ in range(TOKENS):
            model(token, past_key_values=cache)
        return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for hidden in map(int, sys.argv[1:] or ("256", "1024")):
        model, mask = llama(hidden)
        rows: dict[str, Callable[[], AbstractContextManager[object]]] = {
            "plain": nullcontext,
            **{text: partial(intervene, model, mask, text) for text in CONDITIONS},
        }
        for measure in (prefill, decode):
            ratios: dict[str, list[float]] = {name: [] for name in rows}
            for number in range(ROUNDS[measure.__name__] + 2):
                for name, context in rows.items():
                    # Plain first in one round and last in the next, so that drift cancels.
                    if number % 2:
                        plain, other = measure(model, nullcontext()), measure(model, context())
                    else:
                        other, plain = measure(model, context()), measure(model, nullcontext())
                    if number >= 2:
                        ratios[name].append(other / plain)
            print(f"{LAYERS} layers, hidden {hidden}, float32, {measure.__name__}: ratio to plain")
            for name, values in ratios.items():
                low, middle, high = statistics.quantiles(values, n=4)
                print(f"  {name:8} {middle:.3f} [{low:.3f}, {high:.3f}]", flush=True)


if __name__ == "__main__":
    main()
