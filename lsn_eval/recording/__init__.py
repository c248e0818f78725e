"""One pass over texts per language, and what every neuron did meanwhile: `record`."""

from lsn_eval.recording.recorder import estimate_recording, record
from lsn_eval.recording.settings import RecordingSettings
from lsn_eval.recording.threshold_counts import count_above_thresholds

__all__ = ["RecordingSettings", "count_above_thresholds", "estimate_recording", "record"]
