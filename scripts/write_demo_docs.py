"""Put the demo's real output and figure into docs/demo.md: `python scripts/write_demo_docs.py`."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from pathlib import Path

from lsn_eval.demo.demo import run_demo

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- demo output: written by scripts/write_demo_docs.py -->\n"
END = "<!-- end of demo output -->"


def main() -> None:
    """Run the demo as `lsn-eval demo` does by default."""
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(printed):
            run_demo(Path(folder), controls=5)
        figure = ROOT / "docs" / "images" / "demo_heat_map.png"
        shutil.copyfile(Path(folder) / "heat_map.png", figure)
    output = printed.getvalue()
    shown = output[output.index("Rows are conditions") : output.index("\nResults files,")].rstrip()
    page = ROOT / "docs" / "demo.md"
    before, rest = page.read_text("utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n```\n{shown}\n```\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
