"""Many conditions and tasks on one loaded model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lsn_eval.sweeping.running import SweepOutcome
    from lsn_eval.sweeping.settings import SweepSettings


def sweep(
    out: str | os.PathLike[str],
    settings: SweepSettings | None = None,
    *,
    tokenizer: Any = None,
    progress: bool = True,
    **by_name: Any,
) -> SweepOutcome:
    """Evaluate conditions x tasks as `lsn-eval sweep` does; finished ones in `out` are skipped.

        sweep("sweep", model="lsn_demo", mask="demo/planted", tasks="lsn_demo_ppl", each="zero")

    Args:
        out: folder for the results files.
        settings: all of them; or give them `by_name`, with `model` also a loaded model and `mask`
            a `NeuronMask`. A loaded model stays where it is, is left in evaluation mode, and goes
            by the name in its config: a changed one needs a name of its own there.
        tokenizer: of a loaded model.

    Raises:
        LsnError: conditions, mask, tasks, model or `out` do not fit; what fails later is in the
            outcome's `failed`.
    """
    from pathlib import Path

    from lsn_eval.sweeping.running import run_sweep
    from lsn_eval.sweeping.settings import SweepError, SweepSettings

    if settings is not None and by_name:
        raise SweepError(f"settings were given, and {', '.join(by_name)} beside them; give one")
    objects = _objects(by_name, tokenizer)
    if settings is None:
        settings = SweepSettings.from_mapping(by_name)
    return run_sweep(settings, Path(out), objects=objects, progress=progress)


def _objects(by_name: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    """Arguments of the model class that are objects; `by_name` keeps the names of them."""
    import copy

    from lsn_eval.masks.mask import NeuronMask
    from lsn_eval.sweeping.settings import SweepError

    for name in ("model", "mask"):
        if isinstance(by_name.get(name), os.PathLike):
            by_name[name] = os.fspath(by_name[name])
    objects: dict[str, Any] = {}
    model: Any = by_name.get("model")
    mask = by_name.get("mask")
    if hasattr(model, "config") != (tokenizer is not None):
        raise SweepError(
            "a loaded model and its tokenizer go together: model=model, tokenizer=tokenizer; of a "
            "model by name, name another tokenizer in model_args={'tokenizer': NAME}"
        )
    if tokenizer is not None:
        if fixed := [name for name in ("dtype", "device") if by_name.get(name) is not None]:
            raise SweepError(f"a loaded model has its {' and '.join(fixed)}; leave that out")
        # A copy, for lm-eval sets what it pads with.
        objects |= {"pretrained": model, "tokenizer": copy.deepcopy(tokenizer)}
        name = getattr(model.config, "_name_or_path", None) or "in memory"
        by_name |= {"model": name, "device": str(model.device)}
    if isinstance(mask, NeuronMask):
        objects["mask"] = mask
        by_name["mask"] = f"sha256-{mask.digest[:12]}"
    return objects
