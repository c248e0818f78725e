"""An intervention against the plain model: ours, the papers' monkey-patch, lm-eval's `steered`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from lm_eval.models.hf_steered import SteeredModel, steer

from benchmarks.measuring import Options, Way, interleaved
from benchmarks.models import LAYERS, llama, neurons, passes, patched
from lsn_eval import NeuronMask, intervene
from lsn_eval.models.layout import ModelLayout

CONDITIONS = ("de:zero", "de:1.5", "de:x0.5", "de:+1")


def rows(options: Options) -> Iterator[dict[str, Any]]:
    for hidden in options.of((64,), (256,), (256, 1024)):
        model: Any = llama(hidden).to(options.device)
        width = model.config.intermediate_size
        chosen = neurons(width)
        layout = ModelLayout.numbered(LAYERS, {"mlp.act": width}, type="llama")
        by_layer = {str(layer): found for layer, found in enumerate(chosen)}
        mask = NeuronMask({"de": {"mlp.act": by_layer}}, model=layout)
        vector = torch.zeros(width, device=options.device)
        steered = {}
        for layer, found in enumerate(chosen):
            own = vector.index_fill(0, torch.as_tensor(found, device=options.device), 1.0)
            steered[f"layers.{layer}.mlp.act_fn"] = partial(
                SteeredModel.add, vector=own, head_index=None
            )
        for name, (timed, rounds) in passes(options).items():
            ways: dict[str, Way] = {
                "plain": timed(model),
                **{c: timed(model, partial(intervene, model, mask, c)) for c in CONDITIONS},
                "monkey-patch, zero": timed(model, partial(patched, model, chosen, options.device)),
                "steered of lm-eval, +1": timed(model, partial(steer, model, steered)),
            }
            case = f"{name}, hidden {hidden}"
            yield from interleaved("intervening", case, ways, rounds, options.device)
