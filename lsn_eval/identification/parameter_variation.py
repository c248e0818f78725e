"""How much tuning on one language changes a neuron (a comparison method of Tang et al. 2024)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lsn_eval.identification.checkpoint_weights import Checkpoint, open_checkpoint
from lsn_eval.identification.entropy import select_uneven
from lsn_eval.identification.selection import IdentificationError, Selection
from lsn_eval.models.families import Stack
from lsn_eval.models.layout import ModelLayout
from lsn_eval.wording.lists import listed

if TYPE_CHECKING:
    from torch import nn

    Source = str | os.PathLike[str] | nn.Module

HOOKPOINT = "mlp.act"
Reading = Literal["high", "low"]


def parameter_variation(
    *,
    before: Source,
    tuned: Mapping[str, Source],
    top_rate: float = 0.01,
    filter_rate: float = 0.95,
    activation_bar_rate: float = 0.95,
    equalize: bool = True,
    reading: Reading = "high",
) -> Selection:
    """Neurons whose weights change much in tuning on a language, and little in tuning on others; or
    the other way round.

    Args:
        before: the checkpoint that all tuning started from: a folder, or a loaded model.
        tuned: for each language, the checkpoint after tuning on texts of that language alone.
        equalize: divide each language's changes by their median first.
        reading: "high": a neuron is the language's whose tuning changes it, and others' does not.
            "low": whose tuning leaves it, and others' changes it.

    Tang et al. (2024, arXiv 2402.16438), among the methods they compare with, after Zhao et al.
    (2024). Descriptions disagree: by one, parameters that change at a high rate in one language's
    tuning and at a low rate in the others' are its own; by another those whose rate is low in few
    languages. "high" is the default, since with "low" whatever tuning cannot reach competes: what
    changes in no language is told from it by rounding alone. The statistics are the weights
    themselves; no activations are needed.

    Left open there, chosen here:
    - A neuron's parameters are its rows of the gate and up projections and its column of the down
      projection; biases are left out, as most families have none.
    - Its rate of change is the L2 norm of their difference over the L2 norm before tuning.
    - "High in one and low in the others" is LAPE's rule with this rate in place of the firing
      rate, its three rates included: entropy over languages, and quantiles of all values.
    - A language tuned for longer, or with a higher learning rate, changes every neuron more and
      would own them all; so rates are compared in units of the language's median rate
      (`equalize=False` leaves them as they are).
    - For "low" the rule looks at the share of neurons that the language's tuning changed more, from
      0 to 1, in the place of the rate; which does not depend on `equalize`.

    A neuron whose weights are all 0 before tuning has rate 0.

    Raises:
        IdentificationError: fewer than two languages, checkpoints of different shapes, or a
            checkpoint in which nothing changed.
    """
    if reading not in get_args(Reading):
        raise IdentificationError(f"reading must be high or low, not {reading!r}")
    if len(tuned) < 2:
        raise IdentificationError(
            f"tuned checkpoints of {len(tuned)} languages were given; at least two are needed to "
            "tell a language's neurons from those that any tuning changes"
        )
    base = open_checkpoint(before)
    layers = base.layers()
    rates = np.stack([_rates(base, layers, *entry, equalize) for entry in tuned.items()])
    if reading == "low":
        rates = np.stack([_share_changed_more(of_language) for of_language in rates])
    model = ModelLayout(
        tuple(layers), {HOOKPOINT: rates.shape[2]}, base.model_type, base.name, base.revision
    )
    quantiles = (top_rate, filter_rate, activation_bar_rate)
    norm = "L2 of the change over L2 before"
    return select_uneven(rates, tuned, model, HOOKPOINT, *quantiles, norm=norm)


def _share_changed_more(rates: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each neuron the share of all [layer, neuron] whose rate is higher."""
    ordered = np.sort(rates, axis=None)
    above = rates.size - np.searchsorted(ordered, rates, side="right")
    return (above / rates.size).astype(np.float32)


def _rates(
    base: Checkpoint,
    layers: Mapping[str, tuple[str, Stack]],
    language: str,
    tuned: Source,
    equalize: bool,
) -> NDArray[np.float32]:
    """Rate of change [layer, neuron] of every neuron of the model."""
    after = open_checkpoint(tuned)
    if after.model_type != base.model_type or len(after.layers()) != len(layers):
        raise IdentificationError(
            f"the checkpoint of {language} is a {after.model_type} model of {len(after.layers())} "
            f"layers, and the one before tuning a {base.model_type} model of {len(layers)}; tuned "
            "checkpoints must come from the one before"
        )
    rates = []
    for layer, layer_after in zip(layers.values(), after.layers().values(), strict=True):
        changed = size = np.zeros(())
        weights = zip(base.neuron_weights(*layer), after.neuron_weights(*layer_after), strict=True)
        for old, new in weights:
            if old.shape != new.shape:
                raise IdentificationError(
                    f"{layer[0]}: a weight of the checkpoint of {language} has shape "
                    f"{list(new.shape)}, and {list(old.shape)} before tuning"
                )
            changed = changed + (new.double() - old.double()).square().sum(dim=1).numpy()
            size = size + old.double().square().sum(dim=1).numpy()
        rates.append(np.sqrt(np.divide(changed, size, out=np.zeros_like(size), where=size > 0)))
    if len(widths := {rate.size for rate in rates}) > 1:
        raise IdentificationError(
            f"layers of {base.name} are not equally wide at {HOOKPOINT} (of "
            f"{listed(sorted(widths))} neurons), and a mask holds one width per hookpoint"
        )
    result = np.stack(rates)
    if not result.any():
        raise IdentificationError(
            f"no feed-forward weight of the checkpoint of {language} differs from the one before "
            "tuning; give the tuned checkpoint (with its adapter merged)"
        )
    if not np.isfinite(result).all():
        raise IdentificationError(f"a weight of the checkpoint of {language} is not a number")
    if equalize and (middle := np.median(result)) > 0:
        result /= middle
    return result.astype(np.float32)
