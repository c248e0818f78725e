"""Error of the recorded quantiles against exact ones, on data that is hard for sketches.

    python benchmarks/quantiles.py

A stream of a million tokens, 64 neurons. Rank error: how far the share of tokens below the
recorded value is from .1, .5 or .9. Value error: in interquartile ranges of the exact values.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from lsn_eval.masks.names import quantile_share
from lsn_eval.statistics.quantiles import SampleBuilder, quantiles_of, token_keys

NEURONS = 64


def silu(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values / (1 + np.exp(-values))


def streams(tokens: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Values [token, neuron] of each kind."""
    generator = np.random.default_rng(seed)
    shape = (tokens, NEURONS)
    drift = np.linspace(-2, 2, tokens)[:, None]
    made = {
        "normal": generator.normal(size=shape),
        "skewed (SiLU of a normal)": silu(generator.normal(-1, 2, size=shape)),
        "drifting (SiLU, mean from -2 to 2)": silu(generator.normal(size=shape) + drift),
        "sorted": np.sort(generator.normal(size=shape), axis=0),
        "heavy-tailed (Cauchy)": generator.standard_cauchy(size=shape),
        "nine in ten are 0 (ReLU)": np.maximum(0, generator.normal(-1.28, 1, size=shape)),
    }
    return {name: values.astype(np.float32) for name, values in made.items()}


def sampled(values: NDArray[np.float32], size: int, salt: int, batch: int = 4096) -> NDArray:
    """The sample [token, neuron] that recording would keep."""
    builder = SampleBuilder(size)
    kept = np.zeros((size, values.shape[1]), np.float16)
    for start in range(0, len(values), batch):
        rows = np.full(min(batch, len(values) - start), start // batch)
        chosen, slots = builder.choose(token_keys(salt, rows, np.arange(rows.size)))
        with np.errstate(over="ignore"):
            kept[slots] = np.clip(values[start + chosen], -65504, 65504)
    return kept[builder.order()]


def errors(values: NDArray[np.float32], sample: NDArray) -> dict[str, tuple[float, float, float]]:
    """Mean and largest rank error, and mean value error, of each quantile."""
    ordered = np.sort(values, axis=0)
    quarter, three = np.quantile(ordered, [0.25, 0.75], axis=0)
    spread = three - quarter
    found = {}
    for name, estimates in quantiles_of(sample).items():
        share = quantile_share(name)
        exact = np.quantile(ordered, share, axis=0)
        ranks = []
        for neuron, estimate in enumerate(estimates):
            column = ordered[:, neuron]
            # Float16 keeps 11 bits: ties within that rounding are no rank error.
            slack = abs(float(estimate)) * 5e-4
            low = np.searchsorted(column, estimate - slack, "left") / len(column)
            high = np.searchsorted(column, estimate + slack, "right") / len(column)
            ranks.append(max(0.0, low - share, share - high))
        value = np.abs(estimates - exact) / np.where(spread > 0, spread, 1)
        found[name] = (float(np.mean(ranks)), float(np.max(ranks)), float(value.mean()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, nargs="+", default=[4096, 1024])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    print("| data | sample | quantile | rank error, mean | largest | value error, mean (IQR) |")
    print("| --- | --- | --- | --- | --- | --- |")
    totals: dict[tuple[str, int, str], list[tuple[float, float, float]]] = {}
    for seed in range(arguments.seeds):
        for kind, values in streams(arguments.tokens, seed).items():
            for size in arguments.size:
                for name, figures in errors(values, sampled(values, size, seed)).items():
                    totals.setdefault((kind, size, name), []).append(figures)
    for (kind, size, name), found in totals.items():
        means, largest, value = zip(*found, strict=True)
        print(
            f"| {kind} | {size} | {name} | {np.mean(means):.4f} | {max(largest):.4f} | "
            f"{np.mean(value):.4f} |"
        )


if __name__ == "__main__":
    main()
