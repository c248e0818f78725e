"""Write masks/demo/planted.safetensors from the planted neurons: `python scripts/make_demo_mask.py`."""

from __future__ import annotations

import json
from pathlib import Path

from lsn_eval import NeuronMask
from lsn_eval.mask_names import MaskMethod, MaskModel
from lsn_eval.resources import demo_model_dir

TARGET = Path(__file__).resolve().parents[1] / "masks" / "demo" / "planted.safetensors"
CONTROLS = 20


def main() -> None:
    """The neurons come from the model's own planted.json."""
    planted = json.loads((demo_model_dir() / "planted.json").read_text("utf-8"))
    hookpoint = planted["hookpoint"]
    neurons = {
        language: {hookpoint: {str(layer): indices for layer, indices in enumerate(by_layer)}}
        for language, by_layer in planted["languages"].items()
    }
    mask = NeuronMask(
        neurons,
        model=MaskModel.numbered(
            planted["layers"], {hookpoint: planted["width"]}, type="llama", name="lsn_demo"
        ),
        method=MaskMethod("planted", {"seed": planted["seed"], "steps": planted["steps"]}),
    ).with_controls(CONTROLS)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    mask.save(TARGET)
    print(mask)


if __name__ == "__main__":
    main()
