"""The charts of report and site: numbers in, drawings out.

Each chart is one panel of phone width, so that its letters keep their size there; a page sets panels side by side where
there is room. A chart carries a sentence that says what it shows, a table of its numbers for readers who cannot see it,
and a tooltip for each of its cells and points.
"""

from benchc_metrics.pages.charts.chart import Chart, Measured, Scale
from benchc_metrics.pages.charts.curves import Line, lines_over_severity, ranks_by_reading
from benchc_metrics.pages.charts.dots import Point, interval_rows, points_with_intervals
from benchc_metrics.pages.charts.heat_map import heat_map
from benchc_metrics.pages.charts.reliability import reliability_diagram

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
