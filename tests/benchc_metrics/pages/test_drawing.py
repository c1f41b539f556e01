"""Drawings take the page's colours and letters, and keep other people's text as text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from benchc_metrics.pages.drawing import colour, new_axes, styled, svg
from benchc_metrics.pages.palette import COLOURS


def drawn(label: str = "label", name: str = "chart") -> str:
    with styled():
        axes = new_axes(300, 200, left=40, right=10, top=20, bottom=30)
        axes.plot([1, 2, 3], color=colour("accent"))
        axes.text(1, 2, label, color=colour("muted"))
        return svg(axes, name)


def texts(drawing: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(drawing).iter("text")]


def test_colours_are_variables_that_the_page_knows() -> None:
    drawing = drawn()
    assert "var(--accent)" in drawing
    assert set(re.findall(r"var\(--([a-z0-9-]+)\)", drawing)) - {"font"} <= set(COLOURS)
    assert not re.search(r"#[0-9a-f]{6}\b", drawing)


def test_size_is_the_boxs_alone() -> None:
    root = ElementTree.fromstring(drawn())
    assert root.get("viewBox") == "0 0 300 200"
    assert root.get("width") is None
    assert root.get("height") is None


def test_no_font_is_named() -> None:
    assert "DejaVu" not in drawn()


def test_nothing_is_fetched() -> None:
    assert "http" not in drawn()


@pytest.mark.parametrize(
    "hostile",
    [
        "</text></svg><script>alert(1)</script>",
        "$\\frac{1}{2}$ 5$ & \"quoted\" 'single'",
        "font-family: x; #5a03c3 xlink:href=",
        '<!-- gone? --> <g id="x"',
        "]]>",
    ],
)
def test_other_peoples_text_stays_text(hostile: str) -> None:
    drawing = drawn(hostile)
    assert hostile in texts(drawing)
    assert "<script" not in drawing


def test_the_same_figure_gives_the_same_characters() -> None:
    assert drawn() == drawn()


def test_two_charts_share_no_id() -> None:
    first, second = (set(re.findall(r'\bid="([^"]*)"', drawn(name=name))) for name in ("one", "two"))
    assert first
    assert not first & second


def test_every_reference_has_its_target() -> None:
    drawing = drawn()
    targets = set(re.findall(r'\bid="([^"]*)"', drawing))
    assert set(re.findall(r'(?:url\(#|href="#)([^")]*)', drawing)) <= targets


def test_the_callers_own_style_is_left_alone() -> None:
    with mpl.rc_context({"font.size": 31.0, "axes.facecolor": "red"}):
        assert "#ff0000" not in drawn()
        assert drawn() == drawn()
        assert mpl.rcParams["font.size"] == 31.0
