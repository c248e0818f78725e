"""One seed a request, for sampled generation that is the same under every condition and batch size.

lm-eval has no field for the seed of a request: `hf` hands unknown generation arguments to
transformers, which refuses them. What every model takes, and what response caches and batching
read, are the stop strings; so the seed travels as one that no model writes. Requests with
different seeds are never batched together and never share a cached response, with any model. A
model that knows nothing of it samples from its global seed; `lsn_hf` reads it here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_MARKER = re.compile(r"<\|lsn_seed:(\d+)\|>")


def seed_marker(seed: int) -> str:
    """The stop string that carries a seed."""
    return f"<|lsn_seed:{seed}|>"


def take_seed(stop: Sequence[str], otherwise: Any = None) -> tuple[int | None, list[str]]:
    """The seed among stop strings, or `otherwise`, and the stop strings that are real."""
    seed, real = otherwise, []
    for text in stop:
        if marker := _MARKER.fullmatch(text):
            seed = marker[1]
        else:
            real.append(text)
    return None if seed is None else int(seed), real


class SeededGeneration:
    """Mix-in before lm-eval's `HFLM`: a request's seed, marked or as `seed` in its arguments.

    PyTorch's generators are as they were afterwards, so that other sampled tasks of the same run
    give what they would without.
    """

    def _model_generate(
        self,
        context: Any,
        max_length: int,
        stop: Sequence[str],
        **options: Any,
    ) -> Any:
        import torch

        seed, real = take_seed(stop, options.pop("seed", None))
        generate = super()._model_generate  # type: ignore[misc]
        if seed is None:
            return generate(context=context, max_length=max_length, stop=real, **options)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            return generate(context=context, max_length=max_length, stop=real, **options)
