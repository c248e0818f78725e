"""What is drawn in a figure."""

from __future__ import annotations

from builders.panels import panel

VALUES = {
    "none": {"de": 5.0, "zh": 8.0, "fr": 4.0},
    "de:zero": {"de": 10.0, "zh": 8.04, "fr": 4.0},
    "zh:zero": {"de": 5.1, "zh": 6.0},
    "de:zero/zh:zero": {"de": 9.0, "zh": 9.0, "fr": 3.0},
}


PANEL = panel(
    VALUES,
    intervals={
        ("de:zero", "de"): (0.6, 0.8),
        ("de:zero", "zh"): (-0.01, 0.02),
        ("zh:zero", "zh"): (-0.4, 0.0),
    },
    controls={"de:zero": {"de": [0.01, -0.05, 0.02], "zh": [0.5, 0.5, 0.5]}},
    refused=[("de:zero/zh:zero", "fr")],
)


def axes_of(figure, label):
    return next((axes for axes in figure.axes if axes.get_label() == label), None)


def cells(axes):
    """Texts by row and column."""
    return {
        (round(text.get_position()[1]), round(text.get_position()[0])): text.get_text()
        for text in axes.texts
    }


def artists(axes, gid):
    return [artist for artist in axes.get_children() if artist.get_gid() == gid]


def mesh(figure, label):
    (found,) = artists(axes_of(figure, label), "cells")
    return found


def notes(figure):
    return next(text.get_text() for text in figure.texts if text.get_gid() == "notes")


def inside(figure):
    """Every text is within the figure, give or take a pixel."""
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    whole = figure.bbox.padded(1)
    unseen = {
        id(label)
        for axes in figure.axes
        for axis, ends in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim()))
        for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)
        if not min(ends) <= place <= max(ends)
    }
    for text in figure.findobj(lambda artist: hasattr(artist, "get_text")):
        if text.get_text() and text.get_visible() and id(text) not in unseen:
            box = text.get_window_extent(renderer)
            assert whole.x0 <= box.x0 <= box.x1 <= whole.x1, (text, box)
            assert whole.y0 <= box.y0 <= box.y1 <= whole.y1, (text, box)
