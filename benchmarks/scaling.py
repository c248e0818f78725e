"""Time and peak memory against tokens, neurons, languages, conditions, files and rows.

    python -m benchmarks.scaling CURVE SIZE DEVICE

runs one point of the first three and prints its seconds, without the start; each point is a process
of its own, since its peak is wanted.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measuring import Options, process

SIZES: dict[str, tuple[tuple[int, ...], ...]] = {
    "tokens recorded": ((500,), (), (10**3, 10**4, 10**5, 10**6)),
    "neurons, 7 languages": ((100,), (10**4, 10**5), (10**3, 10**4, 10**5, 10**6, 10**7)),
    "languages, 10,000 neurons": ((2,), (), (2, 10, 100, 1000)),
    "conditions of a sweep": ((1,), (), (1, 8, 64)),
    "files checked": ((2,), (10, 100), (10, 100, 1000)),
    "files compared": ((2,), (10, 100), (10, 100, 1000)),
    "files reported": ((2,), (), (10, 100, 1000)),
    "rows of two files compared": ((24,), (1200, 12000), (1200, 12000, 120000)),
}


def curves(options: Options) -> Iterator[dict[str, Any]]:
    """By curve its points, "at" a size, with seconds of processors and peak MiB."""
    from benchmarks.commands import WHO, check, ours, results, sweep

    def alone(name: str, size: int, folder: Path) -> dict[str, float]:
        command = ["python", "-m", "benchmarks.scaling", name, str(size), options.device]
        point = process(command, folder, Path.cwd())
        own = (folder / "output.txt").read_text("utf-8").splitlines()[-1]
        return point | {"seconds": json.loads(own)}

    def swept(_: str, size: int, folder: Path) -> dict[str, float]:
        controls = (f"random{n}-{who}:zero" for n in range(1, 21) for who in WHO)
        names = ["none", *(f"{who}:zero" for who in WHO), *controls][:size]
        return sweep(folder, names, options.device, "--limit", options.of("2", "4", "4"))

    def read(name: str, size: int, folder: Path) -> dict[str, float]:
        files, rows = (2, size) if name.startswith("rows") else (size, 0)
        with results(files, options, rows) as place:
            page = str(folder / "page.html")
            if name.endswith("checked"):
                check(place, "--update")
                return check(place)
            if name.endswith("compared"):
                return ours(place, "compare", str(place))
            return ours(place, "report", str(place), "--out", page)

    for name, given in SIZES.items():
        point = swept if "sweep" in name else read if "files" in name else alone
        points = []
        for size in options.of(*given):
            with tempfile.TemporaryDirectory() as folder:
                points.append({"at": size, **point(name, size, Path(folder))})
        if points:
            yield {"curve": name, "points": points}


def _point(name: str, size: int, device: str) -> None:
    import numpy as np
    import torch

    from benchmarks.models import llama
    from benchmarks.recording import Numbers, texts
    from lsn_eval.identification import identify
    from lsn_eval.models.layout import ModelLayout
    from lsn_eval.recording import record
    from lsn_eval.statistics import ActivationStats

    torch.set_num_threads(1)
    if name == "tokens recorded":
        model: Any = llama(128, 2).to(device)
        run = partial(record, model, Numbers(), {"de": texts(size)}, length=100, batch_size=8)
    else:
        width, languages = (size, 7) if name.startswith("neurons") else (10_000, size)
        generator = np.random.default_rng(0)
        counts = (generator.random((languages, 1, width), np.float32) ** 4 * 10**6).astype(np.int64)
        codes = tuple(f"l{number}" for number in range(languages))
        stats = ActivationStats(
            model=ModelLayout.numbered(1, {"mlp.act": width}),
            languages=codes,
            tokens=dict.fromkeys(codes, 10**6),
            arrays={"mlp.act": {"positive": counts}},
        )
        run = partial(identify, stats, method="lape", controls=0)
    before = time.process_time()
    run()
    print(f"\n{time.process_time() - before:.4f}")


if __name__ == "__main__":
    _point(sys.argv[1], int(sys.argv[2]), sys.argv[3])
