"""Reliability diagrams: accuracy against confidence."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from benchc_metrics.metrics.calibration import CalibrationBins
from benchc_metrics.pages.charts.chart import Chart
from benchc_metrics.pages.drawing import colour, new_axes, styled, svg, tip_over, width_of
from benchc_metrics.wording import number, percent, signed

__all__ = ["reliability_diagram"]


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
        tips = [
            tip_over(
                axes,
                (edges[place], edges[place + 1]),
                (0, 1),
                f"confidence {row[0]}, answers {row[1]}, accuracy {row[3]}",
            )
            for place, row in zip(filled, table, strict=True)
        ]
        drawing = svg(axes, name, tips)
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
