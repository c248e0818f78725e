"""Checkpoints before and after tuning, a few neurons changed."""

from __future__ import annotations

import copy

import torch

from lsn_eval.models.resolving import resolve

PROJECTIONS = ("mlp.up", "mlp.gate", "mlp.down")


def tune(model, neurons, scale=1.0, seed=0, moved=PROJECTIONS):
    """A copy in which every weight moved a little and those of `neurons` much."""
    tuned = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    sites = resolve(tuned).sites
    with torch.no_grad():
        for at in PROJECTIONS:
            for layer, site in sites.get(at, {}).items():
                weight = site.module.weight
                change = torch.empty_like(weight).normal_(0, 0.002, generator=generator)
                # Neurons are outputs of up and gate, inputs of down; Conv1D stores inputs first.
                outputs_first = hasattr(site.module, "in_features")
                rows = change if outputs_first == (at != "mlp.down") else change.T
                if at in moved:
                    rows[neurons[int(layer)]] *= 40
                weight += scale * change
    return tuned


PLANTED = {"de": [[1, 7, 30], [2, 9]], "fr": [[3, 8, 31], [20, 47]]}
