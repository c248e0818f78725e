"""Free and prompted generation, scored for the language the text is in."""

from __future__ import annotations

import logging
from typing import Any

import datasets
from lm_eval.api.instance import Instance

from lsn_eval.errors import LsnError
from lsn_eval.harness.seeded_generation import seed_marker
from lsn_eval.lm_tasks.language_task import LanguageTask
from lsn_eval.lm_tasks.token_counts import model_tokenizer

logger = logging.getLogger(__name__)

START_TEXT = "start_text"
REQUEST_SEED = "request_seed"


class StartTokenError(LsnError):
    """A model whose tokenizer says nothing about how a text starts."""


class StartTokenTask(LanguageTask):
    """Text that begins with the start token, and with the document's prompt where it has one.

    The start token is the tokenizer's BOS, else its end-of-text token, or what
    `--metadata '{"start_text": "<s>"}'` says. Chat templates, system instructions and few-shot
    examples have no place in it and are left out.
    """

    def build_all_requests(self, **kwargs: Any) -> None:
        """Called by lm-eval once the model is there; finds out how a text starts."""
        if kwargs.get("apply_chat_template") or kwargs.get("system_instruction"):
            logger.warning(
                "%s generates right from the start token: chat template and system instruction "
                "are left out",
                self.config.task,
            )
        if kwargs.get("cache_requests"):
            raise StartTokenError(
                f"--cache_requests would start {self.config.task} from the start token of the "
                "model that filled the cache: its key does not hold the tokenizer; leave it out"
            )
        self._start = start_text(self.model_arguments)
        super().build_all_requests(**kwargs)

    def fewshot_context(self, doc: dict[str, Any], *args: Any, **kwargs: Any) -> str:
        """The start token's text and the prompt."""
        return f"{self._start}{self.doc_to_text(doc)}"


class FreeGenerationTask(StartTokenTask):
    """Text from nothing but the start token, one document a seed."""

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """Seeds from 1 to `seeds`."""
        rows = [{"seed": seed} for seed in range(1, int(settings["seeds"]) + 1)]
        return {"test": datasets.Dataset.from_list(rows)}

    def construct_requests(self, doc: dict[str, Any], ctx: str, **kwargs: Any) -> Instance:
        """A request with the document's seed."""
        request = seeded(super().construct_requests(doc, ctx, **kwargs), doc["seed"])
        if self.metadata.get(REQUEST_SEED):
            request.arguments[1]["seed"] = doc["seed"]
        return request


class PromptedGenerationTask(LanguageTask):
    """Openings of sentences in the language, from the YAML, for the model to go on with."""

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """One document an opening; they are part of the task."""
        rows = [{"prompt": prompt} for prompt in settings["prompts"]]
        return {"test": datasets.Dataset.from_list(rows)}


def seeded(request: Instance, seed: int) -> Instance:
    """The request with a seed among its stop strings, see `seeded_generation`."""
    context, options = request.arguments
    until = options.get("until") or []
    stops = [until] if isinstance(until, str) else until
    options["until"] = [*stops, seed_marker(seed)]
    request.arguments = (context, options)
    return request


def start_text(arguments: dict[str, Any]) -> str:
    """The text of the token a text starts with, from the model arguments lm-eval hands to tasks.

    Raises:
        StartTokenError: no tokenizer is named in them, or its start token cannot be written.
    """
    if arguments.get(START_TEXT):
        return str(arguments[START_TEXT])
    name = arguments.get("tokenizer") or arguments.get("pretrained")
    remedy = f"""give it by --metadata '{{"{START_TEXT}": "<s>"}}'"""
    tokenizer = model_tokenizer(arguments)
    if tokenizer is None:
        raise StartTokenError(
            "generation starts from the tokenizer's BOS or end-of-text token, and the model has "
            "no tokenizer, nor do its arguments name one that loads (pretrained=, tokenizer=: "
            f"{name!r}); {remedy}"
        )
    token = tokenizer.bos_token or tokenizer.eos_token
    if not token:
        raise StartTokenError(f"the tokenizer of {name} has neither BOS nor end-of-text; {remedy}")
    found = tokenizer.encode(token, add_special_tokens=False)
    if len(found) != 1:
        raise StartTokenError(
            f"the tokenizer of {name} reads its start token {token!r} as {len(found)} tokens, one "
            f"was expected; {remedy}"
        )
    return str(token)
