"""`bake`: a condition written into the weights of an ordinary checkpoint."""

from lsn_eval.baking.baking import BakedModel, bake

__all__ = ["BakedModel", "bake"]
