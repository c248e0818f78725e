"""The demo's heat map: changes of perplexity, with the controls beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lsn_eval.demo_matrix import DemoMatrix, percent


def save_heat_map(matrix: DemoMatrix, path: Path) -> None:
    """Write the figure; the format follows the file's suffix."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    languages = matrix.languages
    values = 100 * np.array([[matrix.change[row][text] for text in languages] for row in languages])
    controls = 100 * np.array([[max(matrix.controls[row], key=abs)] for row in languages])
    count = min(map(len, matrix.controls.values()))
    limit = max(float(np.abs(values).max()), float(np.abs(controls).max()))

    figure = Figure(figsize=(1.6 + 0.85 * (len(languages) + 1), 1.9 + 0.62 * len(languages)))
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    main, side = figure.subplots(1, 2, width_ratios=[len(languages), 1])
    # PuOr is told apart by colour-blind readers, and white is no change.
    look = {"cmap": "PuOr_r", "vmin": -limit, "vmax": limit, "aspect": "auto"}
    image = main.imshow(values, **look)
    side.imshow(controls, **look)
    for axes, cells in ((main, values), (side, controls)):
        axes.set_yticks(range(len(languages)), languages)
        for row, column in np.ndindex(*cells.shape):
            value = float(cells[row, column])
            axes.text(
                column,
                row,
                percent(value / 100),
                ha="center",
                va="center",
                color="white" if abs(value) > 0.6 * limit else "black",
            )
    main.set_xticks(range(len(languages)), languages)
    main.set_xlabel("language of the text")
    main.set_ylabel("neurons set to 0")
    main.set_title("own neurons", fontsize=10)
    side.set_xticks([0], ["own\ntext"])
    side.set_yticks([])
    side.set_title(f"largest of\n{count} random", fontsize=10)
    figure.colorbar(image, ax=side, label="change of token perplexity, %", fraction=0.5)
    condition = f"{languages[0]}:zero"
    note = matrix.signatures[condition].replace(f"condition:{condition}", "condition:ROW:zero")
    figure.supxlabel(note, fontsize=5.5, color="0.35")
    figure.savefig(path, dpi=160)
