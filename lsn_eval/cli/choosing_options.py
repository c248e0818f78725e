"""`--task`, `--metric`, `--model`, `--condition`, `--language`: one choice for every command."""

from __future__ import annotations

from typing import Annotated, Any

import typer

_SEVERAL = "name or pattern; repeat, or use commas."


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
        "--conditions",
        help=f"Conditions, with 'none' and their controls: {_SEVERAL}",
        show_default="all",
    ),
]
Languages = Annotated[
    list[str] | None,
    typer.Option("--language", help=f"Languages of texts: {_SEVERAL}", show_default="all"),
]
