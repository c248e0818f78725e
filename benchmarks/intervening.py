"""An intervention against the plain model: ours, the papers' monkey-patch, lm-eval's `steered`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from lm_eval.models.hf_steered import SteeredModel, steer

from benchmarks.measuring import Options, Way, interleaved
from benchmarks.models import LAYERS, llama, neurons, passes, patched
from lsn_eval import NeuronMask, intervene
from lsn_eval.models.layout import ModelLayout

CONDITIONS = ("de:zero", "de:1.5", "de:x0.5", "de:+1")


def rows(
    options: Options, peer: str = "", calling: Callable[[Any, list[Any]], Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Args:
    peer: another library.
    calling: makes of a model and of columns by layer a function that is called as the model is,
        sets these columns to 0 and returns logits.
    """
    for hidden in options.of((64,), (256,), (256, 1024)):
        model: Any = llama(hidden).to(options.device)
        width = model.config.intermediate_size
        chosen = neurons(width)
        layout = ModelLayout.numbered(LAYERS, {"mlp.act": width}, type="llama")
        by_layer = {str(layer): found for layer, found in enumerate(chosen)}
        mask = NeuronMask({"de": {"mlp.act": by_layer}}, model=layout)
        columns = [torch.as_tensor(found, device=options.device) for found in chosen]
        vector = torch.zeros(width, device=options.device)
        steered = {
            f"layers.{layer}.mlp.act_fn": partial(
                SteeredModel.add, vector=vector.index_fill(0, own, 1.0), head_index=None
            )
            for layer, own in enumerate(columns)
        }
        ours = {name: partial(intervene, model, mask, name) for name in CONDITIONS}
        monkey = partial(patched, model, columns)
        theirs = calling and calling(deepcopy(model), columns)
        if theirs:
            _equal(model, theirs, monkey, ours["de:zero"])
        for name, (timed, rounds) in passes(options).items():
            ways: dict[str, Way] = {
                "plain": timed(model),
                **{condition: timed(model, around) for condition, around in ours.items()},
                "monkey-patch, zero": timed(model, monkey),
                "steered of lm-eval, +1": timed(model, partial(steer, model, steered)),
            }
            if theirs:
                ways[f"{peer}, zero"] = timed(theirs)
            case = f"{name}, hidden {hidden}"
            # Differences of a hundredth, on a machine whose noise is a tenth.
            enough = options.of(1, 12, 40)
            yield from interleaved("intervening", case, ways, rounds, options.device, enough=enough)


@torch.no_grad()
def _equal(model: Any, theirs: Any, *around: Any) -> None:
    tokens = torch.tensor([[3, 5, 7]], device=model.device)
    for one in around:
        with one():
            expected = model(tokens).logits
        torch.testing.assert_close(theirs(tokens), expected)
