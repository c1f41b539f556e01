"""From a matplotlib figure to SVG that stands inside a page and takes the page's colours and letters."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from html import escape
from typing import Any, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchc_metrics.pages.palette import COLOURS

__all__ = [
    "Paper",
    "Tip",
    "colour",
    "new_axes",
    "on_paper",
    "styled",
    "svg",
    "tip_around",
    "tip_over",
    "width_of",
]

_NAMES = tuple(COLOURS)
_PLACEHOLDER = re.compile(r"#5a([0-9a-f]{2})c3")
_POINTS_PER_INCH = 72

_WITHOUT_USE = re.compile(r"<metadata>.*?</metadata>|<style type=\"text/css\">.*?</style>|<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_TAG_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # A page has each id once, and only what is referred to needs one.
        (r"^<g id=\"[^\"]*\"", "<g"),
        (r" (?:version|xmlns|xmlns:xlink)=\"[^\"]*\"", ""),
        (r"^(<svg[^>]*?) width=\"[^\"]*\" height=\"[^\"]*\"", r"\1"),
        (r" xlink:href=", " href="),
        (r" transform=\"rotate\(-0 [^\"]*\"", ""),
        # The page's letters, however this version of matplotlib writes a font.
        (r"font-family: [^;\"]*;? ?", ""),
        (r"(font: [^;\"]*?px) [^;\"]*", r"\1 var(--font)"),
        (r"\s*\n\s*", " "),
    )
)

_STYLE = {
    # Names of models are other people's text: a dollar sign is a dollar sign.
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 11.0,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 11.0,
    "axes.axisbelow": True,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Paper:
    """Paper: figures that are drawn for a file of their own instead of a page.

    Attributes
    ----------
    width : float
        Room for a chart, in CSS pixels.
    figures : list of matplotlib.figure.Figure
        What was drawn, in its order.
    """

    width: float
    figures: list[Figure] = field(default_factory=list)


@dataclass(frozen=True)
class Tip:
    """A tooltip: a rectangle of a drawing, and the text that a pointer over it shows.

    Attributes
    ----------
    left, top, width, height : float
        In CSS pixels of the drawing.
    text : str
    """

    left: float
    top: float
    width: float
    height: float
    text: str


_TIP_RADIUS = 7.0

_PAPER: ContextVar[Paper | None] = ContextVar("paper", default=None)


@contextmanager
def on_paper(width: float) -> Iterator[Paper]:
    """Draw charts for paper while this is open: in light colours, of this width; their figures are kept.

    Parameters
    ----------
    width : float
        In CSS pixels.
    """
    paper = Paper(width)
    token = _PAPER.set(paper)
    try:
        yield paper
    finally:
        _PAPER.reset(token)


def width_of(usual: float) -> float:
    """Return the width that a chart has here: its usual one on a page, that of the paper on paper."""
    paper = _PAPER.get()
    return usual if paper is None else paper.width


def colour(name: str) -> str:
    """Return the colour that matplotlib draws with, for one of `COLOURS`.

    On a page it is a stand-in, and `svg` puts the CSS variable in its place; on paper it is the light colour.

    Parameters
    ----------
    name : str
        A name in `COLOURS`.

    Returns
    -------
    str
        A colour in hexadecimal.
    """
    return f"#5a{_NAMES.index(name):02x}c3" if _PAPER.get() is None else COLOURS[name].light


@contextmanager
def styled() -> Iterator[None]:
    """Draw figures in the report's style while this is open; the caller's own settings of matplotlib come back."""
    ink, muted, line = colour("ink"), colour("muted"), colour("line")
    colours = {
        "text.color": ink,
        "axes.labelcolor": muted,
        "axes.edgecolor": line,
        "axes.titlecolor": ink,
        "xtick.color": line,
        "ytick.color": line,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "grid.color": line,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
    }
    settings: Any = {**_STYLE, **colours}
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


def new_axes(width: float, height: float, *, left: float, right: float, top: float, bottom: float) -> Axes:
    """Make a figure of one pair of axes, all lengths in CSS pixels.

    Parameters
    ----------
    width, height : float
        Size of the figure.
    left, right, top, bottom : float
        Margins around the axes.

    Returns
    -------
    matplotlib.axes.Axes
    """
    figure = Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), dpi=_POINTS_PER_INCH)
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    return figure.add_axes(box)


def tip_over(axes: Axes, x: tuple[float, float], y: tuple[float, float], text: str) -> Tip:
    """Make a tooltip over a rectangle, given by its edges in the coordinates of axes that are drawn to the end."""
    height = axes.figure.bbox.height
    corners = axes.transData.transform([(x[0], y[0]), (x[1], y[1])])
    (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
    return Tip(float(left), float(height - top), float(right - left), float(top - bottom), text)


def tip_around(axes: Axes, x: float, y: float, text: str) -> Tip:
    """Make a tooltip around a point, given in the coordinates of axes that are drawn to the end."""
    centre = tip_over(axes, (x, x), (y, y), text)
    return Tip(centre.left - _TIP_RADIUS, centre.top - _TIP_RADIUS, 2 * _TIP_RADIUS, 2 * _TIP_RADIUS, text)


def svg(axes: Axes, name: str, tips: Sequence[Tip] = ()) -> str:
    """Write the figure of some axes as one `<svg>` element.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    name : str
        Unique on its page; identifiers inside the drawing are made from it.
    tips : sequence of Tip
        Tooltips, the last one uppermost.

    Returns
    -------
    str
        Text as text, colours as CSS variables, sized by its box alone; the same figure gives the same characters.
        Empty on paper, which keeps the figure.
    """
    if (paper := _PAPER.get()) is not None:
        paper.figures.append(cast(Figure, axes.figure))
        return ""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": f"benchc {name}"}):
        cast(Figure, axes.figure).savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    drawn = buffer.getvalue()
    drawn = _WITHOUT_USE.sub("", drawn[drawn.index("<svg") :])
    plain = re.sub(r">\s+<", "><", _TAG.sub(_rewritten_tag, drawn)).strip()
    return plain.removesuffix("</svg>") + "".join(_tips_as_svg(tips)) + "</svg>"


def _tips_as_svg(tips: Sequence[Tip]) -> Iterator[str]:
    if not tips:
        return
    yield '<g class="tips" fill="none" pointer-events="all">'
    for tip in tips:
        box = f'x="{tip.left:.0f}" y="{tip.top:.0f}" width="{tip.width:.0f}" height="{tip.height:.0f}"'
        yield f"<rect {box}><title>{escape(tip.text)}</title></rect>"
    yield "</g>"


def _rewritten_tag(found: re.Match[str]) -> str:
    """Rewrite what matplotlib wrote; text between tags is other people's and stays as it is."""
    tag = found[0]
    for pattern, replacement in _TAG_REWRITES:
        tag = pattern.sub(replacement, tag)
    return _PLACEHOLDER.sub(lambda placeholder: f"var(--{_NAMES[int(placeholder[1], 16)]})", tag)
