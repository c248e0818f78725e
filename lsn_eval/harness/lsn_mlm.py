"""`lsn_mlm`: a masked language model under a condition.

    lm_eval --model lsn_mlm --model_args pretrained=MODEL,mask=FILE,condition=de:zero --tasks TASKS

Conditions, proof, record and caches are those of `lsn_hf`; what differs is how a text is scored.
The score of a token is its log-probability where it alone is masked and the rest of the text is
read, the pseudo-log-likelihood of Salazar et al. (2020, section 2.2); a text's is the sum over its
tokens. `pll=word_l2r` also masks the later tokens of the token's own word, as Kauf and Ivanova
(2023, section 3) do, because a word's other pieces give it away.

A text of N scored tokens is N rows of a batch. Tokens that the tokenizer adds ([CLS], [SEP]) are
read and never scored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from lm_eval.api.registry import register_model

from lsn_eval.errors import LsnError
from lsn_eval.facts.blanks import FILL, masked_ids
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.models.resolving import positions_of

SCORES = ("original", "word_l2r")
"""Of `pll`: Salazar et al.'s, and Kauf and Ivanova's."""
_HEADS = ("ForMaskedLM", "ForPreTraining")


@dataclass(frozen=True)
class _Row:
    """A text with masks, and what is to be read off."""

    request: int
    ids: Sequence[int]
    """Shared by all rows of the text."""
    places: Sequence[int]
    """Where the model's answer is read."""
    masked: range = range(0)
    """What is masked, where `ids` are not yet."""
    token: int | None = None
    """Whose log-probability is read; None: the most probable one is."""


@register_model("lsn_mlm")
class LsnMLM(LsnHF):
    """`lsn_hf` for BERT, XLM-R and their like.

    Args:
        pretrained, mask, condition: as for `lsn_hf`.
        pll: one of `SCORES`.
        **kwargs: as for `hf`.

    Raises:
        LsnError: as `lsn_hf`; or the model is no masked language model.
    """

    NAME = "lsn_mlm"
    AUTO_MODEL_CLASS = transformers.AutoModelForMaskedLM
    fills_blanks = True
    """What a task asks to know how its questions are to be put."""

    def __init__(self, *args: Any, pll: str = "original", **kwargs: Any) -> None:
        if pll not in SCORES:
            raise LsnError(f"pll is {pll!r}; one of {', '.join(SCORES)} was expected")
        self.pll = pll
        super().__init__(*args, **kwargs)
        self._arguments["pll"] = pll  # what another model class answers is kept apart, too
        self.add_bos_token = False  # tokens that are added are not scored: tasks count without them

    def _get_backend(self, config: Any, *args: Any, **kwargs: Any) -> None:
        """Called by `hf` before it loads weights: transformers would make a missing head up."""
        given = getattr(self, "_model", None)
        kinds = [type(given).__name__] if given is not None else config.architectures or ()
        if kinds and not any(kind.endswith(_HEADS) for kind in kinds):
            raise LsnError(
                f"lsn_mlm was given a {', '.join(kinds)}, which has no head that fills masks; give "
                "a masked language model (BertForMaskedLM, XLMRobertaForMaskedLM), or use lsn_hf"
            )
        self.backend = "causal"

    def set_condition(self, condition: Any) -> None:
        """As `lsn_hf`."""
        if self.tokenizer.mask_token_id is None or not self.tokenizer.is_fast:
            raise LsnError(
                "lsn_mlm needs a fast tokenizer with a mask token, to know which token is which "
                f"part of a text; this is a {type(self.tokenizer).__name__} with the mask token "
                f"{self.tokenizer.mask_token}"
            )
        super().set_condition(condition)

    @property
    def prefix_token_id(self) -> int:
        """[CLS], or what stands in its place."""
        given = self.custom_prefix_token_id
        return int(self.tokenizer.cls_token_id if given is None else given)

    @property
    def max_length(self) -> int:
        """Tokens that the model reads at once."""
        return int(positions_of(self.model, super().max_length) or 0)

    def _forward(self, inps: torch.Tensor, attn_mask: Any = None, **kwargs: Any) -> torch.Tensor:
        kind, dtype = self.device.type, self.mixed_precision_dtype
        with torch.no_grad(), torch.autocast(kind, dtype, enabled=dtype is not None):
            logits: torch.Tensor = self.model(input_ids=inps, attention_mask=attn_mask).logits
        return logits

    # What tasks ask for ----------------------------------------------------------------------

    def loglikelihood(
        self, requests: list[Any], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Pseudo-log-likelihood of each continuation, its context read along; and whether each of
        its tokens is the most probable one in its place."""
        rows = [
            row
            for number, (context, continuation) in enumerate(request.args for request in requests)
            for row in self._scored(number, context, continuation)
        ]
        return self._summed(rows, len(requests), disable_tqdm)

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Pseudo-log-likelihood of each text. One that does not fit is cut into pieces that do,
        each read alone."""
        rows = [
            row
            for number, request in enumerate(requests)
            for row in self._scored(number, "", request.args[0], pieces=True)
        ]
        return [total for total, _ in self._summed(rows, len(requests), disable_tqdm)]

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """For a request with `fill_masks` (`lsn_mlama_*`): its blank filled with so many masks, and
        the most probable token of each, as the tokenizer writes them, with a space between.

        Raises:
            LsnError: a request is another; this model writes no text.
        """
        rows = []
        for number, (text, options) in enumerate(request.args for request in requests):
            if FILL not in options:
                raise LsnError(
                    "lsn_mlm is a masked language model and writes no text: of its requests for "
                    "one, tasks of multiple choice, log-likelihood and lsn_mlama_* can be answered "
                    "alone; use lsn_hf with a model that generates"
                )
            ids, places = masked_ids(self.tokenizer, text, int(options[FILL]))
            if len(ids) > self.max_length:
                raise LsnError(
                    f"a text of {len(ids)} tokens does not fit into this model's {self.max_length}:"
                    f" {text[:80]}"
                )
            rows.append(_Row(number, ids, places))
        filled = dict(self._answers(rows, disable_tqdm))
        # A model may have more tokens than its tokenizer names.
        named, other = self.tokenizer.convert_ids_to_tokens, str(self.tokenizer.unk_token)
        tokens = [named(filled[number][1].tolist()) for number in range(len(requests))]
        return [" ".join(of or other for of in each) for each in tokens]

    def _loglikelihood_tokens(self, *args: Any, **kwargs: Any) -> Any:
        raise LsnError(
            "lsn_mlm was asked by token ids what a model that reads from left to right thinks of "
            "them; a masked language model has no such answer: leave this task out"
        )

    # How ---------------------------------------------------------------------------------------

    def _scored(
        self, request: int, context: str, continuation: str, pieces: bool = False
    ) -> Iterator[_Row]:
        """A row for each token of `continuation`."""
        read = self.tokenizer(
            context + continuation,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            verbose=False,
        )
        ids, words, ends = read["input_ids"], read.word_ids(), read["offset_mapping"]
        own = [place for place, added in enumerate(read["special_tokens_mask"]) if not added]
        inside = range(own[0], own[-1] + 1) if own else range(0)
        head, tail = ids[: inside.start], ids[inside.stop :]
        room = self.max_length - len(head) - len(tail)
        before = len(context.rstrip())
        scored = [place for place in inside if not before or ends[place][1] > before]
        if not pieces and not 0 < len(scored) <= room:
            raise LsnError(
                f"a continuation of {len(scored)} tokens cannot be scored with a context of "
                f"{self.max_length}: {continuation[:80]!r}"
            )
        # As `hf`, what does not fit is cut off on the left of the context.
        starts = inside[::room] if pieces else [max(inside.start, inside.stop - room)]
        for start in starts:
            piece = range(start, min(start + room, inside.stop))
            whole = [*head, *(ids[place] for place in piece), *tail]
            for place in piece if pieces else scored:
                last = place + 1
                if self.pll == "word_l2r":
                    while last in piece and words[last] is not None and words[last] == words[place]:
                        last += 1
                at, to = (len(head) + of - start for of in (place, last))
                yield _Row(request, whole, [at], range(at, to), ids[place])

    def _summed(
        self, rows: Sequence[_Row], requests: int, disable_tqdm: bool
    ) -> list[tuple[float, bool]]:
        totals: dict[int, float] = defaultdict(float)
        greedy = dict.fromkeys(range(requests), True)
        for number, (scores, best) in self._answers(rows, disable_tqdm):
            totals[number] += float(scores)
            greedy[number] &= bool(best)
        return [(totals[number], greedy[number]) for number in range(requests)]

    def _answers(
        self, rows: Sequence[_Row], disable_tqdm: bool
    ) -> Iterator[tuple[int, tuple[torch.Tensor, torch.Tensor]]]:
        """Of each row its request, and two tensors: the log-probability of its token and whether
        none is more probable; or of a row without a token those of the best, and which they are."""
        for batch in self._batches(rows, lambda row: len(row.ids), disable_tqdm):
            ids = torch.full((len(batch), len(batch[0].ids)), self.tokenizer.pad_token_id)
            attention = torch.zeros_like(ids)
            for number, row in enumerate(batch):
                ids[number, : len(row.ids)] = torch.tensor(row.ids)
                ids[number, list(row.masked)] = self.tokenizer.mask_token_id
                attention[number, : len(row.ids)] = 1
            logits = self._model_call(ids.to(self.device), attention.to(self.device))
            for row, scores in zip(batch, logits, strict=True):
                of_places = scores[list(row.places)].log_softmax(-1, dtype=self.softmax_dtype)
                best = of_places.max(-1)
                if row.token is None:
                    yield row.request, (best.values.cpu(), best.indices.cpu())
                else:
                    value = of_places[0, row.token].cpu()
                    yield row.request, (value, best.indices[0].cpu() == row.token)
