"""What each layer holds of parallel sentences: `measure_layers`, and the file of it."""

from typing import Any

from lsn_eval.representations.measures import LayerMeasures

__all__ = ["LayerMeasures", "measure_layers"]


def __getattr__(name: str) -> Any:
    if name == "measure_layers":  # what draws the file needs no torch
        from lsn_eval.representations.measuring import measure_layers

        return measure_layers
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
