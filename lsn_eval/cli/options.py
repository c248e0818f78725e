"""Options that several commands share: which numbers are meant, lists, what is read and written."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from lsn_eval.errors import LsnError

_BEFORE_PAIR = re.compile(r",\s*(?=[^=,]+=)")


def several(help: str, *names: str, pairs: bool = False, **others: Any) -> Any:
    """An option that takes a list: given repeatedly, or with commas, or both.

    Args:
        help: what it is, without a full stop; how to give several is added.
        pairs: entries are `NAME=VALUE`, so that a value may hold commas itself.
    """

    def taken_apart(given: list[str] | None) -> list[str] | None:
        split = _BEFORE_PAIR.split if pairs else re.compile(",").split
        entries = [entry.strip() for text in given or () for entry in split(text)]
        if not all(entries):
            raise typer.BadParameter(
                f"{','.join(given or ())!r} has nothing before, after or between commas"
            )
        return entries or None

    return typer.Option(
        *names, help=f"{help}; repeat, or use commas.", callback=taken_apart, **others
    )


def pairs(
    entries: list[str] | None,
    option: str,
    form: str,
    example: str,
    error: type[LsnError] = LsnError,
    remedy: str = "give one",
) -> dict[str, str]:
    """Values by name, of entries `NAME=VALUE`.

    Args:
        form: how an entry looks, `CODE=NAME`; `example` is one.
        remedy: for a name that stands there twice.

    Raises:
        LsnError: an entry that looks otherwise, or a name with two values.
    """
    values: dict[str, str] = {}
    for entry in entries or ():
        name, equals, value = (part.strip() for part in entry.partition("="))
        if not (name and equals and value):
            raise error(f"{option} {entry!r}: {form} was expected, for instance {example}")
        if name in values:
            raise error(f"{option} names {name} twice, {values[name]} and {value}; {remedy}")
        values[name] = value
    return values


_SEVERAL = "name or pattern; repeat, or use commas."


def metrics(default: str) -> Any:
    """`--metric` of a command that shows `default` without it."""
    return typer.Option("--metric", help=f"Metrics, or 'all': {_SEVERAL}", show_default=default)


Tasks = Annotated[
    list[str] | None,
    typer.Option("--task", help=f"Tasks or families of them: {_SEVERAL}", show_default="all"),
]
Metrics = Annotated[list[str] | None, metrics("each task's first")]
AllMetrics = Annotated[list[str] | None, metrics("all")]
Models = Annotated[
    list[str] | None, typer.Option("--model", help=f"Models: {_SEVERAL}", show_default="all")
]
Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--condition",
        "--conditions",
        help=f"Conditions, with 'none' and their controls: {_SEVERAL}",
        show_default="all",
    ),
]
Languages = Annotated[
    list[str] | None,
    typer.Option("--language", help=f"Languages of texts: {_SEVERAL}", show_default="all"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Write over what is there.")]
Results = Annotated[
    list[Path], typer.Argument(help="Results files of lm-eval, or folders that hold them.")
]
Allow = Annotated[
    list[str] | None,
    several("Settings that may differ from the baseline's, e.g. lm_eval", show_default="none"),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="terminal, markdown, csv, json or latex.",
        show_default="by the suffix of --out, else terminal",
    ),
]
TableOut = Annotated[
    Path | None, typer.Option("--out", help="File to write.", show_default="screen")
]
Model = Annotated[str, typer.Option(help="A Hugging Face model: folder, name, or lsn_demo.")]
Revision = Annotated[str | None, typer.Option(help="Commit or branch of the model.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1; auto spreads the model.", show_default="best there"),
]
Progress = Annotated[bool, typer.Option(help="Show a progress bar.")]
Mask = Annotated[str | None, typer.Option(help="Mask file, or a shipped mask's name.")]
MaskOut = Annotated[Path, typer.Option(help="The mask file to write.")]
MaskName = Annotated[str, typer.Argument(help="A mask file, or the name of a shipped mask.")]
Repository = Annotated[str, typer.Argument(help="A repository of the Hub: OWNER/NAME.")]
OnHub = Annotated[str, typer.Argument(help="hf:OWNER/NAME@REVISION")]
Private = Annotated[bool, typer.Option("--private", help="Make the repository a private one.")]
ModelName = Annotated[str | None, typer.Option(help="Name of the model, for the record.")]
Controls = Annotated[
    int | None,
    typer.Option(help="Random controls to store for each language (20, where they fit)."),
]
ControlsMatched = Annotated[
    str, typer.Option(help="layer, or rate: of nearly the same firing rate too.")
]
ModelType = Annotated[
    str | None, typer.Option(help="Its config.model_type (llama, bloom): checked when used.")
]


Command = TypeVar("Command", bound=Callable[..., Any])


def sharing(*lists: Callable[..., Any]) -> Callable[[Command], Command]:
    """Give a command the options of these lists, behind its own, in place of its `**` arguments."""

    def made(command: Command) -> Command:
        functions: tuple[Callable[..., Any], ...] = (command, *lists)
        given = [signature(each, eval_str=True).parameters.values() for each in functions]
        every = [of for each in given for of in each if of.kind is not of.VAR_KEYWORD]
        every.sort(key=lambda of: of.default is not of.empty)
        command.__signature__ = Signature(every)  # type: ignore[attr-defined]
        command.__annotations__ = {of.name: of.annotation for of in every}
        return command

    return made


def a_model(
    model: Model, dtype: Dtype = "auto", device: Device = None, revision: Revision = None
) -> None:
    """What every command has that loads a model: arguments of `load_model`."""


def chosen(
    task: Tasks = None,
    model: Models = None,
    condition: Conditions = None,
    language: Languages = None,
) -> None:
    """What every command has that chooses among numbers; each says itself what metric it shows."""


def check_new(out: Path, force: bool) -> None:
    """Raise where `out` cannot be written, or holds what `--force` alone replaces; to be asked
    before the work."""
    from lsn_eval.storage.whole_files import check_place

    check_place(out, LsnError, force=force)


def command_line() -> str:
    """What the user typed, for the provenance of a file."""
    return shlex.join(["lsn-eval", *sys.argv[1:]])
