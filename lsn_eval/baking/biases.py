"""Biases that a model does not have yet: which setting of its config gives them to it."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from lsn_eval.errors import BakingError
from lsn_eval.models.loading import empty_of


def with_settings(config: Any, settings: Mapping[str, Any]) -> Any:
    """A copy of a config, with some settings of its text model."""
    changed = copy.deepcopy(config)
    for name, value in settings.items():
        setattr(changed.get_text_config(), name, value)
    return changed


def with_biases(config: Any, missing: Collection[str]) -> tuple[list[str], dict[str, list[int]]]:
    """Settings of a config that give its model the tensors `missing` when they are switched on, and
    the shape of every tensor that the model then has more than before.

    Every setting with `bias` in its name that is off is tried on a model without weights: what it
    does is seen, not known from a list.

    Raises:
        BakingError: no setting gives one of them.
    """
    before = set(empty_of(config).state_dict())

    def switched(names: Collection[str]) -> dict[str, list[int]]:
        tensors = empty_of(with_settings(config, dict.fromkeys(names, True))).state_dict()
        return {name: list(tensor.shape) for name, tensor in tensors.items()}

    off = [
        name
        for name, value in config.get_text_config().to_dict().items()
        if "bias" in name and value is False
    ]
    gives = {name: switched([name]).keys() - before for name in off}
    chosen = [name for name in off if gives[name] & set(missing)]
    after = switched(chosen)
    lacking = sorted(set(missing) - after.keys())
    if lacking or not before <= after.keys():
        raise BakingError(
            f"{(lacking or sorted(before - after.keys()))[0]} would be needed, and a model of type "
            f"{config.model_type!r} has no such tensor and no setting that gives it one: numbers "
            "other than 0 and additions need a bias there. Zero and scaling can be written into "
            "its weights"
        )
    return chosen, {name: after[name] for name in sorted(after.keys() - before)}
