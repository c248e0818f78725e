"""`lsn_hf`: lm-eval's Hugging Face model under a condition.

    lm_eval --model lsn_hf --model_args pretrained=MODEL,mask=FILE,condition=de:zero --tasks TASKS

Everything that `hf` does is inherited. Every forward pass and every generation of `HFLM` goes
through `_model_call` and `_model_generate`; these two run under the intervention, so there is no
way to a number round it. `condition=none` adds nothing to them.
"""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from typing import Any, TypeVar

import torch
import transformers
from lm_eval import __version__ as lm_eval_version
from lm_eval.api.model import CacheHook
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM, stop_sequences_criteria
from tqdm import tqdm

from lsn_eval.conditions import UNSET, Condition, Unset, plan
from lsn_eval.errors import ConditionError, LsnError
from lsn_eval.harness.identity import loaded_digest, model_files, model_name, tokenizer_digest
from lsn_eval.harness.refusals import check_arguments, refusal
from lsn_eval.harness.response_cache import RECORD_KEY, use_table
from lsn_eval.harness.seeded_generation import SeededGeneration
from lsn_eval.harness.shared_layers import SharedLayers
from lsn_eval.harness.stacked_generation import StackedGeneration
from lsn_eval.interventions.intervention import Intervention
from lsn_eval.masks.files import find_mask
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.results.model_records import CONFIG_KEY, tuning_of
from lsn_eval.results.settings import mapping
from lsn_eval.results.signatures import lsn_record
from lsn_eval.storage.hub import is_on_hub, pinned
from lsn_eval.storage.shipped import DEMO_MODEL, model_place
from lsn_eval.version import __version__

Row = TypeVar("Row")
# Below lm-eval's own logger, so that its command shows the signature beside its table.
logger = logging.getLogger("lm_eval.models.lsn_hf")


@register_model("lsn_hf")
class LsnHF(SeededGeneration, HFLM):
    """lm-eval's `hf` with an intervention; every argument of `hf` is taken too.

    Args:
        pretrained: as for `hf`, or `lsn_demo` for the embedded model.
        mask: path of a mask file, name of a shipped mask, or a `NeuronMask`. Needed for every
            condition but `none`.
        condition: see `lsn_eval.conditions`. lm-eval hands `condition=none` on as None; without
            the argument, a mask of one language means `LANG:zero`.
        **kwargs: as for `hf`.

    Raises:
        LsnError: before the first number, if the condition, the mask and the model do not fit, or
            if this model's MLP goes round the hooks.
    """

    NAME = "lsn_hf"
    HAS_HEAD = False
    """Whether it is the class for adapters with a classification head."""

    def __init__(
        self,
        pretrained: str | transformers.PreTrainedModel | None = None,
        *,
        mask: str | NeuronMask | None = None,
        condition: str | Condition | Unset | None = UNSET,
        **kwargs: Any,
    ) -> None:
        if pretrained is None:
            raise LsnError(
                f"{self.NAME} was given no model; give pretrained=MODEL, a folder, a name on the "
                f"Hub or {DEMO_MODEL}"
            )
        # Read before the model is loaded: a misspelt language should not cost a download.
        self._mask_name = mask if isinstance(mask, str) else None
        if isinstance(mask, str) and is_on_hub(mask):
            self._mask_name = pinned(mask, find_mask(mask))
            mask = self._mask_name
        self._mask = None if mask is None else NeuronMask.load(mask)
        self._tuning = tuning_of(kwargs["peft"]) if kwargs.get("peft") else {}
        if bool(self._tuning.get("head")) != self.HAS_HEAD:
            raise LsnError(
                f"{self.NAME} was given peft={kwargs.get('peft')}: adapters of 'lsn-eval finetune "
                "--head', and no others, are evaluated with --model lsn_classifier"
            )
        made_for = mapping(self._tuning.get("model")).get("name")
        names = [os.path.basename(str(of).rstrip("/")) for of in (made_for, pretrained)]
        if made_for and isinstance(pretrained, str) and names[0] != names[1]:
            logger.warning(
                "%s was tuned on %s, and is put on %s: if that is another model, its numbers mean "
                "nothing", kwargs["peft"], made_for, pretrained,
            )  # fmt: skip
        chosen = self._choose(condition)
        if self._mask is not None:
            plan(self._mask, chosen)
        if isinstance(pretrained, str):
            pretrained = model_place(pretrained)
        self._arguments = {
            **{name: value for name, value in kwargs.items() if name not in _NOT_IDENTITY},
            "pretrained": pretrained if isinstance(pretrained, str) else "in memory",
        }
        check_arguments(pretrained, kwargs)
        self._encoded = lru_cache(_TEXTS)(lambda *args: array("i", HFLM.tok_encode(self, *args)))
        try:
            super().__init__(pretrained, **kwargs)
        except LsnError:
            raise
        except Exception as error:  # of transformers, PyTorch or lm-eval, about an argument
            what = f"pretrained={self._arguments['pretrained']} cannot be loaded"
            raise refusal(what, kwargs, error) from error
        if baked := mapping(getattr(self.model.config, CONFIG_KEY, None)):
            raise LsnError(
                f"this model has the condition '{baked.get('condition')}' in its weights; evaluate "
                "it with --model hf or any engine, or give lsn_hf the original"
            )
        kinds = getattr(self.config, "architectures", None) or ()
        if type(self).AUTO_MODEL_CLASS is None and any(of.endswith("ForMaskedLM") for of in kinds):
            logger.warning(
                "%s is a masked language model: read from left to right, as hf does, it sees the "
                "tokens that it is to predict, and its numbers mean nothing; use --model lsn_mlm",
                self._arguments["pretrained"],
            )
        if kwargs.get("prefix_token_id") is not None:
            tokens = self.model.config.get_text_config().vocab_size
            if self.prefix_token_id not in range(tokens):
                raise LsnError(
                    f"prefix_token_id is {self.prefix_token_id!r}, and this model has tokens 0 to "
                    f"{tokens - 1}"
                )
        accelerator = getattr(self, "accelerator", None)
        if accelerator is not None and self.world_size == 1:
            # `hf` deals documents out where there are several GPUs; elsewhere all take all.
            self._rank, self._world_size = accelerator.process_index, accelerator.num_processes
        self._database: Any = None
        self.stacked = StackedGeneration(
            super()._model_generate, partial(stop_sequences_criteria, self.tokenizer), self._prepare
        )
        self._shared = SharedLayers(self.model, self._mask, self._forward)
        self.set_condition(chosen)

    def _choose(self, condition: str | Condition | Unset | None) -> Condition:
        if self._mask is not None:
            return Condition.of(self._mask, condition)
        if condition is UNSET:
            raise ConditionError(
                f"{self.NAME} was given neither mask nor condition; give "
                "mask=FILE,condition=LANG:zero to intervene, or condition=none for the baseline"
            )
        parsed = Condition.parse(condition)
        if parsed.terms:
            raise ConditionError(
                f"condition '{parsed}' was given without a mask; add mask=FILE, a mask file or the "
                "name of a shipped mask"
            )
        return parsed

    @property
    def mask(self) -> NeuronMask | None:
        """The mask that conditions are read with."""
        return self._mask

    @property
    def condition(self) -> Condition:
        """The condition in force."""
        return self._condition

    def set_condition(self, condition: str | Condition | None) -> None:
        """Evaluate under `condition` from now on, with fresh counts.

        Raises:
            LsnError: it does not fit the mask or the model, or does not reach the model's MLP.
        """
        chosen = self._choose(condition)
        self._intervention = self._prepare(chosen)
        self._condition = chosen
        self.stacked.turn_to(chosen, self._intervention)
        self._shared.turn_to(chosen)
        self._model_calls = 0
        self._elsewhere: list[dict[str, Any]] = []
        self._earlier: dict[str, Any] | None = None
        if self._database is not None:
            self._use_own_table()

    def stack(
        self, following: Sequence[str | Condition | None], most_rows: int | None = None
    ) -> None:
        """Until the next `set_condition`, generate for `following` in the same batches, and compute
        the layers below the first that is written once for all of them.

        At its turn, a condition's requests get the answers kept for it; the model must be the same
        then. `most_rows` is of a batch, all its conditions together; 0 stacks nothing.
        """
        chosen = [self._choose(condition) for condition in following]
        self.stacked.follow(chosen, most_rows)
        self._shared.follow(chosen)

    def _prepare(self, condition: Condition) -> Intervention | None:
        if not condition.terms:
            return None
        assert self._mask is not None
        intervention = Intervention(self.model, self._mask, condition)
        if intervention.plan.writes:
            self._probe(intervention)
        return intervention

    def _probe(self, intervention: Intervention) -> None:
        """Two tokens through the model: a model that goes round the hooks fails here, at once."""
        tokens = torch.full((1, 2), self.prefix_token_id, device=self.device)
        with intervention.positions.everywhere(), intervention.active():
            if self.backend == "seq2seq":
                self._forward(tokens, attn_mask=torch.ones_like(tokens), labels=tokens)
            else:
                self._forward(tokens)
        intervention.reset_counts()

    def _active(self) -> AbstractContextManager[Any]:
        if self._intervention is None or not self._intervention.plan.writes:
            return nullcontext()
        return self._intervention.active()

    def _forward(self, inps: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """`hf`'s own forward pass; a kind of model that reads otherwise has one of its own."""
        logits: torch.Tensor = super()._model_call(inps, *args, **kwargs)
        return logits

    def _model_call(self, inps: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        self._model_calls += 1
        logits = self._shared(self._active, inps, *args, **kwargs)
        if self.backend == "causal" and logits.ndim == 3 and logits.shape[1] != inps.shape[1]:
            raise LsnError(
                f"this model gives scores for {logits.shape[1]} positions where {inps.shape[1]} "
                "tokens were given (virtual tokens of a prompt-tuned adapter?), and lm-eval's hf "
                "would read them off wrong positions: only generation tasks are right with it"
            )
        return logits

    def _model_generate(
        self, context: Any, max_length: int, stop: Sequence[str], **options: Any
    ) -> torch.Tensor:
        self._model_calls += 1
        answer = self.stacked.answer(context, max_length, stop, **options)
        if answer is not None:
            return answer
        try:
            with self._active():
                return super()._model_generate(context, max_length, stop, **options)
        except LsnError:
            raise
        except _ABOUT_ARGUMENTS as error:
            raise refusal("generate cannot run", options, error) from error

    def tok_encode(
        self,
        string: str,
        add_special_tokens: bool | None = None,
        left_truncate_len: int | None = None,
        **kwargs: Any,
    ) -> list[int]:
        """As `hf`; a text that comes again, under the next condition, is not tokenised again."""
        return self._encoded(string, add_special_tokens, left_truncate_len).tolist()

    def _detect_batch_size(self, *args: Any, **kwargs: Any) -> int:
        """As `hf`; what the search for a batch size runs through is not part of what was seen."""
        calls, intervention = self._model_calls, self._intervention
        counts = intervention.counts() if intervention else []
        everywhere = intervention.positions.everywhere() if intervention else nullcontext()
        with everywhere, self._shared.whole():
            size = super()._detect_batch_size(*args, **kwargs)
        self._model_calls = calls
        if intervention:
            intervention.reset_counts()
            intervention.add_counts(counts)
        return int(size)

    def _batches(
        self, rows: Iterable[Row], length: Callable[[Row], int], disable_tqdm: bool
    ) -> Iterator[list[Row]]:
        """Rows in batches, the longest first, for a kind of model that `hf` has none for."""
        waiting = sorted(rows, key=length, reverse=True)
        size = self._detect_batch_size() if self.batch_size == "auto" else int(self.batch_size)
        for start in tqdm(range(0, len(waiting), size), disable=disable_tqdm or self.rank != 0):
            yield waiting[start : start + size]

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """As `hf`, the longest texts first: a batch is padded to its longest window, and a text has
        one window, or several of full length. What a row is rounded to depends on its batch,
        so that sums equal `hf`'s bit for bit where batches are of one."""
        if self.batch_size == 1:
            return super().loglikelihood_rolling(requests, disable_tqdm)
        lengths = [len(self.tok_encode(request.args[0])) for request in requests]
        order = sorted(range(len(requests)), key=lambda number: -lengths[number])
        sums = super().loglikelihood_rolling([requests[number] for number in order], disable_tqdm)
        return [total for _, total in sorted(zip(order, sums, strict=True))]

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """As `hf`; an answer longer than the context is an error that a user can read."""
        try:
            return super().generate_until(requests, disable_tqdm=disable_tqdm)
        except AssertionError as error:
            if "max tokens to generate" not in str(error):
                raise
            raise LsnError(
                f"an answer of as many tokens as the task asks for does not fit into this model's "
                f"context of {self.max_length}; give --gen_kwargs max_gen_toks=N with a smaller N, "
                "or a model with a longer context"
            ) from error

    def barrier(self) -> None:
        """As `hf`, where processes wait for each other after all requests of a kind; and what the
        hooks of the others have seen until then is fetched."""
        super().barrier()
        if self.world_size > 1:
            own = self._intervention.report.to_json() if self._intervention else {}
            reports: list[dict[str, Any]] = [{}] * self.world_size
            torch.distributed.all_gather_object(reports, own)
            self._elsewhere = [
                seen for rank, seen in enumerate(reports) if seen and rank != self.rank
            ]

    # The response cache ----------------------------------------------------------------------

    def set_cache_hook(self, cache_hook: CacheHook) -> None:
        """Called by lm-eval with `--use_cache`: keep this signature's responses apart."""
        super().set_cache_hook(cache_hook)
        self._database = cache_hook.dbdict
        if self._database is not None:
            self._use_own_table()

    def _use_own_table(self) -> None:
        identity = {
            "arguments": {
                name: value
                for name, value in self._arguments.items()
                if name != "tokenizer" or isinstance(value, str)
            },
            "files": model_files(self._arguments),
            "loaded": self._loaded(),
            "commit": getattr(self.model.config, "_commit_hash", None),
            "tokenizer": tokenizer_digest(self.tokenizer),
            "dtype": str(self.model.dtype),
            "mask": self._mask.digest if self._mask and self._condition.terms else None,
            "condition": str(self._condition),
            "versions": [__version__, lm_eval_version, transformers.__version__],
        }
        use_table(self._database, identity)
        if RECORD_KEY in self._database:
            self._earlier = self._database[RECORD_KEY]

    def _loaded(self) -> str | None:
        """A digest of a model that was handed over; one by name is told by its files."""
        in_memory = self._arguments["pretrained"] == "in memory"
        return loaded_digest(self.model, self.tokenizer) if in_memory else None

    # The record ------------------------------------------------------------------------------

    def get_model_info(self) -> dict[str, Any]:
        """`hf`'s information and, under `lsn`, what was done and what the hooks saw."""
        record = self._record()
        if self._intervention is not None:
            self._intervention.report.warn_of_unchanged()
        logger.info("signature: %s", record["signature"])
        for hookpoint, seen in record["seen"].get("hookpoints", {}).items():
            logger.info("%s: %s", hookpoint, ", ".join(f"{k} {v}" for k, v in seen.items()))
        if self._database is not None:
            self._database[RECORD_KEY] = record["seen"]
        return {**super().get_model_info(), "lsn": record}

    def _record(self) -> dict[str, Any]:
        mask, intervention = self._mask, self._intervention
        try:
            loaded = self._loaded()
        except Exception as error:  # what was measured is not lost for it
            logger.warning("results cannot say which weights were in memory: %r", error)
            loaded = None
        name = model_name(self._arguments, self.model)
        if self._tuning:  # a condition of the model, and no other one
            name = name.replace(f"+{self._arguments['peft']}", "", 1)
        by_structure = intervention and intervention.hookpoints.structure
        described = {
            "name": name,
            "type": self.model.config.model_type,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            **({"loaded": loaded[:12]} if loaded else {}),
            **({"resolved": "structure"} if by_structure else {}),
            **({"tuning": self._tuning} if self._tuning else {}),
        }
        return lsn_record(
            self._condition,
            described,
            mask,
            self._mask_name,
            layers=intervention.plan.neurons_per_layer() if intervention else {},
            warnings=intervention.report.doubts if intervention else [],
            seen=self._seen(),
            answered_from_cache=self._database is not None and not self._model_calls,
        )

    def _seen(self) -> dict[str, Any]:
        """What the hooks saw in this run, in all its processes, and in those whose responses are in
        the cache."""
        earlier = self._earlier or {}
        if self._intervention is None:
            return earlier
        seen = self._intervention.report.to_json()
        for other in (earlier, *self._elsewhere):
            for hookpoint, counts in seen["hookpoints"].items():
                for name, count in other.get("hookpoints", {}).get(hookpoint, {}).items():
                    if name != "neurons":
                        counts[name] += count
        for other in self._elsewhere:
            seen["unchanged"] = [site for site in seen["unchanged"] if site in other["unchanged"]]
        seen["unchanged"] = seen["unchanged"] or earlier.get("unchanged", [])
        if "unrouted" in seen:
            for other in filter(None, (earlier, *self._elsewhere)):
                seen["unrouted"] = [
                    at for at in seen["unrouted"] if at in other.get("unrouted", [])
                ]
        return seen


_NOT_IDENTITY = frozenset({"batch_size", "max_batch_size", "device"})
"""Arguments that change rounding at most: two runs that differ in them share a cache."""
_TEXTS = 2**15
"""Texts whose tokens are kept; 256 MiB where each has 2,048."""
_ABOUT_ARGUMENTS = (AssertionError, AttributeError, ImportError, TypeError, ValueError)
"""What transformers raises of an argument of `generate` that it cannot use."""
