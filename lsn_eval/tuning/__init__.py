"""`finetune`: LoRA on a mask's neurons alone, beside as many random ones and whole layers."""

from lsn_eval.tuning.finetuning import finetune
from lsn_eval.tuning.settings import TuningSettings

__all__ = ["TuningSettings", "finetune"]
