"""Figures: functions take a panel, a mask or a comparison and return a matplotlib figure.

    figure = plot("heatmap", "sweep")      as `lsn-eval plot` draws it
    figure = heat_map(panel, labels={"de": "Deutsch"}, draws=comparison.draws)
    save_figure(figure, "change.pdf")      PNG, SVG and PDF, without a date in them
    figure_svg(figure)                     an <svg> element for a page

No display, no global state: figures belong to no window manager and are not in pyplot.
"""

from lsn_eval.plotting.answers import answer_bars
from lsn_eval.plotting.bars import bars
from lsn_eval.plotting.dose_curves import dose_curves
from lsn_eval.plotting.drawing import plot
from lsn_eval.plotting.heat_map import heat_map
from lsn_eval.plotting.mask_figures import layer_map, mask_figure, overlap_map
from lsn_eval.plotting.saving import check_target, figure_svg, save_figure

__all__ = [
    "answer_bars", "bars", "check_target", "dose_curves", "figure_svg", "heat_map", "layer_map",
    "mask_figure", "overlap_map", "plot", "save_figure",
]  # fmt: skip
