"""What lm-eval, transformers or PyTorch cannot do with an argument, in one message: what was given,
what they said, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.models.loading import check_device
from lsn_eval.storage.masked_secrets import masked, secret_texts, without
from lsn_eval.visible_text import shortened

LM_EVALS_DEVICE = "cuda:0"
"""What lm-eval's command hands on where nobody named a device; `hf` then takes what there is."""

LONGEST_QUOTE = 500
"""Characters of what others said: transformers lists all of its classes."""
_REMEDIES = {
    r"load_in_[48]bit=|quantization_config=": "transformers quantises by a configuration alone, "
    "which is no text: name a checkpoint that was saved quantised, or load the model in Python "
    "with quantization_config=... and hand it over, LsnHF(model, tokenizer=tokenizer, ...)",
    r"backend=": "leave backend out: the type of the model says which it is",
    r"with CUDA enabled": "PyTorch has no GPU here: leave that out, or give --device cpu",
    r"use_cache=": "lm-eval's hf always generates with a cache: leave use_cache out",
    r"assistant_model=": "it has to be a loaded model, which Python alone can give: "
    "simple_evaluate(..., gen_kwargs={'assistant_model': model})",
    r"only supported for batch_size = 1": "give --batch_size 1",
}
"""What to do, by a pattern in the arguments and what was said of them."""


def check_arguments(pretrained: Any, arguments: Mapping[str, Any]) -> None:
    """Raise LsnError for what `hf` would silently pass over, or complain of in other words."""
    device, folder = arguments.get("device"), arguments.get("subfolder")
    if device != LM_EVALS_DEVICE:
        check_device(device)
    if folder and isinstance(pretrained, str) and Path(pretrained).is_dir():
        place = Path(pretrained, folder)
        if not (place / "config.json").is_file():
            raise LsnError(f"subfolder={folder}: there is no {place / 'config.json'}")


def refusal(what: str, arguments: Mapping[str, Any], error: Exception) -> LsnError:
    """The one message for an error of other packages about arguments."""
    said = str(error)
    if not isinstance(error, OSError):
        said = f"{type(error).__name__}: {' '.join(map(str, error.args)) or error}"
    said = shortened(without(said, secret_texts(arguments)), LONGEST_QUOTE)
    plain = {k: v for k, v in masked(arguments).items() if isinstance(v, str | int | float)}
    given = ",".join(f"{name}={value}" for name, value in plain.items())
    text = f"{what}{f' with {given}' if given else ''}: {said}"
    remedies = [remedy for at, remedy in _REMEDIES.items() if re.search(at, text)]
    return LsnError("; ".join([text, *remedies]))
