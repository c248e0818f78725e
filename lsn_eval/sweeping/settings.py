"""`SweepSettings`: what a sweep runs, checked before a model is loaded.

The arguments beside `mask` and `conditions` are those of `lm_eval run` and mean the same: they go
through lm-eval's own configuration class, so that a condition's results file says what one of
lm-eval's own run would say.
"""

from __future__ import annotations

import math
import re
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lsn_eval.conditions import Condition, plan
from lsn_eval.errors import LsnError
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.visible_text import shortened


class SweepError(LsnError):
    """A sweep that cannot be run as it was asked for."""


MODEL = "lsn_hf"
"""lm-eval's name of the model class with hooks, in results files without `backend`."""
_ALSO_WITH_HOOKS = ("lsn_mlm", "lsn_classifier")

_OTHER_WEIGHTS = ("peft", "delta", "lora_local_path", "subfolder", "gguf_file")
"""Model arguments by which a model has other weights than those that are written."""

_DTYPES = ("auto", "float32", "bfloat16", "float16", "float64", "float", "half", "double")
_DEVICE = re.compile(r"cpu|cuda(:\d+)?|mps(:0)?|(npu|xpu|hpu):\d+")
"""The names that lm-eval knows; for any other it takes a device of its own choice."""
_BATCH_SIZE = re.compile(r"[1-9][0-9]*|auto(:[1-9][0-9]*)?")


def _of(*kinds: type, where: Callable[[Any], Any] = lambda value: True) -> Callable[[Any], bool]:
    """Whether a value is of one of these types, for which True and False are no numbers."""

    def fits(value: Any) -> bool:
        right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        return right and bool(where(value))

    return fits


_is_number = _of(int, float)
_is_text = _of(str, where=len)
_TEXT = (_is_text, "a text")
_FLAG = (_of(bool), "true or false")
_FROM_0 = (_of(int, where=lambda number: number >= 0), "a whole number from 0 on")
_NAMES = (
    _of(tuple, list, where=lambda names: all(map(_is_text, names))),
    "a list of names, with no space after the colon of a condition,",
)
_PAIRS = (
    _of(Mapping, where=lambda pairs: all(map(_is_text, pairs))),
    "names with values, NAME=VALUE,NAME=VALUE or a JSON object,",
)

_WANTED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "model": _TEXT,
    "mask": _TEXT,
    "tasks": _NAMES,
    "conditions": _NAMES,
    "each": (lambda value: _is_text(value) or _is_number(value), "a text such as zero"),
    "controls": _FROM_0,
    "backend": (
        lambda value: _is_text(value) and value != MODEL,
        f"one of lm-eval's models, such as vllm ({MODEL} is what a sweep runs without)",
    ),
    "dtype": (_DTYPES.__contains__, f"one of {', '.join(_DTYPES)}"),
    "batch_size": (
        lambda value: _BATCH_SIZE.fullmatch(str(value)),
        "a whole number from 1 on, such as 16, or auto",
    ),
    "max_batch_size": (_of(int, where=lambda number: number > 0), "a whole number from 1 on"),
    "device": (_of(str, where=_DEVICE.fullmatch), "cpu, cuda, cuda:1, mps or the like"),
    "limit": (
        _of(int, float, where=lambda number: 0 < number < math.inf),
        "a number above 0, the documents of a task or, below 1, a share of them,",
    ),
    "num_fewshot": _FROM_0,
    "model_args": _PAIRS,
    "metadata": _PAIRS,
    "gen_kwargs": _PAIRS,
    "system_instruction": (_of(str), "a text"),
    "apply_chat_template": (_of(bool, str), "true, false or the name of a template"),
    "fewshot_as_multiturn": _FLAG,
    "include_path": (
        lambda value: _is_text(value) and Path(value).is_dir(),
        "a folder that exists",
    ),
    "trust_remote_code": _FLAG,
    "stack": (_FROM_0[0], "the most rows of a shared batch, such as 64, or 0 for none,"),
    "confirm_run_unsafe_code": _FLAG,
}
"""What the value of a setting may be, in code and in words; None stands for not given."""


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """Conditions and tasks, and what `lm_eval run` takes, by its own names."""

    model: str
    """Name or folder of the model, or `lsn_demo`."""
    mask: str
    """Mask file or name of a shipped mask."""
    tasks: tuple[str, ...]
    """Names of tasks and groups, patterns, or YAML files, as for `lm_eval --tasks`."""
    conditions: tuple[str, ...] = ()
    """Conditions in the order they are run; `each` instead makes the list from the mask."""
    each: str | None = None
    """WHAT is done to every language of the mask, such as `zero`; `none` comes first."""
    controls: int = 0
    """With `each`: random controls a language, on every task."""
    backend: str | None = None
    """One of lm-eval's models, which runs each condition from its weights, but for `lsn_mlm` and
    `lsn_classifier`, which have hooks; `lsn_hf` without it."""
    dtype: str | None = None
    """As the model argument of that name."""
    batch_size: str | None = None
    """A number, or `auto`."""
    max_batch_size: int | None = None
    device: str | None = None
    limit: float | None = None
    num_fewshot: int | None = None
    seed: tuple[int | None, ...] | None = None
    """One for all, or four: python, numpy, torch, few-shot."""
    model_args: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the model class."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    gen_kwargs: Mapping[str, Any] = field(default_factory=dict)
    system_instruction: str | None = None
    apply_chat_template: bool | str = False
    fewshot_as_multiturn: bool | None = None
    include_path: str | None = None
    trust_remote_code: bool = False
    stack: int | None = None
    """Most rows of a batch that several conditions share in generation, conditions times batch
    size; 0 generates for each by itself, None is `stacked_generation.MOST_ROWS`."""
    confirm_run_unsafe_code: bool = False

    def __post_init__(self) -> None:
        for name in ("model", "mask", "tasks"):
            if not getattr(self, name):
                raise SweepError(f"{name} is missing; give --{name}, or {name} in --file")
        for name, (fits, wanted) in _WANTED.items():
            value = getattr(self, name)
            if value is not None and not fits(value):
                raise SweepError(f"{name} is {shortened(repr(value), 200)}; {wanted} was expected")
        if bool(self.conditions) == (self.each is not None):
            raise SweepError(
                "a sweep takes either conditions, e.g. --conditions none,de:zero, or each, e.g. "
                f"--each zero; {'both were' if self.conditions else 'neither was'} given"
            )
        if self.controls and self.each is None:
            raise SweepError(
                f"controls is {self.controls}, which goes together with --each; among --conditions "
                "name them, e.g. random1-de:zero"
            )
        for name in ("pretrained", "mask", "condition", "dtype", "batch_size", "device"):
            if name in self.model_args:
                option = {"pretrained": "model", "condition": "conditions"}.get(name, name)
                raise SweepError(
                    f"model_args holds {name}, which a sweep takes by itself; give "
                    f"--{option.replace('_', '-')}"
                )
        for name in _OTHER_WEIGHTS:
            if self.in_weights and self.model_args.get(name):
                raise SweepError(
                    f"model_args holds {name}, and with --backend conditions are written into the "
                    "weights of the model's own safetensors files: make it one such model first"
                )

    @property
    def in_weights(self) -> bool:
        """Whether each condition gets a model of its own, and not hooks."""
        return self.backend not in (None, *_ALSO_WITH_HOOKS)

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], where: str | None = None) -> SweepSettings:
        """Settings by name, from a YAML file and the command line; None means not given.

        Raises:
            SweepError: a name that is none, one that is missing, or a value that cannot be one;
                the message begins with `where`.
        """
        known = {entry.name for entry in fields(cls)}
        settings: dict[str, Any] = {"model": None, "mask": None, "tasks": None}
        settings |= {name: value for name, value in given.items() if value is not None}
        try:
            if unknown := sorted(map(str, set(settings) - known)):
                raise SweepError(
                    f"{', '.join(unknown)} is no setting of a sweep; there are "
                    f"{', '.join(sorted(known))}"
                )
            for name in ("tasks", "conditions"):
                if isinstance(settings.get(name), str):
                    names = map(str.strip, settings[name].split(","))
                    settings[name] = tuple(filter(None, names))
                elif isinstance(settings.get(name), list):
                    settings[name] = tuple(settings[name])
            if "batch_size" in settings:
                settings["batch_size"] = str(settings["batch_size"])
            if _is_number(settings.get("limit")):
                settings["limit"] = float(settings["limit"])
            if "seed" in settings:
                settings["seed"] = parse_seed(settings["seed"])
            return cls(**settings)
        except SweepError as error:
            raise SweepError(f"{where}: {error}") if where else error from None

    def conditions_of(self, mask: NeuronMask) -> tuple[Condition, ...]:
        """The conditions to run, each once and each known to the mask.

        Raises:
            LsnError: one cannot be read, is named twice, or asks for what the mask lacks.
        """
        texts = list(self.conditions)
        if self.each is not None:
            numbers = range(1, self.controls + 1)
            controls = (f"random{n}-{language}" for language in mask.languages for n in numbers)
            texts = ["none", *(f"{who}:{self.each}" for who in (*mask.languages, *controls))]
        conditions = [Condition.parse(text) for text in texts]
        for condition in conditions:
            if conditions.count(condition) > 1:
                raise SweepError(f"condition {condition} is named twice; name it once")
            plan(mask, condition)
        return tuple(conditions)

    def configuration(self, condition: Condition, out: Path) -> Any:
        """lm-eval's own configuration, as its command makes it for this condition alone.

        Raises:
            SweepError: lm-eval refuses it.
        """
        from lm_eval.config.evaluate_config import EvaluatorConfig

        hooks = {"mask": self.mask, "condition": str(condition)} if not self.in_weights else {}
        model_args = {
            "pretrained": self.model,
            **hooks,
            **({"dtype": self.dtype} if self.dtype else {}),
            **self.model_args,
        }
        own = {"model", "mask", "conditions", "each", "controls", "backend", "dtype", "stack"}
        shared = {k: value for k, value in vars(self).items() if k not in own | {"model_args"}}
        shared |= {name: list(shared[name]) for name in ("tasks", "seed") if shared[name]}
        shared |= {name: dict(shared[name]) for name in ("metadata", "gen_kwargs")}
        namespace = Namespace(
            **shared, model=self.backend or MODEL, model_args=model_args, log_samples=True,
            output_path=str(out),
        )  # fmt: skip
        try:
            return EvaluatorConfig.from_cli(namespace)
        except ValueError as error:
            raise SweepError(f"lm-eval refuses these arguments: {error}") from error


def parse_seed(given: Any) -> tuple[int | None, ...]:
    """One seed, or four separated by commas, `None` leaving one unset."""
    parts = [str(part) for part in given] if isinstance(given, list) else str(given).split(",")
    try:
        seeds = tuple(None if p.strip() == "None" else int(p) for p in parts)
    except ValueError:
        seeds = ()
    if len(seeds) not in (1, 4):
        raise SweepError(
            f"seed {given!r}: one number, or four for python, numpy, torch and few-shot were "
            "expected, such as 42 or 0,1234,1234,1234"
        )
    return seeds
