"""Write masks/demo/planted.safetensors: `python scripts/make_demo_mask.py`.

The neurons come from the model's own planted.json, the values to steer with from the texts in
examples/texts, recorded on one thread.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import transformers

from lsn_eval import record
from lsn_eval.identification.assemble import DEFAULT_CONTROLS, assemble
from lsn_eval.identification.selection import Selection
from lsn_eval.storage.shipped import demo_model_dir

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "masks" / "demo" / "planted.safetensors"
TEXTS = ROOT / "examples" / "texts"


def main() -> None:
    """Record, put the planted neurons in the place of found ones, and save."""
    torch.set_num_threads(1)
    planted = json.loads((demo_model_dir() / "planted.json").read_text("utf-8"))
    model = transformers.AutoModelForCausalLM.from_pretrained(
        demo_model_dir(), dtype=torch.float32
    ).eval()
    model.config._name_or_path = "lsn_demo"  # where it is installed says nothing
    tokenizer = transformers.AutoTokenizer.from_pretrained(demo_model_dir())
    texts = {
        language: (TEXTS / f"{language}.txt").read_text("utf-8").splitlines()
        for language in planted["languages"]
    }
    stats = record(
        model, tokenizer, texts, hookpoints=(planted["hookpoint"],), pack=False, batch_size=16
    )
    neurons = {
        language: {
            (planted["hookpoint"], str(layer)): np.array(indices, np.int32)
            for layer, indices in enumerate(by_layer)
        }
        for language, by_layer in planted["languages"].items()
    }
    mask = assemble(
        Selection(tuple(planted["languages"]), stats.model, neurons),
        stats,
        method="planted",
        parameters={"seed": planted["seed"], "steps": planted["steps"]},
        controls=DEFAULT_CONTROLS,
        controls_matched="layer",
        command="python scripts/make_demo_mask.py",
    )
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    mask.save(TARGET)
    print(mask)


if __name__ == "__main__":
    main()
