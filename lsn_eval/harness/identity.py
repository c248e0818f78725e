"""What makes one model another: its name in signatures, its files and its tokenizer in caches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsn_eval.models.weights import files_identity, weights_fingerprint
from lsn_eval.storage.shipped import DEMO_MODEL, demo_model_dir

_NO_SOURCE = frozenset({"mask", "offload_folder"})
"""Arguments that may name a folder or file which is none of the model's."""


def model_name(arguments: Mapping[str, Any], model: Any) -> str:
    """`NAME/SUBFOLDER/FILE@REVISION+ADAPTER(QUANTISATION)`, of each what there is.

    Args:
        arguments: as `hf` was given them; `pretrained` is "in memory" for a loaded model.
    """
    name = str(arguments["pretrained"])
    if name == "in memory":
        name = model.config._name_or_path or name
    if name == str(demo_model_dir()):
        name = DEMO_MODEL
    if arguments.get("subfolder"):
        name += f"/{arguments['subfolder']}"
    if arguments.get("gguf_file"):
        name += f"/{Path(arguments['gguf_file']).name}"
    if arguments.get("revision", "main") != "main":
        name += f"@{arguments['revision']}"
    adapters = [str(arguments[kind]) for kind in ("peft", "delta") if arguments.get(kind)]
    name = "+".join([name, *(adapters or list(getattr(model, "peft_config", ())))])
    quantised = "+".join(_quantisation(model))
    return f"{name}({quantised})" if quantised else name


def _quantisation(model: Any) -> list[str]:
    """How transformers says that it quantised a model, and in what kind; else the classes of
    weights and layers that say it themselves."""
    config = getattr(model.config, "quantization_config", None)
    if method := getattr(config, "quant_method", None):
        kind = getattr(config, "quant_type", None)  # of torchao, an object
        return [getattr(method, "value", method), *([type(kind).__name__] if kind else [])]
    kinds = set()
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if callable(weight):  # as in quantised layers of PyTorch
            kinds.add(module._get_name())
        elif hasattr(weight, "dequantize") and not type(weight).__module__.startswith("torch."):
            kinds.add(type(weight).__name__)  # a tensor of torchao
    return sorted(kinds)


def digest(document: Any) -> str:
    """SHA-256 of a document of JSON types; anything else in it counts as its text."""
    canonical = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def model_files(arguments: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The files behind a model's arguments: path, bytes and time of change of each, by argument.

    Any argument may name a folder or a file: `pretrained` (with `subfolder`), `tokenizer`, `peft`,
    `delta`, `gguf_file`, ... A name on the Hub is told apart by itself and `revision`.
    """
    identities = {}
    for name, value in arguments.items():
        if name in _NO_SOURCE or not isinstance(value, str):
            continue
        path = Path(value)
        if path.is_dir():
            subfolder = arguments.get("subfolder") if name == "pretrained" else None
            identities[name] = files_identity(path, str(subfolder) if subfolder else None)
        elif path.is_file():
            identities[name] = [[path.name, path.stat().st_size, path.stat().st_mtime_ns]]
    return identities


def loaded_digest(model: Any, tokenizer: Any) -> str:
    """What tells a loaded model with its tokenizer from another, whatever it is called."""
    return digest([weights_fingerprint(model), tokenizer_digest(tokenizer)])


def tokenizer_digest(tokenizer: Any) -> str:
    """What tells one loaded tokenizer from another."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = tokenizer.get_vocab() if backend is None else json.loads(backend.to_str())
    if backend is not None:  # what the last call left there
        vocabulary |= {"padding": None, "truncation": None}
    template = getattr(tokenizer, "chat_template", None)
    return digest([vocabulary, tokenizer.special_tokens_map, template])
