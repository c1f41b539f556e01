"""Dots with their intervals: in rows, and in a plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from benchc_metrics.pages.charts.chart import (
    LEGEND_LINE,
    MARKERS,
    WIDTH,
    Chart,
    Measured,
    label_room,
    legend_below,
    row_height,
    wrapped,
)
from benchc_metrics.pages.charts.heat_map import draw_groups
from benchc_metrics.pages.drawing import Tip, colour, new_axes, styled, svg, tip_around, width_of
from benchc_metrics.pages.palette import SERIES
from benchc_metrics.wording import with_interval

__all__ = ["Point", "interval_rows", "points_with_intervals"]

_LONGEST_LINE = 24


@dataclass(frozen=True)
class Point:
    """One model in a plane."""

    label: str
    x: Measured
    y: Measured


def interval_rows(
    name: str,
    title: str,
    rows: Sequence[str],
    series: Sequence[tuple[str, Sequence[Measured]]],
    description: str,
    axis_title: str,
    written: Callable[[Measured], str] = with_interval,
    groups: Sequence[tuple[str, int]] = (),
    reference: float | None = 0.0,
    row_title: str = "",
) -> Chart:
    """Draw one row for each name and in it a dot with its interval for each series.

    Parameters
    ----------
    name : str
        Unique on its page.
    title, description : str
        As in `Chart`.
    rows : sequence of str
        Names of the rows; long ones take several lines.
    series : sequence of (str, sequence of estimates)
        At most two: a label, and an estimate for each row.
    axis_title : str
        What the numbers are.
    written : callable
        How an estimate stands in the table of numbers and in the tooltips.
    groups : sequence of (str, int)
        As in `heat_map`.
    reference : float, optional
        Where a line marks what the numbers are compared with; None for no line.
    row_title : str
        What the rows are, for the table of numbers.

    Returns
    -------
    Chart
    """
    labels = [wrapped(row, _LONGEST_LINE) for row in rows]
    left, top, bottom = label_room(labels, bool(groups)), 34 if len(series) > 1 else 12, 46
    width, height = width_of(WIDTH), bottom + row_height(labels) * len(rows) + top
    tips: list[Tip] = []
    with styled():
        axes = new_axes(width, height, left=left, right=14, top=top, bottom=bottom)
        offsets = (0.0,) if len(series) == 1 else (-0.17, 0.17)
        for (label, estimates), offset, role, marker in zip(series, offsets, ("warm", "accent"), "os", strict=False):
            shown = [(place, estimate) for place, estimate in enumerate(estimates) if isfinite(estimate.value)]
            places = [place + offset for place, _ in shown]
            low, high = [estimate.low for _, estimate in shown], [estimate.high for _, estimate in shown]
            axes.hlines(places, low, high, color=colour(role), linewidth=1.6, alpha=0.55)
            values = [estimate.value for _, estimate in shown]
            axes.plot(values, places, marker, color=colour(role), markersize=5, label=label, linestyle="none")
        if reference is not None:
            axes.axvline(reference, color=colour("muted"), linewidth=0.9)
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=axis_title)
        axes.set_yticks(range(len(rows)), labels)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=6)
        axes.grid(axis="x")
        axes.spines[:].set_visible(False)
        near, far = axes.get_xlim()
        draw_groups(axes, groups, far, left * (far - near) / (width - left - 14), -0.5)
        axes.set_xlim(near, far)
        if len(series) > 1:
            axes.legend(
                loc="lower right",
                bbox_to_anchor=(1.0, 1.0),
                ncols=2,
                borderaxespad=0.2,
                borderpad=0.2,
                handletextpad=0.2,
                columnspacing=1.2,
            )
        for (label, estimates), offset in zip(series, offsets, strict=False):
            for place, estimate in enumerate(estimates):
                if isfinite(estimate.value):
                    text = f"{rows[place]}, {label}: {written(estimate)}"
                    tips.append(tip_around(axes, estimate.value, place + offset, text))
        drawing = svg(axes, name, tips)
    table = [[row, *(written(estimates[place]) for _, estimates in series)] for place, row in enumerate(rows)]
    return Chart(title, drawing, description, (row_title, *(label for label, _ in series)), table)


def points_with_intervals(
    name: str, title: str, points: Sequence[Point], x_title: str, y_title: str, description: str
) -> Chart:
    """Draw one point a model, its intervals as a cross, and the names below in the order of their height.

    Parameters
    ----------
    name : str
        Unique on its page.
    title, description : str
        As in `Chart`.
    points : sequence of Point
        At most six tell themselves apart by colour and marker.
    x_title, y_title : str
        What the axes are.

    Returns
    -------
    Chart
    """
    shown = [point for point in points if isfinite(point.x.value) and isfinite(point.y.value)]
    bottom = 58 + LEGEND_LINE * len(shown)
    with styled():
        axes = new_axes(width_of(WIDTH), 290 + bottom, left=66, right=16, top=14, bottom=bottom)
        axes.grid(True)
        for place, point in enumerate(shown):
            shade = colour(SERIES[place % len(SERIES)])
            axes.hlines(point.y.value, point.x.low, point.x.high, color=shade, linewidth=1.2, alpha=0.5)
            axes.vlines(point.x.value, point.y.low, point.y.high, color=shade, linewidth=1.2, alpha=0.5)
            marker = MARKERS[place % len(MARKERS)]
            axes.plot(
                point.x.value, point.y.value, marker, color=shade, markersize=6, linestyle="none", label=point.label
            )
        axes.margins(0.12, 0.1)
        axes.locator_params(nbins=6)
        axes.set(xlabel=x_title, ylabel=y_title)
        if shown:
            legend_below(axes, [point.label for point in sorted(shown, key=lambda point: -point.y.value)], 54)
        tips = [
            tip_around(
                axes,
                point.x.value,
                point.y.value,
                f"{point.label}: {x_title} {with_interval(point.x)}, {y_title} {with_interval(point.y)}",
            )
            for point in shown
        ]
        drawing = svg(axes, name, tips)
    table = [[point.label, with_interval(point.x), with_interval(point.y)] for point in points]
    return Chart(title, drawing, description, ("model", x_title, y_title), table)
