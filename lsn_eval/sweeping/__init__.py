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
    progress: bool = True,
    **by_name: Any,
) -> SweepOutcome:
    """Evaluate conditions x tasks as `lsn-eval sweep` does; finished ones in `out` are skipped.

        sweep("sweep", model="lsn_demo", mask="demo/planted", tasks="lsn_demo_ppl", each="zero")

    Args:
        out: folder for the results files.
        settings: all of them; or give them `by_name`.

    Raises:
        LsnError: conditions, mask, tasks, model or `out` do not fit; what fails later is in the
            outcome's `failed`.
    """
    from pathlib import Path

    from lsn_eval.sweeping.running import run_sweep
    from lsn_eval.sweeping.settings import SweepError, SweepSettings

    if settings is not None and by_name:
        raise SweepError(f"settings were given, and {', '.join(by_name)} beside them; give one")
    if settings is None:
        settings = SweepSettings.from_mapping(by_name)
    return run_sweep(settings, Path(out), progress=progress)
