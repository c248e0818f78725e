"""`load_model`: a language model and its tokenizer, by name or folder; `empty_model`: its shape."""

from __future__ import annotations

import os
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.storage.shipped import DEMO_MODEL, model_place

DTYPES = ("auto", "float32", "bfloat16", "float16")


def load_model(
    name: str | os.PathLike[str],
    tokenizer: str | os.PathLike[str] | None = None,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str | None = None,
) -> tuple[Any, Any]:
    """The model and its tokenizer, on the device, in evaluation mode.

    Args:
        name: a Hugging Face model: a folder, a name, or `lsn_demo` for the embedded one.
        tokenizer: name or folder of another tokenizer than the model's.
        revision: commit or branch of both.
        dtype: one of `DTYPES`; `auto` is what the files have.
        device: cpu, cuda, cuda:1; `auto` spreads the model; by default the best there is.

    Raises:
        LsnError: one of them cannot be loaded, or there is no such precision or device.
    """
    import torch
    from transformers import AutoConfig, AutoTokenizer, __version__

    if dtype not in DTYPES:
        raise LsnError(f"--dtype {dtype!r}: one of {', '.join(DTYPES)} was expected")
    name = os.fspath(name)
    if device != "auto":
        check_device(device)
    # Its name of before 4.56 is one that later releases warn of.
    keyword = "dtype" if tuple(map(int, __version__.split(".")[:2])) >= (4, 56) else "torch_dtype"
    placed: dict[str, Any] = {keyword: dtype if dtype == "auto" else getattr(torch, dtype)}
    if device == "auto":
        placed["device_map"] = "auto"
    try:
        config = AutoConfig.from_pretrained(model_place(name), revision=revision)
        model = auto_class(config).from_pretrained(
            model_place(name),
            revision=revision,
            **placed,
        )
        words = AutoTokenizer.from_pretrained(
            model_place(os.fspath(tokenizer or name)), revision=revision
        )
    except (OSError, ValueError) as error:
        raise LsnError(
            f"--model {name}: it cannot be loaded with its tokenizer ({error}); a Hugging Face "
            "model folder or name was expected"
        ) from error
    if name == DEMO_MODEL:
        model.config._name_or_path = DEMO_MODEL  # where it is installed says nothing
    if device != "auto":
        best = "cpu"
        if torch.cuda.is_available():
            best = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.nn.Module.to(model, device or best)
    return model, words


def check_device(name: str | None, error: type[LsnError] = LsnError) -> None:
    """Raise `error` if this machine, or its PyTorch, has no such device."""
    import torch

    kind, _, number = (name or "cpu").partition(":")
    there: Any = getattr(torch.backends if kind == "mps" else torch, kind, None)
    count = 0
    if hasattr(there, "is_available") and there.is_available():
        count = 1 if kind == "mps" else there.device_count()
    if kind != "cpu" and (number or "0") not in map(str, range(count)):
        found = f"{count} of the kind {kind}" if count else f"none of the kind {kind}"
        raise error(
            f"device is {name!r}, and PyTorch finds {found} here; give another --device, such as "
            "cpu"
        )


def empty_model(name: str, *, random_weights: bool = False, **arguments: Any) -> Any:
    """The model without its weights, which takes no memory: to look at what it is made of.

    Args:
        random_weights: with as many as it has, and none of its own: to look at what it does.
        arguments: as for `AutoConfig.from_pretrained`: revision, subfolder, trust_remote_code.

    Raises:
        LsnError: there is no such model, or its configuration cannot be read.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(model_place(name), **arguments)
        code = arguments.get("trust_remote_code")
        return empty_of(config, random_weights=random_weights, trust_remote_code=code)
    except (OSError, ValueError) as error:
        raise LsnError(f"model {name!r} cannot be loaded: {error}") from error


def empty_of(config: Any, *, random_weights: bool = False, **arguments: Any) -> Any:
    """The model of a configuration without its weights, or with random ones."""
    import torch

    with torch.device("cpu" if random_weights else "meta"), torch.random.fork_rng([]):
        torch.manual_seed(0)
        return auto_class(config).from_config(config, **arguments)


def auto_class(config: Any) -> Any:
    """The class of transformers that makes a text model of a configuration, with its head."""
    import transformers as of

    masked = any(name.endswith("ForMaskedLM") for name in config.architectures or ())
    if config.is_encoder_decoder:
        return of.AutoModelForSeq2SeqLM
    known = [
        kind
        for kind in (of.AutoModelForCausalLM, of.AutoModelForMaskedLM)
        if type(config) in kind._model_mapping
    ]
    return known[-1 if masked else 0] if known else of.AutoModelForCausalLM
