"""`--config FILE.yaml`: the options of any command from a file; what is typed beside it wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsn_eval.errors import LsnError

OPTION = "--config"
_OWN = {"run", "sweep"}
"""Commands with settings files of their own: lm-eval's, and a sweep's, which holds mappings."""


def without_settings_file(
    arguments: Sequence[str], group: Any
) -> tuple[list[str], dict[str, Any] | None]:
    """The arguments without `--config FILE`, and what the file says as click's `default_map`.

    Raises:
        LsnError: the file is no YAML mapping, or names what the command does not have.
    """
    path, command = _command(arguments, group)
    rest: list[str] = []
    file = None
    pending = iter(arguments)
    for argument in pending:
        if path and path[0] not in _OWN and argument.partition("=")[0] == OPTION:
            name, equals, value = argument.partition("=")
            file = value if equals else next(pending, None)
            if not file:
                raise LsnError(f"{OPTION} needs a file: {OPTION} FILE.yaml")
        else:
            rest.append(argument)
    if file is None:
        return rest, None
    defaults: dict[str, Any] = _defaults(file, command)
    for name in reversed(path):
        defaults = {name: defaults}
    return rest, defaults


def _command(arguments: Sequence[str], group: Any) -> tuple[list[str], Any]:
    """The words that name a command, and the command."""
    path: list[str] = []
    for argument in arguments:
        inner = getattr(group, "commands", {}).get(argument)
        if inner is None:
            break
        path.append(argument)
        group = inner
    return path, group


def _defaults(file: str, command: Any) -> dict[str, Any]:
    from lsn_eval.storage.yaml_files import read_settings

    read = read_settings(file, LsnError, "out: FILE")
    known = {
        spelling.lstrip("-").replace("-", "_"): parameter
        for parameter in command.params
        for spelling in (*parameter.opts, parameter.name)
    }
    defaults = {}
    for name, value in read.items():
        parameter = known.get(str(name).replace("-", "_"))
        if parameter is None:
            there = ", ".join(sorted({entry.opts[0].lstrip("-") for entry in known.values()}))
            raise LsnError(f"{OPTION} {file}: {name!r} is no option here; there are {there}")
        defaults[parameter.name] = _value(value, parameter, f"{OPTION} {file}: {name}")
    return defaults


def _value(value: Any, parameter: Any, where: str) -> Any:
    if isinstance(value, dict) or value is None:
        raise LsnError(f"{where}: a text, a number, true or false, or a list of them was expected")
    several = getattr(parameter, "multiple", False) or parameter.nargs != 1
    if isinstance(value, list):
        texts = [str(entry) for entry in value]
        return texts if several else ",".join(texts)
    return [str(value)] if several else value
