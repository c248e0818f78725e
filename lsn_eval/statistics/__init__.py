"""What recording keeps, per language, hookpoint, layer and neuron: `ActivationStats`."""

from lsn_eval.statistics.activation_stats import ActivationStats

__all__ = ["ActivationStats"]
