"""What is shown of runs is what the figures of runs are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from metrics_reference import metrics_by_loops
from run_folders import made_run

from benchc_metrics.findings.analysis import (
    CELL_METRICS,
    DETAIL_RESAMPLES,
    Contest,
    RunAnalysis,
    analyse,
    check_all_comparable,
    mean_intervals,
)
from benchc_metrics.metrics.registry import headline_metrics
from benchc_metrics.metrics.views import condition_views
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import estimate


@pytest.fixture(scope="module")
def small() -> Run:
    run = made_run(30, seed=2, corruptions=("fog", "snow"))
    corrupted = run.corrupted.copy()
    corrupted[3, 0, 1] = np.nan
    return replace(run, corrupted=corrupted)


def test_headline_figures_are_those_of_the_run(small: Run) -> None:
    analysis = analyse(small)
    samples = len(small.sample_ids)
    flat = np.concatenate([small.clean[:, np.newaxis], small.corrupted.reshape(samples, 10, -1)], axis=1)
    expected = metrics_by_loops(flat, small.answers, small.option_counts)
    for figure in headline_metrics():
        assert analysis.headline(figure).value == pytest.approx(expected[figure], abs=1e-12), figure


def test_cells_are_the_estimates_of_their_conditions(small: Run) -> None:
    analysis = analyse(small)
    views = condition_views(small)
    estimated = estimate(small, views, resamples=DETAIL_RESAMPLES)
    for figure in CELL_METRICS:
        for place, view in enumerate(views):
            corruption, severity = divmod(place, 5)
            found = [float(each[corruption, severity]) for each in analysis.cells[figure]]
            assert found == pytest.approx(list(estimated.of(figure, view.name)), abs=1e-9), (figure, view.name)


def test_reliability_bins_hold_every_valid_answer(small: Run) -> None:
    analysis = analyse(small)
    assert analysis.clean_bins.answers == 30
    assert analysis.corrupted_bins.answers == 30 * 10 - 1
    assert analysis.corrupted_bins.error() == pytest.approx(analysis.headline("ece_corrupted").value)


def test_mean_intervals_leave_out_what_is_not_valid() -> None:
    values = np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, np.nan]])
    valid = ~np.isnan(values)
    found = mean_intervals(values, valid, resamples=500)
    assert found.estimate.tolist() == [2.0, 5.0]
    assert found.low[0] < 2.0 < found.high[0]


def test_a_higher_level_gives_a_wider_interval() -> None:
    values = np.random.default_rng(0).normal(size=(200, 1))
    valid = np.ones_like(values, dtype=bool)
    narrow, wide = (mean_intervals(values, valid, resamples=4000, level=level) for level in (0.95, 0.999))
    assert wide.low[0] < narrow.low[0] < narrow.high[0] < wide.high[0]


class TestContest:
    def test_a_clear_winner(self, analyses: list[RunAnalysis]) -> None:
        contest = Contest(analyses)
        assert contest.ranking("ras") == [0, 1, 2]
        assert contest.winner("ras") == 0
        assert contest.winner("acc_corrupted") == 0

    def test_no_winner_where_the_difference_is_chance(self, analyses: list[RunAnalysis]) -> None:
        contest = Contest(analyses)
        # The three share their clean answers.
        assert contest.winner("acc_clean") is None

    def test_no_winner_between_equals_however_clearly_they_beat_a_third(self, analyses: list[RunAnalysis]) -> None:
        contest = Contest([analyses[0], analyses[0], analyses[2]])
        assert contest.winner("ras") is None

    def test_a_run_alone_wins_nothing(self, analyses: list[RunAnalysis]) -> None:
        assert Contest(analyses[:1]).winners() == dict.fromkeys(headline_metrics())

    def test_lower_is_better_for_drop_and_calibration_error(self, analyses: list[RunAnalysis]) -> None:
        contest = Contest(analyses)
        assert contest.ranking("acc_drop")[0] == 0
        assert contest.ranking("ece_corrupted") == sorted(
            range(3), key=lambda place: contest.entrants[place].headline("ece_corrupted").value
        )


class TestComparable:
    def test_runs_over_the_same_samples_are(self, runs: list[Run]) -> None:
        assert check_all_comparable(runs) == ()

    @pytest.mark.parametrize("field", ["dataset", "engine", "prompt"])
    def test_runs_that_differ_are_refused_with_the_reason(self, runs: list[Run], field: str) -> None:
        other = replace(runs[1], metadata=replace(runs[1].metadata, **{field: "another"}))
        with pytest.raises(ValueError, match="another"):
            check_all_comparable([runs[0], runs[2], other])

    def test_mean_losses_are_told(self, runs: list[Run]) -> None:
        other = replace(runs[1], metadata=replace(runs[1].metadata, length_normalised=True))
        (note,) = check_all_comparable([runs[0], other, replace(other, name=other.name)])
        assert "mean losses" in note

    def test_no_run_at_all(self) -> None:
        with pytest.raises(ValueError, match="no run"):
            check_all_comparable([])
