"""Time and peak memory against tokens, neurons, languages, conditions and files.

    python -m benchmarks.scaling CURVE SIZE DEVICE

runs one point; each is a process of its own, since its peak is wanted.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measuring import Options, process

SIZES: dict[str, tuple[tuple[int, ...], ...]] = {
    "tokens recorded": ((500,), (10**3, 10**4, 10**5), (10**3, 10**4, 10**5, 10**6)),
    "neurons, 7 languages": ((100,), (10**3, 10**4, 10**5), (10**3, 10**4, 10**5, 10**6, 2293760)),
    "languages, 10,000 neurons": ((2,), (2, 10, 100), (2, 10, 100, 300)),
    "conditions of a sweep": ((1,), (1, 4), (1, 2, 4, 8, 16, 32, 64)),
    "files checked": ((2,), (10**1, 10**2), (10**1, 10**2, 10**3, 10**4)),
    "files compared": ((2,), (10**1, 10**2), (10**1, 10**2, 10**3)),
    "files reported": ((2,), (10**1, 10**2), (10**1, 10**2, 10**3)),
}


def curves(options: Options) -> Iterator[dict[str, Any]]:
    """By curve its points, "at" a size, with seconds of processors and peak MiB."""
    from benchmarks.commands import WHO, check, ours, results, sweep

    sizes = {name: options.of(*given) for name, given in SIZES.items()}
    for name in list(SIZES)[:3]:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.scaling", name]
            points = {
                size: process([*command, str(size), options.device], Path(folder), Path.cwd())
                for size in sizes[name]
            }
        yield _curve(name, points)
    points = {}
    for count in sizes["conditions of a sweep"]:
        controls = (f"random{n}-{who}:zero" for n in range(1, 21) for who in WHO)
        names = ["none", *(f"{who}:zero" for who in WHO), *controls][:count]
        limit = options.of(["--limit", "2"], [], [])
        with tempfile.TemporaryDirectory() as folder:
            points[count] = sweep(Path(folder), names, options.device, *limit)
    yield _curve("conditions of a sweep", points)
    found: dict[str, dict[int, dict[str, float]]] = {}
    for count in sizes["files checked"]:
        with results(count, options) as place:
            check(place, "--update")
            page = str(place.parent / "page.html")
            commands = {
                "files checked": partial(check, place),
                "files compared": partial(ours, place, "compare", str(place)),
                "files reported": partial(ours, place, "report", str(place), "--out", page),
            }
            for name, run in commands.items():
                if count in sizes[name]:
                    found.setdefault(name, {})[count] = run()
    for name, points in found.items():
        yield _curve(name, points)


def _curve(name: str, points: dict[int, dict[str, float]]) -> dict[str, Any]:
    return {"curve": name, "points": [{"at": at, **point} for at, point in points.items()]}


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
        record(model, Numbers(), {"de": texts(size)}, length=100, batch_size=8)
        return
    width, languages = (size, 7) if name.startswith("neurons") else (10_000, size)
    generator = np.random.default_rng(0)
    counts = (generator.random((languages, 1, width)) ** 4 * 10**6).astype(np.int64)
    codes = tuple(f"l{number}" for number in range(languages))
    stats = ActivationStats(
        model=ModelLayout.numbered(1, {"mlp.act": width}),
        languages=codes,
        tokens=dict.fromkeys(codes, 10**6),
        arrays={"mlp.act": {"positive": counts}},
    )
    identify(stats, method="lape", controls=0)


if __name__ == "__main__":
    _point(sys.argv[1], int(sys.argv[2]), sys.argv[3])
