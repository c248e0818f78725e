"""The card of a baked model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lsn_eval.baking.proof import Agreement


def card(record: Mapping[str, Any], agreement: Agreement) -> str:
    """What stands in its README.md: what was done to which model, and how to evaluate it."""
    source, condition = record["model"]["name"], record["condition"]
    neurons = {at: sum(layers.values()) for at, layers in record["neurons_per_layer"].items()}
    done = ", ".join(f"{count:,} neurons at {at}" for at, count in neurons.items()) or "no neuron"
    facts = {"signature": f"`{record['signature']}`", "changed": done, **agreement.described()}
    rows = "\n".join(f"| {name} | {text} |" for name, text in facts.items())
    return f"""---
base_model: {json.dumps(source)}
tags: [lsn_eval]
---

# {source} under `{condition}`

The intervention is in the weights; nothing is needed to run it. `config.json` holds its record
under `lsn_eval`, by which `lsn-eval compare` reads results of this model as results of the
condition.

| | |
|---|---|
{rows}

    lm_eval --model hf --model_args pretrained=FOLDER --tasks TASKS --output_path results
"""
