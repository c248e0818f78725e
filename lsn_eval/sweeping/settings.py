"""`SweepSettings`: what a sweep runs, checked before a model is loaded.

The arguments beside `mask` and `conditions` are those of `lm_eval run` and mean the same: they go
through lm-eval's own configuration class, so that a condition's results file says what one of
lm-eval's own run would say.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lsn_eval.conditions import Condition, plan
from lsn_eval.errors import LsnError
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.sweeping.values import CHECKED, wrong_value


class SweepError(LsnError):
    """A sweep that cannot be run as it was asked for."""


MODEL = "lsn_hf"
"""lm-eval's name of the model class, in every results file."""


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
        if not self.tasks:
            raise SweepError("no tasks were given; name some, e.g. --tasks lsn_demo_ppl")
        if bool(self.conditions) == (self.each is not None):
            raise SweepError(
                "a sweep takes either conditions, e.g. --conditions none,de:zero, or each, e.g. "
                f"--each zero; {'both were' if self.conditions else 'neither was'} given"
            )
        if self.controls < 0 or (self.controls and self.each is None):
            raise SweepError(
                f"controls is {self.controls}: a number from 0 on was expected, together with "
                "--each; among --conditions name them, e.g. random1-de:zero"
            )
        if self.stack is not None and self.stack < 0:
            raise SweepError(
                f"stack is {self.stack}; the most rows of a shared batch was expected, such as 64, "
                "or 0 for none"
            )
        for name in CHECKED:
            if wrong := wrong_value(name, getattr(self, name)):
                raise SweepError(wrong)
        for name in ("pretrained", "mask", "condition", "dtype", "batch_size", "device"):
            if name in self.model_args:
                given = {"pretrained": "model", "condition": "conditions"}.get(name, name)
                raise SweepError(
                    f"model_args holds {name}, which a sweep takes by itself; give "
                    f"--{given.replace('_', '-')}"
                )

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], where: str) -> SweepSettings:
        """Settings by name, from a YAML file and the command line; None means not given.

        Raises:
            SweepError: a name that is none, one that is missing, or a value of another type.
        """
        known = {entry.name for entry in fields(cls)}
        if unknown := sorted(set(map(str, given)) - known):
            raise SweepError(
                f"{where}: {', '.join(unknown)} is no setting of a sweep; there are "
                f"{', '.join(sorted(known))}"
            )
        chosen = {name: value for name, value in given.items() if value is not None}
        for name in ("model", "mask", "tasks"):
            if not chosen.get(name):
                raise SweepError(f"{where}: {name} is missing; give --{name}, or {name} in a file")
        for name, kinds in _KINDS.items():
            value = chosen.get(name)
            if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
                wanted = " or ".join(kind.__name__ for kind in kinds)
                raise SweepError(f"{where}: {name} is {value!r}; {wanted} was expected")
        for name in ("tasks", "conditions"):
            if name in chosen:
                chosen[name] = _names(chosen[name], name, where)
        if "batch_size" in chosen:
            chosen["batch_size"] = str(chosen["batch_size"])
        if "limit" in chosen:
            chosen["limit"] = float(chosen["limit"])
        if "seed" in chosen:
            chosen["seed"] = parse_seed(chosen["seed"])
        return cls(**chosen)

    def conditions_of(self, mask: NeuronMask) -> tuple[Condition, ...]:
        """The conditions to run, each once and each known to the mask.

        Raises:
            LsnError: one cannot be read, is named twice, or asks for what the mask lacks.
        """
        texts = list(self.conditions)
        if self.each is not None:
            whos = [
                *mask.languages,
                *(
                    f"random{number}-{language}"
                    for language in mask.languages
                    for number in range(1, self.controls + 1)
                ),
            ]
            texts = ["none", *(f"{who}:{self.each}" for who in whos)]
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

        model_args = {
            "pretrained": self.model,
            "mask": self.mask,
            "condition": str(condition),
            **({"dtype": self.dtype} if self.dtype else {}),
            **self.model_args,
        }
        namespace = Namespace(
            model=MODEL,
            model_args=model_args,
            tasks=list(self.tasks),
            num_fewshot=self.num_fewshot,
            batch_size=self.batch_size,
            max_batch_size=self.max_batch_size,
            device=self.device,
            limit=self.limit,
            seed=list(self.seed) if self.seed else None,
            metadata=dict(self.metadata),
            gen_kwargs=dict(self.gen_kwargs),
            system_instruction=self.system_instruction,
            apply_chat_template=self.apply_chat_template,
            fewshot_as_multiturn=self.fewshot_as_multiturn,
            include_path=self.include_path,
            trust_remote_code=self.trust_remote_code,
            confirm_run_unsafe_code=self.confirm_run_unsafe_code,
            log_samples=True,
            output_path=str(out),
        )
        try:
            return EvaluatorConfig.from_cli(namespace)
        except ValueError as error:
            raise SweepError(f"lm-eval refuses these arguments: {error}") from error


_KINDS: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "mask": (str,),
    "each": (str, int, float),
    "controls": (int,),
    "dtype": (str,),
    "batch_size": (int, str),
    "max_batch_size": (int,),
    "device": (str,),
    "limit": (int, float),
    "num_fewshot": (int,),
    "seed": (int, str, list),
    "model_args": (dict,),
    "metadata": (dict,),
    "gen_kwargs": (dict,),
    "system_instruction": (str,),
    "include_path": (str,),
    "stack": (int,),
}
"""What a YAML file may hold under a name."""


def parse_seed(given: int | str | Sequence[int | None]) -> tuple[int | None, ...]:
    """One seed, or four separated by commas, `None` leaving one unset."""
    parts = str(given).split(",") if isinstance(given, str | int) else [str(v) for v in given]
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


def read_file(path: Path) -> dict[str, Any]:
    """The settings in a YAML file.

    Raises:
        SweepError: it cannot be read, or is no YAML mapping.
    """
    import yaml

    try:
        read = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise SweepError(
            f"{path} cannot be read ({error.strerror}); a YAML file with settings was expected"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SweepError(f"{path} is no YAML: {error}") from error
    if not isinstance(read, dict):
        raise SweepError(f"{path} holds no settings; lines such as 'model: lsn_demo' were expected")
    return read


def _names(given: Any, name: str, where: str) -> tuple[str, ...]:
    """`a,b`, or a list."""
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(text, str) for text in names):
        raise SweepError(
            f"{where}: {name} is {given!r}; a list of names was expected, with no space after the "
            "colon of a condition"
        )
    return tuple(filter(None, map(str.strip, names)))
