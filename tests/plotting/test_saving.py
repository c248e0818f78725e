"""Figures in files and pages: formats, no dates, ids that do not meet, texts that stay texts."""

from __future__ import annotations

import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import pytest
from builders.panels import panel

from lsn_eval.errors import LsnError
from lsn_eval.plotting import bars, dose_curves, figure_svg, heat_map, save_figure
from lsn_eval.plotting.saving import check_target


def ids(text):
    return re.findall(r'\bid="([^"]+)"', text)


EVIL = "</svg><script>alert(1)</script><!-- -->\"'& $x$"


def made(name="made", factor=2.0):
    values = {"none": {"de": 5.0, "zh": 6.0}, "de:x0.5": {"de": 5 * factor, "zh": 6.1}}
    return panel(values, model=name, task=name)


@pytest.mark.parametrize(
    ("suffix", "start"),
    [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")],
)
@pytest.mark.slow
def test_files_hold_no_date_and_do_not_depend_on_the_process(tmp_path, suffix, start):
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from plotting.test_saving import made; from lsn_eval.plotting import *\n"
        "import matplotlib; matplotlib.rcParams['font.size'] = 30\n"
        "matplotlib.rcParams['axes.edgecolor'] = 'red'\n"
        f"save_figure(heat_map(made()), {str(tmp_path / 'b')!r} + '.{suffix}')"
    )
    save_figure(heat_map(made()), tmp_path / f"a.{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]
    environment = {"SOURCE_DATE_EPOCH": "1", "PYTHONHASHSEED": "7"}
    root = __file__.rpartition("/tests/")[0]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env=environment)
    first = (tmp_path / f"a.{suffix}").read_bytes()
    assert first == (tmp_path / f"b.{suffix}").read_bytes()
    assert first.startswith(start)
    assert b"CreationDate" not in first
    assert b"dc:date" not in first


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("figure.gif", r"'figure.gif': a name ending in \.png, \.svg, \.pdf"),
        ("figure", r"a name ending in"),
        ("nowhere/figure.png", "nowhere does not exist; create it first"),
        ("folder.png", "is a folder"),
        ("file/deeper/figure.png", "file is a file, and a folder was expected"),
    ],
)
def test_unusable_targets(tmp_path, name, message):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(LsnError, match=message):
        check_target(tmp_path / name)


def test_svg_is_one_element_that_needs_nothing_else():
    text = figure_svg(heat_map(made()))
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert text.startswith("<svg ")
    assert not re.search(r'(href|src)="(?!#|data:)', text)
    assert "url(http" not in text
    assert "<text" not in text, "letters are outlines"
    assert root.findtext("{http://www.w3.org/2000/svg}title").startswith("change of token_perplex")
    assert root.get("role") == "img"


@pytest.mark.parametrize("draw", [heat_map, bars, lambda panel: dose_curves([panel])])
def test_texts_from_the_data_cannot_leave_the_drawing(draw):
    evil = panel({"none": {"de": 5.0}, "de:x0.5": {"de": 9.0}}, model=EVIL, task=EVIL, metric=EVIL)
    text = figure_svg(draw(evil))
    root = ElementTree.fromstring(text)
    assert "<script" not in text
    assert "<!--" not in text
    assert text.count("</svg>") == 1
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert EVIL in root.findtext("{http://www.w3.org/2000/svg}title")
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    assert used
    assert used <= set(ids(text))


@pytest.mark.slow
def test_ids_of_several_figures_in_a_page_do_not_meet():
    one, other = figure_svg(heat_map(made())), figure_svg(heat_map(made(factor=3.0)))
    assert len(ids(one)) > 20
    assert len(set(ids(one))) == len(ids(one))
    assert not set(ids(one)) & set(ids(other))
    again = figure_svg(heat_map(made()), prefix="again")
    assert not set(ids(one)) & set(ids(again))
    assert all(name.startswith("again") for name in ids(again))
    # Nor do their styles.
    style = re.search(r"<style[^>]*>(.*?)</style>", again, re.DOTALL)[1]
    assert style.startswith("#again")
    assert not re.search(r"(^|})\s*\*", style)
    with pytest.raises(LsnError, match="cannot begin an id"):
        figure_svg(heat_map(made()), prefix='"x')


def test_matplotlib_s_settings_stay():
    before = dict(matplotlib.rcParams)
    figure_svg(heat_map(made()))
    assert dict(matplotlib.rcParams) == before
