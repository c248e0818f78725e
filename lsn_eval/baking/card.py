"""The card of a baked model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def card(record: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    """What stands in its README.md: what was done to which model, and how to evaluate it.

    Args:
        facts: by what they are facts of, besides what is in the record.
    """
    source, condition = record["model"]["name"], record["condition"]
    neurons = {at: sum(layers.values()) for at, layers in record["neurons_per_layer"].items()}
    done = ", ".join(f"{count:,} neurons at {at}" for at, count in neurons.items()) or "no neuron"
    shown = {"signature": f"`{record['signature']}`", "changed": done, **facts}
    rows = "\n".join(f"| {name} | {text} |" for name, text in shown.items())
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
