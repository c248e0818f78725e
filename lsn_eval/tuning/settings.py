"""`TuningSettings`: how every adapter of a run is made, but for the neurons that it may change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lsn_eval.errors import TuningError
from lsn_eval.storage.masked_secrets import masked

_OURS = frozenset(
    {
        "output_dir", "seed", "data_seed", "use_cpu", "report_to", "remove_unused_columns",
        "save_strategy", "eval_strategy", "do_eval", "resume_from_checkpoint", "label_names",
    }
)  # fmt: skip


@dataclass(frozen=True)
class TuningSettings:
    """Of every adapter the same. Ranks and lengths are Mondal et al.'s; their other settings are in
    docs/tuning.md."""

    rank: int = 8
    """Of the update of a layer."""
    alpha: int = 16
    """The update is alpha / rank times the product of its two factors."""
    learning_rate: float = 1e-4
    """At its highest; it falls linearly to 0."""
    epochs: float = 1.0
    """Times that every example is seen."""
    batch_size: int = 8
    """Examples a step, on each device."""
    max_length: int = 256
    """Tokens; longer examples are left out."""
    seed: int = 0
    """Of the adapters' first values, of a head's, and of the order of examples."""
    dtype: str = "auto"
    """Of the model's weights; those that are trained are float32."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of transformers' `TrainingArguments`."""

    def __post_init__(self) -> None:
        for name in ("rank", "alpha", "learning_rate", "epochs", "batch_size", "max_length"):
            if not getattr(self, name) > 0:
                raise TuningError(f"{name} is {getattr(self, name)!r}; more than 0 was expected")
        hub = [name for name in self.training if "hub" in name or "token" in name]
        if refused := sorted(_OURS & self.training.keys()) + hub:
            raise TuningError(
                f"{', '.join(refused)} cannot be set for the training; the adapters' folders, "
                "seeds and devices have options of their own, and nothing is sent anywhere"
            )

    def described(self) -> dict[str, Any]:
        """For a record."""
        return {**asdict(self), "training": masked(dict(self.training))}

    def arguments(self, folder: str, *, cpu: bool) -> Any:
        """transformers' `TrainingArguments`.

        Raises:
            TuningError: transformers takes no such argument, or not that value.
        """
        from transformers import TrainingArguments

        given = {
            "output_dir": folder,
            "learning_rate": self.learning_rate,
            "num_train_epochs": self.epochs,
            "per_device_train_batch_size": self.batch_size,
            "seed": self.seed,
            "use_cpu": cpu,
            "report_to": "none",
            "save_strategy": "no",
            "logging_strategy": "no",
            "remove_unused_columns": False,
            **self.training,
        }
        try:
            return TrainingArguments(**given)
        except (TypeError, ValueError, ImportError) as error:
            raise TuningError(
                f"transformers does not train with these settings: {error}"
            ) from error


def digest(document: Any) -> str:
    """The eight digits by which adapters of one run are told from those of another."""
    text = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
