"""Figures into files and pages: PNG, SVG and PDF, equal for equal figures."""

from __future__ import annotations

import hashlib
import html
import io
import os
import re
from pathlib import Path

from matplotlib.figure import Figure

from lsn_eval.errors import LsnError
from lsn_eval.plotting.style import settings
from lsn_eval.storage.whole_files import check_place, whole_file

SUFFIXES = (".png", ".svg", ".pdf")
DOTS_PER_INCH = 160
_LARGEST = 2**15
"""Pixels: larger images are more than viewers show."""


def check_target(path: str | os.PathLike[str]) -> Path:
    """The path, if a figure can be written there; to be asked before the work of drawing.

    Raises:
        LsnError: another suffix, no such folder, a file in its place, or a folder.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise LsnError(f"{target.name!r}: a name ending in {', '.join(SUFFIXES)} was expected")
    check_place(target, LsnError)
    return target


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, SVG or PDF, by the suffix.

    There is no date in the file: equal figures give equal bytes.

    Raises:
        LsnError: another suffix, or a folder that does not exist.
    """
    target = check_target(path)
    suffix = target.suffix.lower()
    if suffix == ".svg":
        content = ('<?xml version="1.0" encoding="utf-8"?>\n' + figure_svg(figure)).encode()
    else:
        metadata = {".pdf": {"CreationDate": None}}.get(suffix)
        dots = min(DOTS_PER_INCH, _LARGEST / max(figure.get_size_inches()))
        buffer = io.BytesIO()
        with settings():
            figure.savefig(buffer, format=suffix[1:], dpi=dots, metadata=metadata)
        content = buffer.getvalue()
    with whole_file(target, LsnError) as file:
        file.write(content)


def figure_svg(figure: Figure, prefix: str | None = None) -> str:
    """The figure as an `<svg>` element to put into a page.

    It refers to nothing outside itself, its letters are outlines, and its ids begin with a prefix,
    so that several figures in a page do not take each other's parts.

    Args:
        figure: drawn by this package.
        prefix: of the ids; without one, the start of a digest of the drawing. Two equal figures in
            a page need one each.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with settings():
        figure.savefig(buffer, format="svg", metadata=nothing)
    drawing = buffer.getvalue()
    # Texts as comments, and the head of a file that stands alone.
    drawing = re.sub(r"<!--.*?-->\s*", "", drawing[drawing.index("<svg") :], flags=re.DOTALL)
    if prefix is None:
        prefix = "f" + hashlib.sha256(drawing.encode()).hexdigest()[:10]
    elif not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", prefix):
        raise LsnError(f"{prefix!r} cannot begin an id; letters, digits, - and _ were expected")
    drawing = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', drawing)
    drawing = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', drawing)
    drawing = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", drawing)
    # matplotlib styles every element of a page that it is part of; only its own are meant.
    drawing = drawing.replace(
        '<style type="text/css">*{', f'<style type="text/css">#{prefix}, #{prefix} *{{'
    )
    title = html.escape(str(figure.get_label()) or "figure")
    return re.sub(
        r"<svg ([^>]*)>",
        lambda found: (
            f'<svg id="{prefix}" role="img" aria-label="{title}" {found[1]}>\n'
            f" <title>{title}</title>"
        ),
        drawing,
        count=1,
    )
