"""Lines: metrics over severity, and ranks over readings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan

from matplotlib.axes import Axes

from benchc_metrics.pages.charts.chart import (
    DASHES,
    LEGEND_LINE,
    LONG_LABEL,
    MARKERS,
    WIDTH,
    Chart,
    Measured,
    apart,
    legend_below,
)
from benchc_metrics.pages.drawing import Tip, colour, new_axes, styled, svg, tip_around, width_of
from benchc_metrics.pages.palette import SERIES
from benchc_metrics.wording import MISSING, with_interval

__all__ = ["Line", "lines_over_severity", "ranks_by_reading"]

_ROOM_BEHIND_ENDS = 106
_ROOM_BELOW = 44


@dataclass(frozen=True)
class Line:
    """One model's metrics at the severities, in their order."""

    label: str
    estimates: Sequence[Measured]


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
        At most six tell themselves apart by colour, dash and marker. Their labels stand at their ends, or in a list
        below where one is long.
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
    coloured = range(len(lines)) if highlighted is None else [highlighted]
    labelled = [line for line in lines if highlighted is None and isfinite(line.estimates[-1].value)]
    has_list = any(len(line.label) > LONG_LABEL for line in labelled)
    bottom = _ROOM_BELOW + (LEGEND_LINE * len(labelled) + 10 if has_list else 0)
    right = 14 if has_list or highlighted is not None else _ROOM_BEHIND_ENDS
    words = [str(severity) if severity else "clean" for severity in severities]
    with styled():
        axes = new_axes(
            width_of(WIDTH), 246 + bottom, left=62 if axis_title else 50, right=right, top=14, bottom=bottom
        )
        axes.grid(axis="y")
        for place, line in enumerate(lines):
            if place not in coloured:
                values = [estimate.value for estimate in line.estimates]
                axes.plot(severities, values, color=colour("context"), linewidth=1.0)
        for place in coloured:
            _draw_line(axes, severities, lines[place], 0 if highlighted is not None else place)
        axes.set(xlabel="severity", ylabel=axis_title, xlim=(severities[0] - 0.25, severities[-1] + 0.15))
        axes.set_xticks(severities, words)
        if limits:
            axes.set_ylim(*limits)
        if has_list:
            order = sorted(labelled, key=lambda line: -line.estimates[-1].value)
            legend_below(axes, [line.label for line in order], _ROOM_BELOW + 6)
        elif highlighted is None:
            _label_ends(axes, severities[-1], lines)
        tips = [
            tip_around(axes, severity, estimate.value, f"{lines[place].label}, {told}: {with_interval(estimate)}")
            for place in coloured
            for severity, word, estimate in zip(severities, words, lines[place].estimates, strict=True)
            for told in (f"severity {word}" if severity else word,)
            if isfinite(estimate.value)
        ]
        drawing = svg(axes, name, tips)
    table = [[lines[place].label, *(with_interval(each) for each in lines[place].estimates)] for place in coloured]
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
        linestyle=DASHES[place % len(DASHES)],
        marker=MARKERS[place % len(MARKERS)],
        markersize=5,
        label=line.label,
    )


def _label_ends(axes: Axes, severity: int, lines: Sequence[Line]) -> None:
    """Write each label behind its line's end, pushed apart where they would cover each other."""
    ends = [(line.estimates[-1].value, place) for place, line in enumerate(lines) if isfinite(line.estimates[-1].value)]
    bottom, top = axes.get_ylim()
    heights = apart([value for value, _ in ends], 0.062 * (top - bottom), bottom, top)
    for (_, place), height in zip(ends, heights, strict=True):
        _label_end(axes, lines[place].label, severity, height, place)


def _label_end(axes: Axes, label: str, x: float, y: float, place: int) -> None:
    axes.annotate(
        label,
        (x, y),
        xytext=(9, 0),
        textcoords="offset points",
        va="center_baseline",
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
    has_list = any(len(label) > LONG_LABEL for label, _ in ranks)
    bottom = 122 + (LEGEND_LINE * len(ranks) + 4 if has_list else 0)
    right = 14 if has_list else _ROOM_BEHIND_ENDS
    places = range(len(readings))
    tips: list[Tip] = []
    with styled():
        axes = new_axes(width_of(WIDTH), 14.0 + 28.0 * len(ranks) + bottom, left=50, right=right, top=14, bottom=bottom)
        for place, (label, of_model) in enumerate(ranks):
            # Models of one rank would cover each other.
            shift = 0.09 * (place - (len(ranks) - 1) / 2) / max(1, len(ranks) - 1)
            axes.plot(
                places,
                [nan if rank is None else rank + shift for rank in of_model],
                color=colour(SERIES[place % len(SERIES)]),
                linestyle=DASHES[place % len(DASHES)],
                marker=MARKERS[place % len(MARKERS)],
                markersize=6,
                label=label,
            )
        axes.set(ylabel="rank", ylim=(len(ranks) + 0.5, 0.5), xlim=(-0.3, len(readings) - 0.85))
        axes.set_xticks(places, readings, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(1, len(ranks) + 1))
        axes.grid(axis="y")
        if has_list:
            order = sorted(ranks, key=lambda each: each[1][-1] or len(ranks) + 1)
            legend_below(axes, [label for label, _ in order], 122)
        else:
            ends = [(label, of_model[-1], place) for place, (label, of_model) in enumerate(ranks) if of_model[-1]]
            heights = apart([float(rank or 0) for _, rank, _ in ends], 0.55, 0.5, len(ranks) + 0.5)
            for (label, _, place), at in zip(ends, heights, strict=True):
                _label_end(axes, label, places[-1], at, place)
        for label, of_model in ranks:
            for x, (reading, rank) in enumerate(zip(readings, of_model, strict=True)):
                if rank is not None:
                    tips.append(tip_around(axes, x, rank, f"{label}, {reading}: rank {rank}"))
        drawing = svg(axes, name, tips)
    table = [[label, *(MISSING if rank is None else str(rank) for rank in of_model)] for label, of_model in ranks]
    return Chart(title, drawing, description, ("model", *readings), table)
