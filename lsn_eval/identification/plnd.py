"""How much the model's state changes where a neuron is switched off (Zhao et al. 2024)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from lsn_eval.identification.checkpoint_weights import open_checkpoint
from lsn_eval.identification.selection import (
    ENOUGH,
    IdentificationError,
    Selection,
    check_languages,
    check_rate,
    enough_at,
    lowest,
    model_at,
    one_hookpoint,
    share,
)
from lsn_eval.statistics import ActivationStats
from lsn_eval.wording.lists import listed

if TYPE_CHECKING:
    from torch import nn

HOOKPOINT = "mlp.down_in"
_REMEDY = "give the weights of the model that was recorded"


def plnd(
    stats: ActivationStats,
    *,
    weights: str | os.PathLike[str] | nn.Module,
    top_rate: float = 0.01,
) -> Selection:
    """Per language, the neurons among the `round(top_rate * layers * neurons)` of greatest
    deactivation effect that are so in no other language.

    Zhao et al. (2024, "How do Large Language Models Handle Multilingualism?", arXiv 2402.18815),
    parallel language-specific neuron detection, feed-forward layers. A neuron's effect at a token
    is the L2 norm of what its MLP puts out less what it puts out with the neuron at 0. As the down
    projection is linear, that is |h| * ||w||, with h the neuron's input to the projection and w its
    column there: so the effects of all neurons come from one ordinary pass, and their root mean
    square over a language's tokens from the recorded mean and variance of h,
    sqrt(variance + mean^2) * ||w||.

    It costs no pass but the recording's at `mlp.down_in`, and reading the down projections.

    Other than there: the paper asks for an effect above a bar at each text of a language, and here
    it is taken over all of its tokens; and attention is left out, whose effects are not linear.
    Ties are broken by (layer, neuron).

    Args:
        weights: the model that was recorded: a checkpoint folder, or a loaded model.

    Raises:
        IdentificationError: no `mlp.down_in` was recorded, or the weights are of another model.
    """
    check_rate("top_rate", top_rate)
    check_languages(stats)
    model = model_at(stats.model, one_hookpoint(stats, HOOKPOINT))
    checkpoint = open_checkpoint(weights)
    layers = checkpoint.layers()
    if tuple(layers) != model.layers or model.type not in (None, checkpoint.model_type):
        raise IdentificationError(
            f"{checkpoint.name} is a {checkpoint.model_type} model of {len(layers)} layers, and "
            f"the statistics are of a {model.type} model of {len(model.layers)}; {_REMEDY}"
        )
    of_layers = [checkpoint.down_weights(*layer).norm(dim=1).numpy() for layer in layers.values()]
    if (widths := {norm.size for norm in of_layers}) != {model.widths[HOOKPOINT]}:
        raise IdentificationError(
            f"{checkpoint.name} has {listed(sorted(widths))} neurons a layer, and "
            f"{model.widths[HOOKPOINT]} were recorded in each; {_REMEDY}"
        )
    norms = np.stack(of_layers)
    variance, mean = (stats.get(HOOKPOINT, name) for name in ("variance", "mean"))
    strong = [
        lowest(-np.sqrt(var + middle**2) * norms, share(top_rate, model, HOOKPOINT))
        for var, middle in zip(variance, mean, strict=True)
    ]
    alone = [
        np.setdiff1d(mine, np.concatenate([*strong[:row], *strong[row + 1 :]]))
        for row, mine in enumerate(strong)
    ]
    total = norms.size
    more = enough_at(min(total, ENOUGH + share(top_rate, model, HOOKPOINT)), total)
    shared = f"the rest of its strongest are another language's too; try top_rate {more} or more"
    return Selection.at(stats.languages, model, HOOKPOINT, alone, lambda row: shared)
