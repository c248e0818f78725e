"""From statistics to masks: `identify(stats, method="lape", **parameters)`.

`METHODS` is the table of methods, each with its formula and source.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lsn_eval.identification.act_prob_90p import act_prob_90p
from lsn_eval.identification.assemble import DEFAULT_CONTROLS, Matched, add_statistics, assemble
from lsn_eval.identification.average_precision import average_precision
from lsn_eval.identification.lape import lap, lape, lape_lambda, lave
from lsn_eval.identification.parameter_variation import parameter_variation
from lsn_eval.identification.plnd import plnd
from lsn_eval.identification.random import random
from lsn_eval.identification.selection import (
    IdentificationError,
    Selection,
    check_whole,
    model_at,
)
from lsn_eval.statistics import ActivationStats
from lsn_eval.statistics.routing import FEW_TOKENS, rarely_reached

if TYPE_CHECKING:
    from lsn_eval.masks.mask import NeuronMask

__all__ = [
    "DEFAULT_CONTROLS",
    "METHODS",
    "IdentificationError",
    "Selection",
    "add_statistics",
    "identify",
    "method_parameters",
]

Given = ActivationStats | str | os.PathLike[str]

_METHODS = (
    lape, lap, lave, lape_lambda, act_prob_90p, average_precision, plnd, parameter_variation,
    random,
)  # fmt: skip
METHODS: Mapping[str, Callable[..., Selection]] = MappingProxyType(
    {method.__name__: method for method in _METHODS}
)
"""Methods by name. All but `parameter_variation` start from activation statistics."""


def method_parameters(method: str) -> dict[str, Any]:
    """A method's parameters and their defaults; `inspect.Parameter.empty` where there is none.

    Raises:
        IdentificationError: no such method.
    """
    if method not in METHODS:
        raise IdentificationError(f"method {method!r} is not known; known are {', '.join(METHODS)}")
    parameters = inspect.signature(METHODS[method]).parameters.values()
    return {entry.name: entry.default for entry in parameters if entry.name != "stats"}


def identify(
    stats: Given | Sequence[Given] | None,
    method: str = "lape",
    *,
    controls: int | None = None,
    controls_matched: Matched = "layer",
    min_tokens: int = FEW_TOKENS,
    command: str | None = None,
    **parameters: Any,
) -> NeuronMask:
    """The mask that `method` makes of recorded statistics.

    Args:
        stats: what was recorded, or its file; several are added up. None is for
            `parameter_variation`, which reads checkpoints; given all the same, they add values to
            steer with.
        method: a key of `METHODS`.
        controls: random controls to store for every language that has neurons; by default 20, or
            none for a language whose neurons leave too few others in some layer (then named in
            `mask.method.parameters["without_controls"]`).
        controls_matched: "layer": as many neurons in every layer. "rate": also of nearly the same
            firing rate in the language.
        min_tokens: of experts, those that fewer tokens of some language reached are left out; how
            many these are stands in `mask.method.parameters["left_out"]`.
        command: the command line, for the mask's provenance.
        parameters: the method's own; `method_parameters(method)` lists them.

    Returns:
        A mask that names every language, also one left without neurons, and that stores the
        statistics recorded of its neurons and all parameters, defaults and thresholds included.

    Raises:
        IdentificationError: an unknown method or parameter, fewer than two languages, a language
            without tokens, or controls that were asked for and cannot be drawn.
        StatisticsError: the method needs a statistic or a language that was not recorded.
    """
    accepted = method_parameters(method)
    unknown = sorted(set(parameters) - set(accepted))
    if unknown:
        raise IdentificationError(
            f"{method} has no parameter {', '.join(unknown)}; it has {', '.join(accepted)}"
        )
    given = {**accepted, **parameters}
    if missing := [name for name, value in given.items() if value is inspect.Parameter.empty]:
        raise IdentificationError(f"{method} needs {' and '.join(missing)}, which were not given")
    if stats is not None:
        stats = ActivationStats.load(*(stats if isinstance(stats, list | tuple) else [stats]))
    if "stats" in inspect.signature(METHODS[method]).parameters:
        if stats is None:
            raise IdentificationError(f"{method} needs activation statistics, and none were given")
        enough = _reached(stats, min_tokens)
        selection = METHODS[method](enough, **parameters)
        if enough is not stats:
            given["min_tokens"] = min_tokens
            selection = _of_all_layers(selection, stats, enough)
    else:
        selection = METHODS[method](**parameters)
        if stats is not None:
            _check_same_model(stats, selection)
    return assemble(
        selection,
        stats,
        method=method,
        parameters={name: _recordable(value) for name, value in given.items()},
        controls=controls,
        controls_matched=controls_matched,
        command=command,
    )


def _reached(stats: ActivationStats, min_tokens: int) -> ActivationStats:
    """The statistics without experts of which too little is known to compare languages."""
    check_whole("min_tokens", min_tokens, 1)
    if stats.layer_tokens is None:
        return stats
    few = {layer for layers in rarely_reached(stats, min_tokens).values() for layer in layers}
    layers = [layer for layer in stats.model.layers if layer not in few]
    if not layers:
        raise IdentificationError(
            f"no expert was reached by {min_tokens:,} tokens of every language; record more texts, "
            "or ask for fewer tokens with min_tokens (--min-tokens)"
        )
    return stats.of_layers(layers)


def _of_all_layers(
    selection: Selection, stats: ActivationStats, enough: ActivationStats
) -> Selection:
    """The selection in the whole model, and how much of it was left out."""
    model = model_at(stats.model, *selection.model.widths)
    experts = set(model.layers) - set(enough.model.layers)
    neurons = sum(model.neurons(at) - selection.model.neurons(at) for at in model.widths)
    left_out = {"experts": len(experts), "neurons": neurons}
    return replace(selection, model=model, found={**selection.found, "left_out": left_out})


def _check_same_model(stats: ActivationStats, selection: Selection) -> None:
    for language in selection.languages:
        stats.language_index(language)
    mine, theirs = selection.model, stats.model
    if not mine.fits(theirs):
        raise IdentificationError(
            f"the statistics are of another model than the checkpoints: {theirs.type or 'unnamed'} "
            f"with {len(theirs.layers)} layers, not {mine.type} with {len(mine.layers)} (or of "
            "other widths); record statistics of the model before tuning"
        )


def _recordable(value: Any) -> Any:
    """A parameter as JSON can hold it; a loaded model is named by its path."""
    if isinstance(value, Mapping):
        return {str(key): _recordable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_recordable(entry) for entry in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    kind, name = type(value).__name__, getattr(getattr(value, "config", None), "_name_or_path", "")
    return f"{kind}({name})" if name else kind
