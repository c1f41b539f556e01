"""Tables of coloured cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, isfinite, radians, sin
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from benchc_metrics.pages.charts.chart import LETTER_WIDTH, ROW_HEIGHT, WIDTH, Chart, Scale, label_room, shortened
from benchc_metrics.pages.drawing import Tip, colour, new_axes, styled, svg, tip_over, width_of
from benchc_metrics.wording import MISSING

__all__ = ["draw_groups", "heat_map"]

_CELL_WIDTH = 46.0
_COLUMN_LETTERS = 9
"""Longer heads of columns are slanted."""

_SLANT = 40.0
_LONGEST_HEAD = 40
_LONGEST_ROW = 24
_LEGEND_HEIGHT = 24.0
_UPRIGHT_LETTER = 5.7
"""Height of a letter of a group's name."""

_STEP_WIDTH = 9.0
_BESIDE_RING = 0.42
"""Where the middle of a number stands in a cell with a ring."""


def heat_map(
    name: str,
    title: str,
    values: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    scale: Scale,
    written: Callable[[float], str],
    description: str,
    column_title: str = "",
    details: Sequence[Sequence[str]] | None = None,
    marks: NDArray[np.bool_] | None = None,
    mark_title: str = "",
    groups: Sequence[tuple[str, int]] = (),
    signs: Sequence[int] | None = None,
    ends: tuple[str, str] | None = None,
) -> Chart:
    """Draw a table of coloured cells with the number in each, and below it what the colours mean.

    Parameters
    ----------
    name : str
        Unique on its page.
    title, description : str
        As in `Chart`.
    values : ndarray of float, shape (rows, columns)
        nan leaves a cell empty.
    rows, columns : sequence of str
        Their names.
    scale : Scale
    written : callable
        From a number to its text in the cell.
    column_title : str
        What the columns are.
    details : sequence of sequences of str, optional
        Cells of the table of numbers and of the tooltips, with intervals; the numbers as drawn by default.
    marks : ndarray of bool, shape (rows, columns), optional
        Cells with a ring; cells without a number have none.
    mark_title : str
        What a ring means, for the legend below the cells.
    groups : sequence of (str, int)
        Names of groups of rows, and how many rows each has; they are set apart by lines, with the name at the left.
    signs : sequence of {1, -1}, optional
        For each column, what its numbers are multiplied by before they get their colours.
    ends : (str, str), optional
        What the ends of the scale are; by default their numbers.

    Returns
    -------
    Chart
    """
    heads = [shortened(column, _LONGEST_HEAD) for column in columns]
    labels = [shortened(row, _LONGEST_ROW) for row in rows]
    left = label_room(labels, bool(groups))
    is_slanted = any(len(head) > _COLUMN_LETTERS for head in heads)
    top, right = (38.0 if column_title else 22.0), 8.0
    if is_slanted:
        length = LETTER_WIDTH * max(map(len, heads))
        top, right = 18 + length * sin(radians(_SLANT)), max(8.0, length * cos(radians(_SLANT)) - _CELL_WIDTH / 2)
    width = max(width_of(WIDTH), left + _CELL_WIDTH * len(columns) + right)
    ringed = np.zeros(values.shape, dtype=bool) if marks is None else marks & np.isfinite(values)
    bottom = 6.0 + _LEGEND_HEIGHT * (1 + bool(ringed.any()))
    height = top + ROW_HEIGHT * len(rows) + bottom
    shaded = values if signs is None else values * np.asarray(signs)
    table = details or [[written(value) if isfinite(value) else MISSING for value in row] for row in values.tolist()]
    with styled():
        axes = new_axes(width, height, left=left, right=right, top=top, bottom=bottom)
        axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
        pixel = len(columns) / (width - left - right)
        _draw_cells(axes, values, shaded, scale, written, ringed)
        _draw_scale(axes, scale, ends or (written(scale.low), written(scale.high)), pixel, len(rows))
        if ringed.any():
            _draw_rings(axes, ringed, shaded, scale)
            _draw_ring_legend(axes, pixel, len(rows) + _LEGEND_HEIGHT / ROW_HEIGHT, mark_title)
        _place_labels(axes, labels, heads, is_slanted)
        draw_groups(axes, groups, len(columns), left * pixel, 0.0)
        if column_title:
            axes.text(
                len(columns) / 2, -1.15, column_title, ha="center", va="bottom", color=colour("muted"), fontsize=10
            )
        tips = _tips(axes, rows, columns, table, column_title)
        drawing = svg(axes, name, tips)
    numbers = [[row, *written_row] for row, written_row in zip(rows, table, strict=True)]
    return Chart(title, drawing, description, ("", *columns), numbers, width)


def _tips(
    axes: Axes, rows: Sequence[str], columns: Sequence[str], table: Sequence[Sequence[str]], column_title: str
) -> list[Tip]:
    return [
        tip_over(axes, (x, x + 1), (y, y + 1), f"{row}, {column_title} {column}".replace(",  ", ", ") + f": {cell}")
        for y, (row, cells) in enumerate(zip(rows, table, strict=True))
        for x, (column, cell) in enumerate(zip(columns, cells, strict=True))
    ]


def _draw_cells(
    axes: Axes,
    values: NDArray[np.float64],
    shaded: NDArray[np.float64],
    scale: Scale,
    written: Callable[[float], str],
    ringed: NDArray[np.bool_],
) -> None:
    near, far = 0.03, 0.97
    boxes, shades = [], []
    for (row, column), value in np.ndenumerate(values):
        shade = scale.colour_name(float(shaded[row, column])) if isfinite(value) else ""
        if shade:
            edges = ((column + near, column + far), (row + near, row + far))
            boxes.append([(edges[0][i], edges[1][j]) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))])
            shades.append(colour(shade))
        axes.text(
            column + (_BESIDE_RING if ringed[row, column] else 0.5),
            row + 0.52,
            written(float(value)) if shade else MISSING,
            ha="center",
            va="center_baseline",
            fontsize=10.5,
            color=colour(f"{shade}-text" if shade else "muted"),
        )
    axes.add_collection(PolyCollection(boxes, facecolors=shades, edgecolors="none"), autolim=False)


def _draw_scale(axes: Axes, scale: Scale, ends: tuple[str, str], pixel: float, below: float) -> None:
    """Draw all colours of a scale in a row below the cells, between the texts of its ends."""
    centre, x = below + 0.75, 3.0
    style: dict[str, Any] = {"va": "center_baseline", "color": colour("muted"), "fontsize": 10}
    for place, text in enumerate(ends):
        if place == 0:
            axes.text(x * pixel, centre, text, ha="left", **style)
            x += LETTER_WIDTH * len(text) + 4
            continue
        for step in range(scale.steps):
            box = (x * pixel, centre - 0.25), _STEP_WIDTH * pixel, 0.5
            axes.add_patch(Rectangle(*box, facecolor=colour(f"{scale.name}-{step}"), linewidth=0, clip_on=False))
            x += _STEP_WIDTH
        axes.text((x + 6) * pixel, centre, text, ha="left", **style)


def _draw_rings(axes: Axes, ringed: NDArray[np.bool_], shaded: NDArray[np.float64], scale: Scale) -> None:
    """Draw a ring into the corner of each marked cell, in the colour of its text."""
    for row, column in np.argwhere(ringed).tolist():
        shade = colour(f"{scale.colour_name(float(shaded[row, column]))}-text")
        axes.plot(column + 0.91, row + 0.5, "o", markersize=4.5, markerfacecolor="none", markeredgecolor=shade)


def _draw_ring_legend(axes: Axes, pixel: float, below: float, title: str) -> None:
    centre = below + 0.7
    axes.plot(
        7 * pixel, centre, "o", markersize=5, markerfacecolor="none", markeredgecolor=colour("ink"), clip_on=False
    )
    axes.text(16 * pixel, centre + 0.02, title, va="center_baseline", color=colour("muted"), fontsize=10)


def draw_groups(axes: Axes, groups: Sequence[tuple[str, int]], right: float, label: float, first: float) -> None:
    """Set groups of rows apart.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    groups : sequence of (str, int)
        As in `heat_map`.
    right : float
        Where the lines between them end, in data coordinates.
    label : float
        Width of the labels at the left of the axes, in data coordinates.
    first : float
        Upper edge of the first row.
    """
    left, edge = axes.get_xlim()[0], first
    for place, (name, rows) in enumerate(groups):
        if place:
            axes.plot(
                (left - label, right), (edge, edge), color=colour("muted"), linewidth=0.6, alpha=0.6, clip_on=False
            )
        # A name that stands upright has the height of its rows; where that is too little it is left out.
        shown = name if _UPRIGHT_LETTER * len(name) <= rows * ROW_HEIGHT else ""
        axes.text(
            left - 0.95 * label, edge + rows / 2, shown, rotation=90, ha="center", va="center", fontsize=9.5,
            color=colour("muted"),
        )  # fmt: skip
        edge += rows


def _place_labels(axes: Axes, rows: Sequence[str], columns: Sequence[str], is_slanted: bool) -> None:
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, fontsize=10)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    if is_slanted:
        for label in axes.get_xticklabels():
            label.set(rotation=_SLANT, ha="left", va="baseline", rotation_mode="anchor")
    axes.spines[:].set_visible(False)
