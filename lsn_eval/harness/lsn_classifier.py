"""`lsn_classifier`: a model with a classification head, which answers multiple choice by classes.

    lm_eval --model lsn_classifier --model_args pretrained=MODEL,peft=ADAPTER,condition=none \
        --tasks lsn_xnli_en,lsn_xnli_de

The adapter is one of `lsn-eval finetune --head`. The log-likelihood of a choice is the
log-probability of the class of its number, given premise and hypothesis and no prompt, so that
accuracies, samples and conditions are those of any other model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers
from lm_eval.api.registry import register_model

from lsn_eval.errors import LsnError
from lsn_eval.harness.lsn_hf import LsnHF

CLASSES = 3
"""Entailment, neutral, contradiction, as XNLI numbers them."""


def pair_text(premise: str, hypothesis: str, tokenizer: Any) -> str:
    """What the head reads: both, with the end-of-text token between them."""
    return f"{premise} {tokenizer.eos_token or ''} {hypothesis}"


@register_model("lsn_classifier")
class LsnClassifier(LsnHF):
    """`lsn_hf` with a head in place of the language model's; `peft` names its adapter.

    Raises:
        LsnError: as `lsn_hf`, and for an adapter without a head or a task that it cannot answer.
    """

    NAME = "lsn_classifier"
    HAS_HEAD = True
    AUTO_MODEL_CLASS = transformers.AutoModelForSequenceClassification

    def __init__(self, pretrained: Any = None, **kwargs: Any) -> None:
        super().__init__(pretrained, num_labels=CLASSES, **kwargs)
        self.model.config.get_text_config().pad_token_id = self.tokenizer.pad_token_id

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[Any]:
        """Of each choice the log-probability of its class, and whether it is the likeliest."""
        documents: dict[tuple[Any, ...], str] = {}
        for request in requests:
            documents[self._document(request)] = self._text(request.doc, request.args[0])
        scores: dict[tuple[Any, ...], torch.Tensor] = {}
        for batch in self._batches(documents, lambda of: len(documents[of]), disable_tqdm):
            scores |= zip(batch, self._classes([documents[of] for of in batch]), strict=True)
        answers = []
        for request in requests:
            of_classes = scores[self._document(request)]
            if not 0 <= request.idx < CLASSES:
                raise self._refused(f"a choice number {request.idx}")
            answer = (of_classes[request.idx].item(), int(of_classes.argmax()) == request.idx)
            self.cache_hook.add_partial("loglikelihood", request.args, answer)
            answers.append(answer)
        return answers

    def loglikelihood_rolling(self, requests: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        raise self._refused("perplexity")

    def generate_until(self, requests: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        raise self._refused("generation")

    def _classes(self, texts: Sequence[str]) -> torch.Tensor:
        """Log-probabilities [text, class]."""
        batch = self.tokenizer(
            list(texts), padding=True, padding_side="right", truncation=True,
            max_length=self.max_length, return_tensors="pt",
        )  # fmt: skip
        given = (batch[name].to(self.device) for name in ("input_ids", "attention_mask"))
        return self._model_call(*given).float().log_softmax(-1).cpu()

    def _forward(self, inps: torch.Tensor, attn_mask: Any = None, **kwargs: Any) -> torch.Tensor:
        with torch.no_grad():
            logits: torch.Tensor = self.model(input_ids=inps, attention_mask=attn_mask).logits
        return logits

    def _text(self, doc: Mapping[str, Any], context: str) -> str:
        if not all(isinstance(doc.get(name), str) for name in ("premise", "hypothesis")):
            raise self._refused("a task without premise and hypothesis")
        if context.strip():
            raise self._refused("a prompt with few-shot examples")
        return pair_text(doc["premise"], doc["hypothesis"], self.tokenizer)

    @staticmethod
    def _document(request: Any) -> tuple[Any, ...]:
        return request.task_name, request.doc_id, request.repeats

    @staticmethod
    def _refused(what: str) -> LsnError:
        return LsnError(
            f"{what} was asked of a classification head, which reads a premise and a hypothesis "
            f"and knows {CLASSES} classes: give a task such as lsn_xnli_de, without examples"
        )
