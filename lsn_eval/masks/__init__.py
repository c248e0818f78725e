"""`NeuronMask`: for each language, the neurons that are specific to it.

It is loaded when it is first used, so that `lsn_eval.masks.names` costs no numpy.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lsn_eval.masks.mask import NeuronMask

__all__ = ["NeuronMask"]


def __getattr__(name: str) -> Any:
    if name != "NeuronMask":
        raise AttributeError(f"module 'lsn_eval.masks' has no attribute {name!r}")
    from lsn_eval.masks.mask import NeuronMask

    return NeuronMask
