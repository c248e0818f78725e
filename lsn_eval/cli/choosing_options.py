"""`--task`, `--metric`, `--model`, `--condition`, `--language`: one choice for every command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lsn_eval.results.choosing import Choice

_SEVERAL = "name or pattern; repeat, or give several with commas."


def metric_option(default: str) -> Any:
    """`--metric` of a command that shows `default` without it."""
    return typer.Option("--metric", help=f"Metrics, or 'all': {_SEVERAL}", show_default=default)


Tasks = Annotated[
    list[str] | None,
    typer.Option("--task", help=f"Tasks or families of them: {_SEVERAL}", show_default="all"),
]
Metrics = Annotated[list[str] | None, metric_option("each task's first")]
AllMetrics = Annotated[list[str] | None, metric_option("all")]
Models = Annotated[
    list[str] | None, typer.Option("--model", help=f"Models: {_SEVERAL}", show_default="all")
]
Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--condition",
        help=f"Conditions, with 'none' and their controls: {_SEVERAL}",
        show_default="all",
    ),
]
Languages = Annotated[
    list[str] | None,
    typer.Option("--language", help=f"Languages of texts: {_SEVERAL}", show_default="all"),
]


def choice_of(
    task: Sequence[str] | None,
    metric: Sequence[str] | None,
    model: Sequence[str] | None,
    condition: Sequence[str] | None,
    language: Sequence[str] | None,
) -> Choice:
    """What the five options say."""
    from lsn_eval.results.choosing import Choice

    return Choice(*(tuple(given or ()) for given in (task, metric, model, condition, language)))
