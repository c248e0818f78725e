"""Wheels and source distributions, as `pip` and `build` make them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def build(source: Path, out: Path, *kinds: str) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), *kinds]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
