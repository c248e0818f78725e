"""Panels made by hand, for figures: every number in them is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from lsn_eval.comparing import Change, Panel
from lsn_eval.results.rows import Row


def row(
    condition: str, language: str, value: float, *, neurons: int = 0, mask: str = "sha256-abc",
    metric: str = "token_perplexity", task: str = "ppl", model: str = "made",
) -> Row:  # fmt: skip
    """A row of a results file that is not there."""
    name = f"{task}_{language}"
    return Row(
        file=Path("results.json"), model=model, task=name, language=language, condition=condition,
        metric=metric, filter="none", value=value, stderr=None, higher_is_better=False,
        version="1.0", date=0.0, dtype="float32", mask="none" if condition == "none" else mask,
        method="lape", hookpoint="mlp.act", shots=0, documents=100, neurons=neurons,
        signature=f"model:{model}|dtype:float32|mask:{mask}|method:lape|condition:{condition}|"
        f"hookpoint:mlp.act|data:{name}:1.0|v0.1.0",
    )  # fmt: skip


def panel(
    values: Mapping[str, Mapping[str, float]],
    *,
    scale: str = "log",
    metric: str = "token_perplexity",
    intervals: Mapping[tuple[str, str], tuple[float, float]] | None = None,
    controls: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    refused: Sequence[tuple[str, str]] = (),
    neurons: Mapping[str, int] | None = None,
    documents: int | None = None,
    obstacles: Mapping[tuple[str, str], str] | None = None,
    notes: Sequence[str] = (),
    mask: str = "sha256-abc",
    task: str = "ppl",
    model: str = "made",
) -> Panel:
    """A panel of values by condition and language.

    Args:
        values: with those of `none`.
        intervals: of shifts, by condition and language.
        controls: shifts of the controls, by condition and language.
        refused: cells that are not comparable with the baseline.
        neurons: written, by condition.
        documents: that the intervals are of.
        obstacles: why there is no test, by condition and language.
        notes: of the panel.
    """
    languages = tuple(dict.fromkeys(language for cells in values.values() for language in cells))
    changes = {}
    for condition, cells in values.items():
        for language, value in cells.items():
            named = {"mask": mask, "metric": metric, "task": task, "model": model}
            here = row(
                condition, language, value, neurons=(neurons or {}).get(condition, 0), **named
            )
            start = values.get("none", {}).get(language)
            compared = condition != "none" and (condition, language) not in refused
            baseline = row("none", language, start, **named) if compared and start else None
            shifts = (controls or {}).get(condition, {}).get(language, ())
            whos = condition.replace(":", "-", 1)
            changes[condition, language] = Change(
                row=here,
                baseline=baseline,
                scale=scale,
                interval=(intervals or {}).get((condition, language)),
                documents=documents if (condition, language) in (intervals or {}) else None,
                obstacles=tuple(filter(None, [(obstacles or {}).get((condition, language))])),
                controls={f"random{n}-{whos}": shift for n, shift in enumerate(shifts, start=1)},
            )
    return Panel(
        model=model, mask=mask, dtype="float32", family=f"{task}_*", metric=metric, scale=scale,
        higher_is_better=False, languages=languages, conditions=tuple(values),
        controls={
            condition: tuple(
                dict.fromkeys(n for x in languages for n in changes[condition, x].controls)
                if all((condition, x) in changes for x in languages)
                else ()
            )
            for condition in (controls or {})
        },
        changes=changes,
        notes=tuple(notes),
    )  # fmt: skip


def large(conditions: int, languages: int) -> Panel:
    """A panel of made-up numbers of any size."""
    codes = [f"l{number:02d}" for number in range(languages)]
    values = {"none": {code: 5.0 + place for place, code in enumerate(codes)}}
    for number in range(conditions):
        own = codes[number % languages]
        name = f"{own}:x0.{number:02d}1"
        values[name] = {
            code: values["none"][code]
            * math.exp(1.5 if code == own else 0.02 * math.sin(number + p))
            for p, code in enumerate(codes)
        }
    return panel(values)
