"""`NeuronMask`: for each language, the neurons that are specific to it."""

from lsn_eval.masks.mask import NeuronMask

__all__ = ["NeuronMask"]
