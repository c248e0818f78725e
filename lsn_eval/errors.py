"""Errors that a user can mend: what was given, what was expected, what to do.

Every error that bad input can cause derives from `LsnError`, so that a command line can print its
message alone. Anything else that surfaces is a bug of ours and keeps its traceback.
"""

from lsn_eval.visible_text import shortened, visible

LONGEST = 4000
"""Characters of a message: it may quote a file."""


class LsnError(ValueError):
    """Base class of every error that a user can mend. A message shows every character it quotes."""

    def __init__(self, message: object = "") -> None:
        super().__init__(shortened(visible(str(message)), LONGEST))


class MaskError(LsnError):
    """A mask file or a mask operation that contradicts itself."""


class ConditionError(LsnError):
    """A condition that cannot be read, or that names what a mask does not hold."""


class HookpointError(LsnError):
    """A model whose neurons cannot be found, or do not match the mask."""


class InterventionError(LsnError):
    """An intervention that did not do what was asked: it would have printed a wrong number."""


class StatisticsError(LsnError):
    """Activation statistics that contradict themselves or each other, or lack what is asked."""


class RecordingError(LsnError):
    """Texts or settings that cannot be recorded, or a recording that missed what it was to see."""


class TuningError(LsnError):
    """Neurons, examples or settings that cannot be tuned with, or a tuning that did nothing."""


class BakingError(LsnError):
    """A condition that cannot be written into weights, or a checkpoint that cannot be changed."""
