"""Charts show the numbers that they are given, and say them too."""

from __future__ import annotations

import re
from itertools import pairwise
from math import isnan, nan
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchc_metrics.metrics.calibration import CalibrationBins
from benchc_metrics.pages.charts import (
    Line,
    Point,
    Scale,
    heat_map,
    interval_rows,
    lines_over_severity,
    points_with_intervals,
    reliability_diagram,
)
from benchc_metrics.pages.charts.chart import apart
from benchc_metrics.pages.palette import COLOURS, DIVERGING_STEPS, SEQUENTIAL_STEPS
from benchc_metrics.statistics.estimates import Estimate
from benchc_metrics.wording import MISSING, number


def texts(drawing: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(drawing).iter("text")]


def measured(value: float) -> Estimate:
    return Estimate(value, value - 0.02, value + 0.02)


class TestHeatMap:
    values = np.array([[-0.4, 0.0, 0.1], [nan, -0.2, -0.1]])

    def chart(self):
        return heat_map(
            "map",
            "RAS",
            self.values,
            ["fog", "snow"],
            ["1", "2", "3"],
            Scale.around_zero(self.values),
            number,
            "Told.",
            "severity",
        )

    def test_every_number_is_written_in_its_cell(self) -> None:
        written = texts(self.chart().drawing)
        for expected in ("−0.400", "0.000", "0.100", MISSING, "−0.200", "−0.100", "fog", "snow", "severity"):
            assert expected in written

    def test_cells_are_coloured_by_their_side_of_zero(self) -> None:
        drawing = self.chart().drawing
        middle = DIVERGING_STEPS // 2
        # The legend has each colour once.
        assert drawing.count("fill: var(--diverging-0)") == 2
        assert drawing.count(f"fill: var(--diverging-{middle})") == 2
        assert drawing.count(f"fill: var(--diverging-{DIVERGING_STEPS - 1})") == 1

    def test_the_legend_names_the_ends_of_the_scale(self) -> None:
        assert {"−0.400", "0.400"} <= set(texts(self.chart().drawing))

    def test_columns_of_bad_and_good_have_colours_of_their_own(self) -> None:
        values = np.array([[0.5, 0.5]])
        scale = Scale.around_zero(values)
        chart = heat_map("m", "t", values, ["fog"], ["bad", "good"], scale, number, "Told.", signs=(-1, 1))
        for step in (0, DIVERGING_STEPS - 1):
            assert chart.drawing.count(f"fill: var(--diverging-{step})") == 2

    def test_each_cell_has_a_tooltip_with_its_row_column_and_number(self) -> None:
        said = ["".join(title.itertext()) for title in ElementTree.fromstring(self.chart().drawing).iter("title")]
        assert len(said) == self.values.size
        assert said[0] == "fog, severity 1: −0.400"
        assert said[3] == f"snow, severity 1: {MISSING}"

    def test_the_table_has_the_same_numbers(self) -> None:
        chart = self.chart()
        assert list(chart.columns) == ["", "1", "2", "3"]
        assert [list(row) for row in chart.rows] == [
            ["fog", "−0.400", "0.000", "0.100"],
            ["snow", MISSING, "−0.200", "−0.100"],
        ]

    def test_long_names_of_columns_are_slanted_and_stay_in_the_picture(self) -> None:
        names = [f"organisation/model-{number}-instruct" for number in range(13)]
        chart = heat_map(
            "wide", "RAS", np.zeros((19, 13)), ["fog"] * 19, names, Scale("diverging", -1, 1), number, "Told."
        )
        assert "rotate(-40" in chart.drawing
        assert chart.width > 600

    def test_nothing_but_missing_numbers_is_drawn_too(self) -> None:
        nothing = np.full((2, 3), nan)
        chart = heat_map(
            "none", "RAS", nothing, ["a", "b"], ["1", "2", "3"], Scale.around_zero(nothing), number, "Told."
        )
        assert texts(chart.drawing).count(MISSING) == 6

    def test_marked_cells_have_a_ring_and_the_legend_says_what_it_means(self) -> None:
        marks = np.array([[True, False, True], [True, False, False]])
        settings = {"marks": marks, "mark_title": "at the floor"}
        scale = Scale.around_zero(self.values)
        chart = heat_map("map", "RAS", self.values, ["a", "b"], ["1", "2", "3"], scale, number, "Told.", **settings)
        rings = r"<use [^>]*fill-opacity: 0; stroke: var\(--([a-z0-9-]+)\)"
        # One for the legend; a cell without a number has none.
        assert sorted(re.findall(rings, chart.drawing)) == ["diverging-0-text", "diverging-8-text", "ink"]
        assert "at the floor" in texts(chart.drawing)

    def test_without_marks_there_is_no_legend(self) -> None:
        for marks in (None, np.zeros((2, 3), dtype=bool)):
            scale = Scale.around_zero(self.values)
            chart = heat_map(
                "map",
                "RAS",
                self.values,
                ["a", "b"],
                ["1", "2", "3"],
                scale,
                number,
                "Told.",
                marks=marks,
                mark_title="at the floor",
            )
            assert "at the floor" not in chart.drawing


@given(st.floats(-3, 3))
def test_a_scale_names_a_colour_for_every_number(value: float) -> None:
    for scale, steps in ((Scale("diverging", -1, 1), DIVERGING_STEPS), (Scale("sequential", 0, 1), SEQUENTIAL_STEPS)):
        name = scale.colour_name(value)
        assert name in COLOURS
        assert 0 <= int(name.rpartition("-")[2]) < steps


def test_a_diverging_scale_has_zero_in_its_middle() -> None:
    for reach in (0.01, 0.5, 2.0):
        assert Scale.around_zero(np.array([-reach, reach / 3])).colour_name(0.0) == f"diverging-{DIVERGING_STEPS // 2}"


class TestApart:
    @given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.001, 0.08))
    def test_neighbours_keep_their_distance_and_order_within_the_ends(self, values: list[float], gap: float) -> None:
        moved = apart(values, gap, 0.0, 1.0)
        order = sorted(range(len(values)), key=lambda place: values[place])
        ranked = [moved[place] for place in order]
        assert all(after - before >= gap - 1e-9 for before, after in pairwise(ranked))
        assert all(-1e-9 <= value <= 1 + 1e-9 for value in moved)

    def test_values_far_from_each_other_stay(self) -> None:
        assert apart([0.9, 0.1, 0.5], 0.1, 0, 1) == [0.9, 0.1, 0.5]

    def test_no_values(self) -> None:
        assert apart([], 0.1, 0, 1) == []


def test_interval_rows_list_both_series() -> None:
    chart = interval_rows(
        "rows",
        "Parts",
        ["fog", "snow"],
        [("destructive", [measured(-0.3), measured(-0.1)]), ("corrective", [measured(0.2), Estimate(nan, nan, nan)])],
        "Told.",
        "RAS",
    )
    assert {"fog", "snow", "destructive", "corrective", "RAS"} <= set(texts(chart.drawing))
    assert [list(row) for row in chart.rows] == [
        ["fog", "−0.300 [−0.320, −0.280]", "0.200 [0.180, 0.220]"],
        ["snow", "−0.100 [−0.120, −0.080]", MISSING],
    ]


class TestLines:
    lines = tuple(
        Line(f"model-{place}", [measured(-0.1 * place - 0.05 * step) for step in range(5)]) for place in range(4)
    )

    def test_each_line_is_named_at_its_end(self) -> None:
        chart = lines_over_severity("lines", "RAS", [1, 2, 3, 4, 5], self.lines, "Told.")
        assert {line.label for line in self.lines} <= set(texts(chart.drawing))
        assert [row[0] for row in chart.rows] == [line.label for line in self.lines]
        assert len({f"series-{place}" for place in range(4) if f"var(--series-{place})" in chart.drawing}) == 4

    def test_one_line_before_the_others_in_grey(self) -> None:
        chart = lines_over_severity("one", "RAS", [1, 2, 3, 4, 5], self.lines, "Told.", highlighted=2)
        assert chart.drawing.count("stroke: var(--context)") == 3
        assert [row[0] for row in chart.rows] == ["model-2"]

    def test_a_line_without_numbers(self) -> None:
        nothing = Line("nothing", [Estimate(nan, nan, nan)] * 5)
        chart = lines_over_severity("gap", "RAS", [1, 2, 3, 4, 5], (*self.lines, nothing), "Told.")
        assert "nothing" not in texts(chart.drawing)
        assert list(chart.rows[-1]) == ["nothing", *[MISSING] * 5]


def test_points_are_named_and_listed() -> None:
    points = [Point(f"model-{place}", measured(0.5 + 0.1 * place), measured(-0.2 * place)) for place in range(3)]
    chart = points_with_intervals("plane", "RAS", points, "accuracy", "RAS", "Told.")
    assert {"model-0", "model-1", "model-2", "accuracy", "RAS"} <= set(texts(chart.drawing))
    assert list(chart.rows[1]) == ["model-1", "0.600 [0.580, 0.620]", "−0.200 [−0.220, −0.180]"]


def test_a_single_point_has_room() -> None:
    chart = points_with_intervals(
        "plane", "RAS", [Point("only", Estimate(0.5, 0.5, 0.5), Estimate(0, 0, 0))], "x", "y", "Told."
    )
    assert "only" in texts(chart.drawing)


class TestReliability:
    def test_bins_are_listed_with_their_gap(self) -> None:
        bins = CalibrationBins.from_answers([0.95, 0.97, 0.31], [1, 0, 1], bins=10)
        chart = reliability_diagram("bins", "Reliability", bins, "Told.")
        assert [list(row) for row in chart.rows] == [
            ["0.30 to 0.40", "1", "0.310", "1.000", "+0.690"],
            ["0.90 to 1.00", "2", "0.960", "0.500", "−0.460"],
        ]

    def test_no_answers(self) -> None:
        chart = reliability_diagram("empty", "Reliability", CalibrationBins.from_answers([], []), "Told.")
        assert list(chart.rows) == []


@pytest.mark.parametrize("value", [nan, 0.0])
def test_scales_of_nothing_have_ends(value: float) -> None:
    for scale in (Scale.around_zero(np.array([value])), Scale.from_zero(np.array([value]))):
        assert scale.high > scale.low
        assert not isnan(scale.high)
