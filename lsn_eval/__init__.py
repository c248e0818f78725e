"""Record, identify and switch off the language-specific neurons of Hugging Face models.

Importing this package is cheap: names are loaded when they are first used, so that a regression
check or the start-up hook does not pay for torch.
"""

from lsn_eval import autoload

_EXPORTS = {
    "ActivationStats": "lsn_eval.statistics",
    "Condition": "lsn_eval.conditions",
    "InterventionReport": "lsn_eval.interventions",
    "LsnError": "lsn_eval.errors",
    "NeuronMask": "lsn_eval.masks",
    "__version__": "lsn_eval.version",
    "add_statistics": "lsn_eval.identification",
    "bake": "lsn_eval.baking",
    "check": "lsn_eval.checking",
    "compare": "lsn_eval.comparing",
    "finetune": "lsn_eval.tuning",
    "identify": "lsn_eval.identification",
    "intervene": "lsn_eval.interventions",
    "language_metrics": "lsn_eval.language_scores",
    "load_model": "lsn_eval.models.loading",
    "measure_layers": "lsn_eval.representations",
    "plot": "lsn_eval.plotting",
    "read_results": "lsn_eval.results",
    "record": "lsn_eval.recording",
    "report": "lsn_eval.reporting",
    "sweep": "lsn_eval.sweeping",
}

__all__ = list(_EXPORTS)

TYPE_CHECKING = False  # read by type checkers; `typing` would double the cost of starting up
if TYPE_CHECKING:
    from typing import Any

    from lsn_eval.baking import bake as bake
    from lsn_eval.checking import check as check
    from lsn_eval.comparing import compare as compare
    from lsn_eval.conditions import Condition as Condition
    from lsn_eval.errors import LsnError as LsnError
    from lsn_eval.identification import add_statistics as add_statistics
    from lsn_eval.identification import identify as identify
    from lsn_eval.interventions.intervention import intervene as intervene
    from lsn_eval.interventions.report import InterventionReport as InterventionReport
    from lsn_eval.language_scores import language_metrics as language_metrics
    from lsn_eval.masks.mask import NeuronMask as NeuronMask
    from lsn_eval.models.loading import load_model as load_model
    from lsn_eval.plotting import plot as plot
    from lsn_eval.recording import record as record
    from lsn_eval.reporting import report as report
    from lsn_eval.representations.measuring import measure_layers as measure_layers
    from lsn_eval.results import read_results as read_results
    from lsn_eval.statistics import ActivationStats as ActivationStats
    from lsn_eval.sweeping import sweep as sweep
    from lsn_eval.tuning import finetune as finetune
    from lsn_eval.version import __version__ as __version__


def __getattr__(name: str) -> "Any":
    if name in _EXPORTS:
        import importlib

        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'lsn_eval' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


autoload.install()
