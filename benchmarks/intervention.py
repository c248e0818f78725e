"""What an intervention costs: forward passes with and without it, interleaved, one thread.

    python benchmarks/intervention.py

Prints the median and quartiles of the ratio to the plain forward pass, pair by pair; the first row
compares plain with plain, so it shows what the machine's noise alone does.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
import transformers

from lsn_eval import NeuronMask, intervene
from lsn_eval.models.layout import ModelLayout

LAYERS, HIDDEN, WIDTH = 4, 512, 1376
BATCH, LENGTH, ROUNDS = 4, 256, 25


def main() -> None:
    """Measure one and ten per cent of the neurons, set and scaled."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=HIDDEN,
        intermediate_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        vocab_size=2000,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    tokens = torch.randint(0, 2000, (BATCH, LENGTH))
    generator = np.random.RandomState(0)

    def mask(share: float) -> NeuronMask:
        count = round(share * WIDTH)
        layers = {
            str(layer): np.sort(generator.permutation(WIDTH)[:count]) for layer in range(LAYERS)
        }
        made_for = ModelLayout.numbered(LAYERS, {"mlp.act": WIDTH}, type="llama")
        return NeuronMask({"de": {"mlp.act": layers}}, model=made_for)

    one, ten = mask(0.01), mask(0.10)
    rows: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "plain again (A/A)": nullcontext,
        "1 % of neurons, de:zero": lambda: intervene(model, one, "de:zero"),
        "10 % of neurons, de:zero": lambda: intervene(model, ten, "de:zero"),
        "10 % of neurons, de:x0.5": lambda: intervene(model, ten, "de:x0.5"),
    }

    def seconds(context: AbstractContextManager[object]) -> float:
        with torch.no_grad(), context:
            start = time.perf_counter()
            model(tokens)
            return time.perf_counter() - start

    ratios: dict[str, list[float]] = {name: [] for name in rows}
    for number in range(ROUNDS + 2):
        for name, context in rows.items():
            # Plain first in one round and last in the next, so that drift cancels.
            if number % 2:
                plain, other = seconds(nullcontext()), seconds(context())
            else:
                other, plain = seconds(context()), seconds(nullcontext())
            if number >= 2:
                ratios[name].append(other / plain)
    print(f"{LAYERS} layers, hidden {HIDDEN}, width {WIDTH}, {BATCH} x {LENGTH} tokens, float32")
    print("ratio to the plain forward pass: median [quartiles]")
    for name, values in ratios.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"  {name:26} {middle:.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
