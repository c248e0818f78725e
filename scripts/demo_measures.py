"""What the demo model is accepted by: perplexity changes, random controls, LAPE's recovery."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import torch
from demo_planting import Planted
from torch import Tensor, nn
from tqdm import tqdm
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

CONTROLS = 19
"""Random controls a language: the planted set beating all of them has a chance of 1 in 20."""
LAPE_BAR = 0.95
"""LAPE's activation bar: this quantile of all probabilities (Tang et al. 2024, section 2.2)."""


@contextmanager
def zeroed(model: LlamaForCausalLM, neurons: list[list[int]]) -> Iterator[None]:
    """Set the output of the activation function to 0 at ``neurons``, one list per layer."""

    def zero_at(chosen: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        def zero(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return output.index_fill(-1, chosen, 0.0)

        return zero

    handles = [
        block.mlp.act_fn.register_forward_hook(zero_at(torch.tensor(chosen, dtype=torch.long)))
        for block, chosen in zip(model.model.layers, neurons, strict=True)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def padded_batches(
    tokenizer: PreTrainedTokenizerBase, texts: list[str], rows: int = 16
) -> Iterator[tuple[Tensor, Tensor]]:
    """Token ids ``[row, position]`` after an end-of-text prefix, and which of them are text.

    Padding is on the right, where causal attention does not see it.

    Raises:
        ValueError: a text is longer than the model's positions.
    """
    end = tokenizer.eos_token_id
    encoded = [[end, *tokenizer(text)["input_ids"]] for text in texts]
    longest = max(map(len, encoded))
    if longest > tokenizer.model_max_length:
        raise ValueError(
            f"a document has {longest} tokens, the model {tokenizer.model_max_length} positions: "
            "write shorter documents"
        )
    for start in range(0, len(encoded), rows):
        part = encoded[start : start + rows]
        length = max(map(len, part))
        ids = torch.tensor([row + [end] * (length - len(row)) for row in part])
        last = torch.tensor([len(row) for row in part])[:, None]
        position = torch.arange(length)
        yield ids, (position > 0) & (position < last)


@torch.no_grad()
def total_nll(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, texts: list[str]
) -> tuple[float, int]:
    """Negative log-likelihood of ``texts`` in nats, and the number of their tokens."""
    total, count = 0.0, 0
    for ids, real in padded_batches(tokenizer, texts):
        logits = model(input_ids=ids).logits[:, :-1].float()
        losses = nn.functional.cross_entropy(
            logits.transpose(1, 2), ids[:, 1:], reduction="none"
        ).double()
        total += losses[real[:, 1:]].sum().item()
        count += int(real.sum())
    return total, count


def draw_control(planted: Planted, language: str, width: int, number: int) -> list[list[int]]:
    """As many random neurons per layer as ``language`` has, none planted for any language."""
    drawn = []
    for layer, own in enumerate(planted[language]):
        taken = {neuron for layers in planted.values() for neuron in layers[layer]}
        free = [neuron for neuron in range(width) if neuron not in taken]
        rng = Random(f"control/{language}/{number}/{layer}")
        drawn.append(sorted(rng.sample(free, len(own))))
    return drawn


def measure_changes(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    planted: Planted,
    texts: dict[str, list[str]],
) -> dict[str, Any]:
    """Relative changes of perplexity when neurons are zeroed.

    Returns:
        ``perplexity`` per language; ``change[zeroed language][text language]``; ``controls``:
        per language the changes of its own text under each random control.
    """
    width = model.config.intermediate_size
    baseline = {language: total_nll(model, tokenizer, texts[language]) for language in planted}

    def change(language: str) -> float:
        before, tokens = baseline[language]
        after, _ = total_nll(model, tokenizer, texts[language])
        return math.expm1((after - before) / tokens)

    matrix: dict[str, dict[str, float]] = {}
    controls: dict[str, list[float]] = {}
    for language in tqdm(planted, desc="zeroing", unit="language"):
        with zeroed(model, planted[language]):
            matrix[language] = {other: change(other) for other in planted}
        controls[language] = []
        for number in range(1, CONTROLS + 1):
            with zeroed(model, draw_control(planted, language, width, number)):
                controls[language].append(change(language))
    perplexity = {
        language: math.exp(total / tokens) for language, (total, tokens) in baseline.items()
    }
    return {"perplexity": perplexity, "change": matrix, "controls": controls}


@torch.no_grad()
def firing_probability(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, texts: dict[str, list[str]]
) -> Tensor:
    """Share of text tokens with a positive activation, ``[language, layer, neuron]``."""
    layers, width = model.config.num_hidden_layers, model.config.intermediate_size
    fired = torch.zeros(len(texts), layers, width, dtype=torch.float64)
    tokens = torch.zeros(len(texts), dtype=torch.float64)
    state: dict[str, Tensor] = {}
    rank = 0

    def count(layer: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def add(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            fired[rank, layer] += (output[state["real"]] > 0).sum(0)

        return add

    handles = [
        block.mlp.act_fn.register_forward_hook(count(layer))
        for layer, block in enumerate(model.model.layers)
    ]
    try:
        for rank, language in enumerate(tqdm(texts, desc="recording", unit="language")):
            for ids, real in padded_batches(tokenizer, texts[language]):
                state["real"] = real
                model(input_ids=ids)
                tokens[rank] += real.sum()
    finally:
        for handle in handles:
            handle.remove()
    return fired / tokens[:, None, None]


def lape(probability: Tensor, rate: float) -> Tensor:
    """LAPE's neurons (Tang et al. 2024, section 2.2), booleans ``[language, layer, neuron]``.

    The entropy of a neuron's probabilities, normalised over languages; neurons below the bar in
    every language are out; the ``rate`` of all neurons with the lowest entropy stays; such a
    neuron belongs to every language where its probability is above the bar.
    """
    share = probability / probability.sum(0, keepdim=True).clamp(min=1e-300)
    entropy = -(share * share.clamp(min=1e-300).log()).sum(0)
    flat = probability.flatten()
    bar = flat.kthvalue(round(LAPE_BAR * flat.numel())).values
    entropy[probability.amax(0) <= bar] = math.inf
    keep = round(rate * entropy.numel())
    order = entropy.flatten().argsort(stable=True)[:keep]
    chosen = torch.zeros(entropy.numel(), dtype=torch.bool)
    chosen[order] = entropy.flatten()[order].isfinite()
    return (probability > bar) & chosen.view_as(entropy)


def recovery(found: Tensor, truth: Tensor, languages: list[str]) -> dict[str, dict[str, float]]:
    """Precision and recall of ``found`` against ``truth``, both ``[language, layer, neuron]``."""
    scores = {}
    for rank, language in enumerate(languages):
        hits = (found[rank] & truth[rank]).sum().item()
        scores[language] = {
            "precision": hits / max(found[rank].sum().item(), 1),
            "recall": hits / truth[rank].sum().item(),
        }
    return scores


def print_figures(figures: dict[str, Any]) -> None:
    """Print the matrices, the largest control per language and LAPE's recovery."""
    for dtype in ("float32", "bfloat16"):
        measured = figures[dtype]
        languages = list(measured["change"])
        print(f"\n{dtype}: change of perplexity in per cent; row = zeroed, column = text")
        print("        " + "".join(f"{language:>8}" for language in languages))
        for row in languages:
            cells = "".join(f"{100 * measured['change'][row][c]:8.2f}" for c in languages)
            print(f"{row:>8}{cells}")
        largest = "".join(f"{100 * max(measured['controls'][c]):8.2f}" for c in languages)
        print(f"{'control':>8}{largest}   (largest of {len(measured['controls'][languages[0]])})")
        print(f"{'ppl':>8}" + "".join(f"{measured['perplexity'][c]:8.2f}" for c in languages))
    print(f"\nLAPE at rate {figures['lape_rate']:.4f}")
    for language, score in figures["lape"].items():
        print(f"{language:>8}  precision {score['precision']:.3f}  recall {score['recall']:.3f}")
