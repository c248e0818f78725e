"""What can be chosen about a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lsn_eval.errors import RecordingError
from lsn_eval.masks.names import quantile_share
from lsn_eval.models.hookpoints import DEFAULT_HOOKPOINT
from lsn_eval.statistics.quantiles import QUANTILES, SAMPLE_TOKENS


@dataclass(frozen=True, kw_only=True)
class RecordingSettings:
    """Choices of a recording; each is checked against the others when they are made."""

    hookpoints: tuple[str, ...] = (DEFAULT_HOOKPOINT,)
    """Places to record, of `lsn_eval.models.hookpoints.HOOKPOINTS`; `linear`, `attn` or `mlp` for
    all outputs of linear layers that the model has, or has there."""

    length: int | None = None
    """Tokens a row; by default what the model takes, at most 2048."""

    batch_size: int | Literal["auto"] = "auto"
    """Rows a batch; `auto` keeps a CPU busy, or fills half of a device's memory."""

    pack: bool = True
    """Concatenate all texts and cut them into rows; otherwise one text a row, with padding."""

    statistics: Literal["all", "counts"] = "all"
    """Everything, or only how often a neuron is above 0 (all that `lape` needs)."""

    quantiles: tuple[str, ...] = ()
    """Percentiles to keep besides p10, median and p90: p1 to p99."""

    per_text: bool = False
    """Keep each text's mean response per neuron; needs one text a row."""

    tokens: int | None = None
    """Tokens of each language to run, at most."""

    special_tokens: bool | None = None
    """Let the tokenizer add its special tokens; by default where each text has its own row."""

    skip_special_tokens: bool = False
    """Do not count special tokens."""

    hold_out: bool | None = None
    """Leave out documents held out for evaluation; by default for datasets, not for files."""

    shard: tuple[int, int] = (1, 1)
    """Record part `number` of `count` equal ones, numbered from 1."""

    sample_tokens: int = SAMPLE_TOKENS
    """Tokens of each language from which the quantiles are taken, at most."""

    keep_sample: bool | None = None
    """Keep them in the file, so that quantiles can be added up; by default for shards."""

    checkpoint_seconds: float = 60
    """Seconds between the states that a stopped recording can go on from."""

    def __post_init__(self) -> None:
        number, count = self.shard
        if not 1 <= number <= count:
            raise RecordingError(
                f"shard {number}/{count}: a number from 1 to the count was expected"
            )
        if self.statistics not in ("all", "counts"):
            raise RecordingError(f"statistics {self.statistics!r}: all or counts was expected")
        if odd := [name for name in self.quantiles if quantile_share(name) is None]:
            raise RecordingError(f"quantile {odd[0]!r}: p1 to p99 was expected, such as p25")
        if self.quantiles and self.statistics == "counts":
            raise RecordingError("quantiles are kept with statistics=all (--statistics all) alone")
        if self.batch_size != "auto" and self.batch_size < 1:
            raise RecordingError(f"batch size {self.batch_size}: auto or 1 or more was expected")
        if count > 1 and self.batch_size == "auto":
            raise RecordingError(
                "shards are cut at a fixed batch size, so that they add up to one run; give all of "
                "them the same --batch-size"
            )
        if self.per_text and self.pack:
            raise RecordingError(
                "packed rows mix texts, so that no text has a response of its own; give "
                "--one-text-per-row (pack=False) with --per-text"
            )
        if self.tokens is not None and not isinstance(self.tokens, int | float):
            raise RecordingError(
                f"tokens {self.tokens!r}: a number was expected, such as 10_000_000"
            )
        if self.sample_tokens < 1:
            raise RecordingError(f"sample of {self.sample_tokens} tokens: 1 or more was expected")

    @property
    def adds_special_tokens(self) -> bool:
        return not self.pack if self.special_tokens is None else self.special_tokens

    @property
    def kept_quantiles(self) -> tuple[str, ...]:
        """Every quantile that is kept, each once."""
        return tuple(dict.fromkeys((*QUANTILES, *self.quantiles)))

    @property
    def keeps_sample(self) -> bool:
        return self.shard[1] > 1 if self.keep_sample is None else self.keep_sample
