"""The charts of report and site: numbers in, drawings out.

Each chart is one panel of phone width, so that its letters keep their size there; a page sets panels side by side where
there is room. A chart carries a sentence that says what it shows and a table of its numbers, for who does not see it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from benchc_metrics.metrics.calibration import CalibrationBins
from benchc_metrics.pages.drawing import colour, new_axes, styled, svg, width_of
from benchc_metrics.pages.palette import DIVERGING_STEPS, SEQUENTIAL_STEPS, SERIES
from benchc_metrics.wording import MISSING, number, percent, signed, with_interval

__all__ = [
    "Chart",
    "Line",
    "Measured",
    "Point",
    "Scale",
    "heat_map",
    "interval_rows",
    "lines_over_severity",
    "points_with_intervals",
    "ranks_by_reading",
    "reliability_diagram",
]

WIDTH = 440.0
_LABEL_WIDTH = 128.0
_ROW_HEIGHT = 21.0
_COLUMN_LETTERS = 9
_LEGEND_HEIGHT = 26.0
_DASHES = ("solid", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (8, 2, 2, 2, 2, 2)), (0, (1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P")


class Measured(Protocol):
    """A metric with its interval."""

    @property
    def value(self) -> float:
        """The metric."""

    @property
    def low(self) -> float:
        """Lower end of its interval."""

    @property
    def high(self) -> float:
        """Upper end of its interval."""


@dataclass(frozen=True)
class Chart:
    """A drawing with its alternatives in words and in numbers.

    Attributes
    ----------
    title : str
        What is drawn, in a few words.
    drawing : str
        One `<svg>` element.
    description : str
        A sentence or two that say what is drawn.
    columns : sequence of str
        Heads of the table of numbers; the first column names the row.
    rows : sequence of sequences of str
        The numbers, written out.
    width : float
        Natural width in CSS pixels.
    alternative : str
        What the drawing shows, for those who do not see it, beyond title and description.
    """

    title: str
    drawing: str
    description: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    width: float = WIDTH
    alternative: str = ""


@dataclass(frozen=True)
class Scale:
    """A mapping from numbers to colours.

    Attributes
    ----------
    name : {"sequential", "diverging"}
        The colours: one hue from nothing to much, or orange below zero and blue above.
    low, high : float
        Numbers at the ends; a diverging scale has zero in its middle.
    """

    name: str
    low: float
    high: float

    @classmethod
    def around_zero(cls, values: NDArray[np.float64]) -> Scale:
        """Make a diverging scale that reaches the value farthest from zero."""
        reach = float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0)) or 1.0
        return cls("diverging", -reach, reach)

    @classmethod
    def from_zero(cls, values: NDArray[np.float64]) -> Scale:
        """Make a sequential scale from 0 to the largest value."""
        return cls("sequential", 0.0, float(np.max(values[np.isfinite(values)], initial=0.0)) or 1.0)

    def colour_name(self, value: float) -> str:
        """Return the name, in `COLOURS`, of the colour of a number."""
        steps = DIVERGING_STEPS if self.name == "diverging" else SEQUENTIAL_STEPS
        share = (value - self.low) / (self.high - self.low)
        return f"{self.name}-{min(steps - 1, max(0, round(share * (steps - 1))))}"


@dataclass(frozen=True)
class Line:
    """One model's metrics at the severities, in their order."""

    label: str
    estimates: Sequence[Measured]


@dataclass(frozen=True)
class Point:
    """One model in a plane."""

    label: str
    x: Measured
    y: Measured


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
) -> Chart:
    """Draw a table of coloured cells with the number in each.

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
        Cells of the table of numbers, with intervals; the numbers as drawn by default.
    marks : ndarray of bool, shape (rows, columns), optional
        Cells with a ring; cells without a number have none.
    mark_title : str
        What a ring means, for the legend below the cells.
    groups : sequence of (str, int)
        Names of groups of rows, and how many rows each has; they are set apart by lines, with the name at the left.

    Returns
    -------
    Chart
    """
    is_slanted = any(len(column) > _COLUMN_LETTERS for column in columns)
    top, right = (104.0, 64.0) if is_slanted else (38.0 if column_title else 22.0, 8.0)
    width = max(width_of(WIDTH), _LABEL_WIDTH + 46.0 * len(columns) + right)
    ringed = np.zeros(values.shape, dtype=bool) if marks is None else marks & np.isfinite(values)
    bottom = _LEGEND_HEIGHT if ringed.any() else 6.0
    height = top + _ROW_HEIGHT * len(rows) + bottom
    with styled():
        axes = new_axes(width, height, left=_LABEL_WIDTH, right=right, top=top, bottom=bottom)
        axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
        _draw_cells(axes, values, scale, written)
        if ringed.any():
            _draw_rings(axes, ringed, values, scale)
            _draw_ring_legend(axes, len(rows), mark_title)
        _place_labels(axes, rows, columns, is_slanted)
        _draw_groups(axes, groups, len(columns), _LABEL_WIDTH * len(columns) / (width - _LABEL_WIDTH - right), 0.0)
        if column_title:
            axes.text(
                len(columns) / 2, -1.15, column_title, ha="center", va="bottom", color=colour("muted"), fontsize=10
            )
        drawing = svg(axes, name)
    cells = details or [[written(value) if isfinite(value) else MISSING for value in row] for row in values.tolist()]
    table = [[row, *written_row] for row, written_row in zip(rows, cells, strict=True)]
    return Chart(title, drawing, description, ("", *columns), table, width)


def _draw_cells(axes: Axes, values: NDArray[np.float64], scale: Scale, written: Callable[[float], str]) -> None:
    near, far = 0.03, 0.97
    boxes, shades = [], []
    for (row, column), value in np.ndenumerate(values):
        shade = scale.colour_name(float(value)) if isfinite(value) else ""
        if shade:
            edges = ((column + near, column + far), (row + near, row + far))
            boxes.append([(edges[0][i], edges[1][j]) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))])
            shades.append(colour(shade))
        axes.text(
            column + 0.5,
            row + 0.52,
            written(float(value)) if shade else MISSING,
            ha="center",
            va="center_baseline",
            fontsize=10,
            color=colour(f"{shade}-text" if shade else "muted"),
        )
    axes.add_collection(PolyCollection(boxes, facecolors=shades, edgecolors="none"), autolim=False)


def _draw_rings(axes: Axes, ringed: NDArray[np.bool_], values: NDArray[np.float64], scale: Scale) -> None:
    """Draw a ring into the corner of each marked cell, in the colour of its text."""
    for row, column in np.argwhere(ringed).tolist():
        shade = colour(f"{scale.colour_name(float(values[row, column]))}-text")
        axes.plot(column + 0.88, row + 0.5, "o", markersize=5, markerfacecolor="none", markeredgecolor=shade)


def _draw_ring_legend(axes: Axes, rows: int, title: str) -> None:
    below = rows + 0.62
    axes.plot(0.1, below, "o", markersize=5, markerfacecolor="none", markeredgecolor=colour("ink"), clip_on=False)
    axes.text(0.25, below + 0.02, title, va="center_baseline", color=colour("muted"), fontsize=10)


def _draw_groups(axes: Axes, groups: Sequence[tuple[str, int]], right: float, label: float, first: float) -> None:
    """Set groups of rows apart; `label` is the width of the labels in units of the axis, `first` the top row's edge."""
    left, edge = axes.get_xlim()[0], first
    for place, (name, rows) in enumerate(groups):
        if place:
            axes.plot(
                (left - label, right), (edge, edge), color=colour("muted"), linewidth=0.6, alpha=0.6, clip_on=False
            )
        axes.text(
            left - 0.95 * label, edge + rows / 2, name, rotation=90, ha="center", va="center", fontsize=9.5,
            color=colour("muted"),
        )  # fmt: skip
        edge += rows


def _place_labels(axes: Axes, rows: Sequence[str], columns: Sequence[str], is_slanted: bool) -> None:
    axes.set_yticks(np.arange(len(rows)) + 0.5, [_shortened(row, 20) for row in rows])
    axes.set_xticks(np.arange(len(columns)) + 0.5, [_shortened(column, 22) for column in columns])
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    if is_slanted:
        for label in axes.get_xticklabels():
            label.set(rotation=40, ha="left", va="baseline", rotation_mode="anchor")
    axes.spines[:].set_visible(False)


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def interval_rows(
    name: str,
    title: str,
    rows: Sequence[str],
    series: Sequence[tuple[str, Sequence[Measured]]],
    description: str,
    axis_title: str,
    written: Callable[[Measured], str] = with_interval,
    groups: Sequence[tuple[str, int]] = (),
) -> Chart:
    """Draw one row for each name and in it a dot with its interval for each series; zero is marked.

    Parameters
    ----------
    name : str
        Unique on its page.
    title, description : str
        As in `Chart`.
    rows : sequence of str
        Names of the rows.
    series : sequence of (str, sequence of estimates)
        At most two: a label, and an estimate for each row.
    axis_title : str
        What the numbers are.
    written : callable
        How an estimate stands in the table of numbers.
    groups : sequence of (str, int)
        As in `heat_map`.

    Returns
    -------
    Chart
    """
    width, height = width_of(WIDTH), 46 + _ROW_HEIGHT * len(rows) + 34
    with styled():
        axes = new_axes(width, height, left=_LABEL_WIDTH, right=14, top=34, bottom=46)
        offsets = (0.0,) if len(series) == 1 else (-0.17, 0.17)
        for (label, estimates), offset, role, marker in zip(series, offsets, ("warm", "accent"), "os", strict=False):
            shown = [(place, estimate) for place, estimate in enumerate(estimates) if isfinite(estimate.value)]
            places = [place + offset for place, _ in shown]
            low, high = [estimate.low for _, estimate in shown], [estimate.high for _, estimate in shown]
            axes.hlines(places, low, high, color=colour(role), linewidth=1.6, alpha=0.55)
            values = [estimate.value for _, estimate in shown]
            axes.plot(values, places, marker, color=colour(role), markersize=5, label=label, linestyle="none")
        axes.axvline(0, color=colour("muted"), linewidth=0.9)
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=axis_title)
        axes.set_yticks(range(len(rows)), [_shortened(row, 20) for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.spines[:].set_visible(False)
        left, right = axes.get_xlim()
        _draw_groups(axes, groups, right, _LABEL_WIDTH * (right - left) / (width - _LABEL_WIDTH - 14), -0.5)
        axes.set_xlim(left, right)
        if len(series) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, borderaxespad=0.2, handletextpad=0.2)
        drawing = svg(axes, name)
    table = [[row, *(written(estimates[place]) for _, estimates in series)] for place, row in enumerate(rows)]
    return Chart(title, drawing, description, ("", *(label for label, _ in series)), table)


def lines_over_severity(
    name: str,
    title: str,
    severities: Sequence[int],
    lines: Sequence[Line],
    description: str,
    alternative: str = "",
    highlighted: int | None = None,
    limits: tuple[float, float] | None = None,
    axis_title: str = "",
) -> Chart:
    """Draw curves over severity, each with its interval as a band.

    Parameters
    ----------
    name : str
        Unique on its page.
    title, description, alternative : str
        As in `Chart`.
    severities : sequence of int
        0 stands for clean pictures.
    lines : sequence of Line
        At most six tell themselves apart by colour, dash and marker, with the label at the end.
    highlighted : int, optional
        Draw only this line in colour and the others in grey behind it: for more than six models, one chart each.
    limits : (float, float), optional
        Ends of the vertical axis, so that charts beside each other can be compared.
    axis_title : str
        What the numbers are.

    Returns
    -------
    Chart
    """
    with styled():
        axes = new_axes(
            width_of(WIDTH),
            290,
            left=62 if axis_title else 50,
            right=14 if highlighted is not None else 118,
            top=14,
            bottom=44,
        )
        axes.grid(axis="y")
        for place, line in enumerate(lines):
            if highlighted is not None and place != highlighted:
                values = [estimate.value for estimate in line.estimates]
                axes.plot(severities, values, color=colour("context"), linewidth=1.0)
        coloured = [highlighted] if highlighted is not None else range(len(lines))
        for place in coloured:
            _draw_line(axes, severities, lines[place], 0 if highlighted is not None else place)
        axes.set(xlabel="severity", ylabel=axis_title, xlim=(severities[0] - 0.25, severities[-1] + 0.15))
        axes.set_xticks(severities, [str(severity) if severity else "clean" for severity in severities])
        if limits:
            axes.set_ylim(*limits)
        if highlighted is None:
            _label_ends(axes, severities[-1], lines)
        drawing = svg(axes, name)
    table = [
        [line.label, *(with_interval(estimate) for estimate in line.estimates)]
        for place, line in enumerate(lines)
        if highlighted in (None, place)
    ]
    columns = ("model", *(f"severity {severity}" if severity else "clean" for severity in severities))
    return Chart(title, drawing, description, columns, table, alternative=alternative)


def _draw_line(axes: Axes, severities: Sequence[int], line: Line, place: int) -> None:
    shade = colour(SERIES[place % len(SERIES)])
    values = [estimate.value for estimate in line.estimates]
    low, high = [estimate.low for estimate in line.estimates], [estimate.high for estimate in line.estimates]
    axes.fill_between(severities, low, high, color=shade, alpha=0.13, linewidth=0)
    axes.plot(
        severities,
        values,
        color=shade,
        linestyle=_DASHES[place % len(_DASHES)],
        marker=_MARKERS[place % len(_MARKERS)],
        markersize=5,
    )


def _label_ends(axes: Axes, severity: int, lines: Sequence[Line]) -> None:
    """Write each label behind its line's end, pushed apart where they would cover each other."""
    ends = [(line.estimates[-1].value, place) for place, line in enumerate(lines) if isfinite(line.estimates[-1].value)]
    bottom, top = axes.get_ylim()
    heights = apart([value for value, _ in ends], 0.062 * (top - bottom), bottom, top)
    for (_, place), height in zip(ends, heights, strict=True):
        axes.annotate(
            _shortened(lines[place].label, 18),
            (severity, height),
            xytext=(9, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=10.5,
            color=colour(SERIES[place % len(SERIES)]),
            annotation_clip=False,
        )


def apart(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move values as little as needed, in their order, so that neighbours keep a distance.

    Parameters
    ----------
    values : sequence of float
    gap : float
        Smallest distance between two.
    low, high : float
        The ends that none may leave, as long as all have room.

    Returns
    -------
    list of float
        In the order of `values`.
    """
    order = sorted(range(len(values)), key=lambda place: values[place])
    placed: list[float] = []
    for place in order:
        placed.append(max(values[place], placed[-1] + gap) if placed else max(values[place], low))
    ceiling = high
    for rank in reversed(range(len(placed))):
        placed[rank] = min(placed[rank], ceiling)
        ceiling = placed[rank] - gap
    moved = [nan] * len(values)
    for rank, place in enumerate(order):
        moved[place] = placed[rank]
    return moved


def points_with_intervals(
    name: str, title: str, points: Sequence[Point], x_title: str, y_title: str, description: str
) -> Chart:
    """Draw one point a model, its intervals as a cross, its name beside it.

    Parameters
    ----------
    name : str
        Unique on its page.
    title, description : str
        As in `Chart`.
    points : sequence of Point
    x_title, y_title : str
        What the axes are.

    Returns
    -------
    Chart
    """
    shown = [point for point in points if isfinite(point.x.value) and isfinite(point.y.value)]
    with styled():
        axes = new_axes(width_of(WIDTH), 340, left=66, right=16, top=14, bottom=46)
        axes.grid(True)
        for place, point in enumerate(shown):
            shade = colour(SERIES[place % len(SERIES)])
            axes.hlines(point.y.value, point.x.low, point.x.high, color=shade, linewidth=1.2, alpha=0.5)
            axes.vlines(point.x.value, point.y.low, point.y.high, color=shade, linewidth=1.2, alpha=0.5)
            axes.plot(point.x.value, point.y.value, _MARKERS[place % len(_MARKERS)], color=shade, markersize=6)
        axes.margins(0.12, 0.1)
        axes.locator_params(nbins=6)
        axes.set(xlabel=x_title, ylabel=y_title)
        _label_points(axes, shown)
        drawing = svg(axes, name)
    table = [[point.label, with_interval(point.x), with_interval(point.y)] for point in points]
    return Chart(title, drawing, description, ("model", x_title, y_title), table)


def _label_points(axes: Axes, points: Sequence[Point]) -> None:
    """Write names to the right of their points, or to the left in the right half; pushed apart in height."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    heights = apart([point.y.value for point in points], 0.05 * (top - bottom), bottom, top)
    for place, (point, height) in enumerate(zip(points, heights, strict=True)):
        on_left = point.x.value > (left + right) / 2
        axes.annotate(
            _shortened(point.label, 26),
            (point.x.value, height),
            xytext=(-8 if on_left else 8, 5),
            textcoords="offset points",
            ha="right" if on_left else "left",
            va="bottom",
            fontsize=10.5,
            color=colour(SERIES[place % len(SERIES)]),
            annotation_clip=False,
        )


def ranks_by_reading(
    name: str,
    title: str,
    readings: Sequence[str],
    ranks: Sequence[tuple[str, Sequence[int | None]]],
    description: str,
) -> Chart:
    """Draw each model's rank under each reading, the best above, and lines that cross where models change places.

    Parameters
    ----------
    name : str
        Unique on its page.
    title, description : str
        As in `Chart`.
    readings : sequence of str
    ranks : sequence of (str, sequence of (int or None))
        A model, and its rank under each reading; None leaves a gap.

    Returns
    -------
    Chart
    """
    height = 136.0 + 28.0 * len(ranks)
    places = range(len(readings))
    with styled():
        axes = new_axes(width_of(WIDTH), height, left=50, right=118, top=14, bottom=122)
        for place, (_, of_model) in enumerate(ranks):
            shade = colour(SERIES[place % len(SERIES)])
            # Models of one rank would cover each other.
            shift = 0.09 * (place - (len(ranks) - 1) / 2) / max(1, len(ranks) - 1)
            heights = [nan if rank is None else rank + shift for rank in of_model]
            axes.plot(
                places,
                heights,
                color=shade,
                linestyle=_DASHES[place % len(_DASHES)],
                marker=_MARKERS[place % len(_MARKERS)],
                markersize=6,
            )
        axes.set(ylabel="rank", ylim=(len(ranks) + 0.5, 0.5), xlim=(-0.3, len(readings) - 0.85))
        axes.set_xticks(places, readings, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(1, len(ranks) + 1))
        axes.grid(axis="y")
        ends = [(label, of_model[-1], place) for place, (label, of_model) in enumerate(ranks) if of_model[-1]]
        heights = apart([float(rank or 0) for _, rank, _ in ends], 0.55, 0.5, len(ranks) + 0.5)
        for (label, _, place), at in zip(ends, heights, strict=True):
            axes.annotate(
                _shortened(label, 18),
                (places[-1], at),
                xytext=(10, 0),
                textcoords="offset points",
                va="center_baseline",
                fontsize=10.5,
                color=colour(SERIES[place % len(SERIES)]),
                annotation_clip=False,
            )
        drawing = svg(axes, name)
    table = [[label, *(MISSING if rank is None else str(rank) for rank in of_model)] for label, of_model in ranks]
    return Chart(title, drawing, description, ("model", *readings), table)


def reliability_diagram(name: str, title: str, bins: CalibrationBins, description: str) -> Chart:
    """Draw accuracy against confidence, bin by bin, and below it where the answers are.

    Parameters
    ----------
    name : str
        Unique on its page.
    title, description : str
        As in `Chart`.
    bins : CalibrationBins
        Sums over the answers.

    Returns
    -------
    Chart
    """
    width, edges = width_of(330.0), np.linspace(0, 1, bins.count.size + 1)
    filled = np.flatnonzero(bins.count)
    accuracy = bins.correctness_sum[filled] / bins.count[filled]
    confidence = bins.confidence_sum[filled] / bins.count[filled]
    share = bins.count / max(1, bins.answers)
    with styled():
        axes = new_axes(width, 360, left=50, right=12, top=12, bottom=112)
        step = edges[1]
        for place, right, sure in zip(filled, accuracy, confidence, strict=True):
            left, right_end = edges[place] + 0.06 * step, edges[place] + 0.94 * step
            axes.add_patch(
                Rectangle((left, 0), right_end - left, right, facecolor=colour("accent"), linewidth=0, alpha=0.8)
            )
            axes.vlines((left + right_end) / 2, min(right, sure), max(right, sure), color=colour("warm"), linewidth=1.2)
            axes.hlines(sure, left, right_end, color=colour("warm"), linewidth=2.6)
        axes.plot([0, 1], [0, 1], color=colour("muted"), linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        axes.tick_params(labelbottom=False)
        _draw_answer_shares(axes, edges, share)
        drawing = svg(axes, name)
    table = [
        [
            f"{edges[place]:.2f} to {edges[place + 1]:.2f}",
            str(int(bins.count[place])),
            number(float(sure)),
            number(float(right)),
            signed(float(right - sure)),
        ]
        for place, right, sure in zip(filled, accuracy, confidence, strict=True)
    ]
    return Chart(
        title, drawing, description, ("confidence", "answers", "mean confidence", "accuracy", "gap"), table, width
    )


def _draw_answer_shares(axes: Axes, edges: NDArray[np.float64], share: NDArray[np.float64]) -> None:
    box = axes.get_position()
    figure = axes.figure
    below = figure.add_axes((box.x0, 44 / 360, box.width, 56 / 360))
    below.bar(edges[:-1] + edges[1] / 2, share, width=0.88 * edges[1], color=colour("context"), linewidth=0)
    largest = float(share.max(initial=0.0)) or 1.0
    below.set(xlim=(0, 1), ylim=(0, 1.15 * largest), xlabel="confidence", ylabel="answers")
    below.set_yticks([0, largest], ["0", percent(largest, 0)])
