"""What is baked: a folder with an ordinary checkpoint, made on request of what is none.

Adapters are merged by peft, and quantised weights and GGUF files are read by transformers, before
anything else is done: the condition is written into the result and held against it.
"""

from __future__ import annotations

import os
import tempfile
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lsn_eval.baking.checkpoint import copy_others
from lsn_eval.errors import BakingError
from lsn_eval.models.loading import auto_class
from lsn_eval.results.model_records import baked_record
from lsn_eval.storage.outside_files import Fields, read_json
from lsn_eval.storage.shipped import model_place
from lsn_eval.wording.lists import listed

_ADAPTER = "adapter_config.json"
_SHARD = "5GB"


@dataclass(frozen=True)
class Source:
    """A checkpoint whose weights can be changed."""

    folder: Path
    config: Any
    arguments: Mapping[str, Any]
    """As `lsn_hf` would be given them, for the model's name."""
    quantised: str = ""
    """How it was, before."""


@contextmanager
def ordinary(
    model: str | os.PathLike[str],
    revision: str | None,
    *,
    dequantise: bool = False,
    merge_adapter: bool = False,
    near: Path | None = None,
) -> Iterator[Source]:
    """The model; what has to be made of it is there as long as the block runs.

    Args:
        near: the folder in which that is made.

    Raises:
        BakingError: there is no such model, or it is an adapter, quantised or baked and that is
            not to be, or cannot be, undone.
    """
    if not isinstance(model, str | os.PathLike):
        raise BakingError(f"a model folder or name was expected, not a {type(model).__name__}")
    name = os.fspath(model)
    folder, file = _folder(model_place(name), revision)
    with ExitStack() as stack:

        def place() -> Path:
            made = tempfile.TemporaryDirectory(prefix=".original.", dir=near)
            return Path(stack.enter_context(made))

        if (folder / _ADAPTER).is_file():
            if not merge_adapter:
                raise BakingError(
                    f"{name} is an adapter, not a model. Give --merge-adapter to merge it into its "
                    "model first"
                )
            adapter = Fields(read_json(folder / _ADAPTER, BakingError), _ADAPTER, BakingError)
            base, of = adapter.text("base_model_name_or_path"), adapter.text("revision", None)
            under = stack.enter_context(ordinary(base, of, dequantise=dequantise, near=near))
            whole, made = _merged(name, folder, under), place()
            _write(whole, made, [under.folder, folder])
            arguments = {**under.arguments, "peft": name}
            yield Source(made, whole.config, arguments, under.quantised)
            return
        config, method = _config(folder, file, name)
        arguments = {"pretrained": name, "revision": revision or "main"}
        if file is not None:
            arguments |= {"pretrained": name.rpartition("/")[0], "gguf_file": file}
        if not method:
            yield Source(folder, config, arguments)
            return
        if not dequantise:
            raise BakingError(
                f"{name} is quantised ({method}), so that its weights cannot be changed exactly. "
                "Bake the model that it was made of, and quantise the result; or give --dequantise "
                "to bake what transformers makes of it in full precision"
            )
        whole, made = _dequantised(name, folder, file, config, method), place()
        _write(whole, made, [] if file else [folder])
        if file is not None:
            from transformers import AutoTokenizer

            AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(made)
        yield Source(made, whole.config, arguments, method)


def _folder(place: str, revision: str | None) -> tuple[Path, str | None]:
    """The model's files, fetched where `place` is a name; and which of them is meant, of GGUF."""
    place, file = os.path.split(place) if place.endswith(".gguf") else (place, None)
    if os.path.isdir(place or "."):
        return Path(place), file
    from huggingface_hub import snapshot_download

    try:
        patterns = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.py"]
        found = snapshot_download(
            place, revision=revision, allow_patterns=[file] if file else patterns
        )
    except (OSError, ValueError) as error:
        raise BakingError(
            f"--model {place}: there is no such folder, and it cannot be fetched ({error})"
        ) from error
    return Path(found), file


def _config(folder: Path, file: str | None, name: str) -> tuple[Any, str]:
    """The model's config, and how it is quantised, or nothing."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, **({"gguf_file": file} if file else {}))
    except Exception as error:  # a file that breaks off gives any
        raise BakingError(f"--model {name} has no config that can be read: {error}") from error
    if baked := baked_record(folder):
        raise BakingError(
            f"{name} has the condition '{baked.get('condition')}' in its weights already; give the "
            "original, and name all terms in one condition"
        )
    quantised = getattr(config, "quantization_config", None)
    if file is not None or quantised is None:
        return config, "gguf" if file else ""
    of = quantised if isinstance(quantised, Mapping) else quantised.to_dict()
    return config, str(of.get("quant_method"))


def _dequantised(name: str, folder: Path, file: str | None, config: Any, method: str) -> Any:
    try:
        if file is not None:
            import transformers

            kind = getattr(transformers, "GgufConfig", None)  # earlier ones have no other way
            whole = {"quantization_config": kind(dequantize=True)} if kind else {}
            return auto_class(config).from_pretrained(
                folder, gguf_file=file, dtype=torch.float32, **whole
            )
        if isinstance(config.quantization_config, dict):  # of the kinds that know it
            config.quantization_config["dequantize"] = True
        model, seen = auto_class(config).from_pretrained(
            folder, config=config, dtype="auto", output_loading_info=True
        )
        if getattr(model, "hf_quantizer", None):
            model = model.dequantize()
        if missing := sorted(seen["missing_keys"]):
            raise ValueError(f"it finds no {listed(missing, 3)} in the files")
        if getattr(model.config, "quantization_config", None):
            raise ValueError("it knows no such method")
        return model
    except Exception as error:
        raise BakingError(
            f"{name} is quantised ({method}), and transformers cannot bring it to full precision "
            f"here: {error}. Bake the model that it was made of, and quantise the result"
        ) from error


def _merged(name: str, folder: Path, under: Source) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise BakingError("--merge-adapter needs peft: pip install peft") from error
    if not (folder / "adapter_model.safetensors").is_file():
        raise BakingError(f"{name} has no adapter_model.safetensors; save it with peft as that")
    model = auto_class(under.config).from_pretrained(under.folder, dtype="auto")
    try:
        with warnings.catch_warnings():  # all that peft does about tensors that are not there
            warnings.filterwarnings("error", "(?s).*missing adapter keys")
            adapted = PeftModel.from_pretrained(model, folder)
        if unused := adapted.load_adapter(folder, "default").unexpected_keys:
            raise ValueError(f"the model has no place for {listed(unused, 3)}")
        return adapted.merge_and_unload(safe_merge=True)
    except Exception as error:
        said = textwrap.shorten(str(error), 600, placeholder=" ...")
        raise BakingError(
            f"{name} cannot be merged into {under.arguments['pretrained']} by peft, so it may be "
            f"incomplete or of another model: {said}"
        ) from error


def _write(model: Any, folder: Path, others: list[Path]) -> None:
    """The model, and the files beside the weights of those that it was made of."""
    model.save_pretrained(folder, max_shard_size=_SHARD)
    for other in others:
        copy_others(other, folder, without={"config.json", "README.md", _ADAPTER})
