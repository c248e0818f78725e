"""The model's tokenizer, for tasks that count tokens or cut text into chunks of them.

lm-eval hands the model arguments to tasks as metadata; from them comes the tokenizer that its `hf`
loads, used as `hf` uses it. What rolling log-likelihood scores is every token of `encode(text)`,
with BOS or end-of-text as prefix: a tokenizer that adds BOS by default has it scored, too.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import datasets

from lsn_eval.lm_tasks.base import LsnTask
from lsn_eval.lm_tasks.local_data import LocalDataError
from lsn_eval.recording.texts import Document
from lsn_eval.storage.shipped import model_place

log = logging.getLogger(__name__)

Encoder = Callable[[str], list[int]]


class CountedTexts(LsnTask):
    """Texts in rows with their number of tokens, counted again once the model is there."""

    def splits(self, documents: Sequence[Document]) -> dict[str, datasets.Dataset]:
        """The one split, of the rows of `documents`."""
        self._documents = documents
        return {"test": datasets.Dataset.from_list(self.rows(documents))}

    def introduce(self, model: Any) -> None:
        """Where that says something new, the rows are made anew."""
        super().introduce(model)
        if self._model:
            self.dataset = self.splits(self._documents)

    def rows(self, documents: Sequence[Document]) -> list[dict[str, Any]]:
        """One row a text, with its number of tokens where the tokenizer is known."""
        encode = text_encoder(self.model_arguments)
        return [
            {
                "id": document.identity,
                "text": document.text,
                "tokens": len(encode(document.text)) if encode else None,
            }
            for document in documents
        ]


def text_encoder(model_arguments: Mapping[str, Any]) -> Encoder | None:
    """The function text -> token ids of `hf` with these arguments.

    None where the model has no tokenizer that can be known from its arguments (no `pretrained`, or
    none that transformers can load: said in the log).
    """
    tokenizer = model_tokenizer(model_arguments)
    if tokenizer is None:
        return None
    add_bos = model_arguments.get("add_bos_token")
    special = {} if add_bos is None else {"add_special_tokens": bool(add_bos)}
    prefix = _prefix(tokenizer, model_arguments.get("prefix_token_id"))

    def encode(text: str) -> list[int]:
        # As `hf`: a text that spells BOS out gets no second one.
        spelt = {"add_special_tokens": False} if prefix and text.startswith(prefix) else special
        return list(tokenizer.encode(text, **spelt))

    return encode


def model_tokenizer(model_arguments: Mapping[str, Any]) -> Any:
    """The tokenizer among the arguments, or the one that `hf` loads with them, or None."""
    if hasattr(given := model_arguments.get("tokenizer"), "get_vocab"):
        return given
    name = _name(model_arguments, "tokenizer") or _name(model_arguments, "pretrained")
    if name is None:
        return None
    options = {
        "revision": str(model_arguments.get("revision") or "main"),
        "trust_remote_code": bool(model_arguments.get("trust_remote_code", False)),
        "use_fast": bool(model_arguments.get("use_fast_tokenizer", True)),
    }
    if model_arguments.get("gguf_file") and not _name(model_arguments, "tokenizer"):
        options["gguf_file"] = model_arguments["gguf_file"]
        del options["use_fast"]  # as `hf`
    for option in ("add_bos_token", "subfolder"):
        if model_arguments.get(option) not in (None, ""):
            options[option] = model_arguments[option]
    try:
        return _load(name, tuple(sorted(options.items())))
    except (OSError, ValueError, ImportError) as error:
        log.warning("no token counts: the tokenizer of %s cannot be loaded (%s)", name, error)
        return None


@functools.lru_cache(maxsize=4)
def _load(name: str, options: tuple[tuple[str, Any], ...]) -> Any:
    import transformers

    return transformers.AutoTokenizer.from_pretrained(name, **dict(options))


def _name(model_arguments: Mapping[str, Any], argument: str) -> str | None:
    name = model_arguments.get(argument)
    if not isinstance(name, str) or not name or name == "in memory":
        return None
    return model_place(name)


def _prefix(tokenizer: Any, prefix_token_id: Any) -> str:
    for token in (prefix_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return str(tokenizer.decode(int(token)))
    return ""


def context_length(model_arguments: Mapping[str, Any]) -> int:
    """The longest text in tokens that `hf` gives the model at once: `max_length`, else its config.

    Raises:
        LocalDataError: the model's config cannot be read.
    """
    given = model_arguments.get("max_length")
    if given:
        return int(given)
    import transformers
    from lm_eval.models.utils import resolve_max_length

    name = _name(model_arguments, "pretrained")
    try:
        config = transformers.AutoConfig.from_pretrained(
            name or "",
            revision=str(model_arguments.get("revision") or "main"),
            trust_remote_code=bool(model_arguments.get("trust_remote_code", False)),
            subfolder=str(model_arguments.get("subfolder") or ""),
            gguf_file=model_arguments.get("gguf_file"),
        )
    except (OSError, ValueError) as error:
        raise LocalDataError(
            f"the context length of {name!r} cannot be read from its config ({error}); give "
            "max_length to the model or --metadata '{\"chunk_length\": N}' to the task"
        ) from error
    return int(resolve_max_length(config, model_tokenizer(model_arguments)))
