"""`intervene`: write what a condition says, and prove that it was written."""

from lsn_eval.interventions.intervention import intervene
from lsn_eval.interventions.report import InterventionReport

__all__ = ["InterventionReport", "intervene"]
