"""Floors and distances: the right numbers, silent where nothing happens, and not blind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from run_folders import made_run, with_control, without_distributions

from benchc_metrics.metrics.control import control_of
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.metrics.views import category_views, condition_views, corruption_views
from benchc_metrics.statistics.floor import FLOOR_METRICS, estimate_floor
from benchc_metrics.statistics.resampling import Comparison

CORRUPTIONS = ("fog", "snow")
RUN = with_control(made_run(40, corruptions=CORRUPTIONS))


def test_the_floor_is_the_metric_under_the_control_and_its_changes_average_to_it():
    floor = estimate_floor(RUN, resamples=300)
    alone = metrics_of_run(RUN.control)
    for metric in FLOOR_METRICS:
        estimate = floor.of(metric)
        assert estimate.value == pytest.approx(alone[metric], abs=1e-12)
        assert estimate.low < estimate.value < estimate.high or metric == "acc_corrupted"
        changes = [floor.of_change(metric, change).value for change in range(1, 6)]
        assert np.mean(changes) == pytest.approx(estimate.value, abs=1e-12)


def test_a_distance_is_the_mean_of_the_samples_distances_and_pairs_what_varies_between_samples():
    views = corruption_views(RUN)
    floor = estimate_floor(RUN, views, resamples=300)
    view = control_of(PairValues.of_run(RUN))
    for metric in ("ras", "acc_corrupted"):
        for each in views:
            difference = floor.distance(metric, each.name)
            distances = view.distance(metric, each).values
            assert difference.value == pytest.approx(distances.mean(), abs=1e-12)
            error = distances.std() / np.sqrt(len(distances))
            assert difference.high - difference.low == pytest.approx(2 * 1.96 * error, rel=0.3)


def test_the_view_of_a_category_is_of_its_samples():
    views = category_views(RUN)
    floor = estimate_floor(RUN, views, resamples=100)
    distances = control_of(PairValues.of_run(RUN)).distance("ras").values
    for view in views:
        chosen = np.array([category == view.category for category in RUN.categories])
        assert floor.distance("ras", view.name).value == pytest.approx(distances[chosen].mean(), abs=1e-12)


def test_samples_without_a_floor_do_not_count_in_a_distance():
    moved = RUN.control.corrupted.copy()
    moved[:10] = np.nan
    part = replace(RUN, control=replace(RUN.control, corrupted=moved))
    floor = estimate_floor(part, resamples=100)
    distances = control_of(PairValues.of_run(RUN)).distance("ras").values
    assert floor.distance("ras").value == pytest.approx(distances[10:].mean(), abs=1e-12)


def test_interval_and_p_value_of_a_distance_that_do_not_agree_are_said():
    floor = estimate_floor(RUN, corruption_views(RUN), metrics=("ras",), resamples=300)
    made = [[0.1], [0.1]], [[0.02], [-0.02]], [[0.2], [0.2]], [[0.2], [0.2]]
    (sentence,) = replace(floor, distances=Comparison(*map(np.array, made))).contradictions()
    assert "ras: distance (fog): take" in sentence.lower()
    agreeing = *made[:3], [[0.01], [0.2]]
    assert replace(floor, distances=Comparison(*map(np.array, agreeing))).contradictions() == ()


def test_a_run_without_the_control_has_no_floor_and_letters_have_one_of_accuracy():
    assert estimate_floor(replace(RUN, control=None)) is None
    letters = without_distributions(RUN)
    floor = estimate_floor(letters, resamples=100)
    assert floor.metrics == ("acc_corrupted",)
    assert floor.of("acc_corrupted").value == pytest.approx(metrics_of_run(RUN.control)["acc_corrupted"])
    assert estimate_floor(letters, metrics=("ras",)) is None


def harmless(seed):
    """A run whose corruptions do what the control does."""
    run = made_run(60, seed=seed, corruptions=CORRUPTIONS)
    noise = 0.1 * np.random.default_rng([seed, 1]).normal(size=run.corrupted.shape)
    moved = np.minimum(run.clean[:, np.newaxis, np.newaxis] + noise, -1e-6)
    return with_control(replace(run, corrupted=moved), noise=0.1, seed=seed + 1000)


def test_no_cell_is_told_from_the_floor_where_corruptions_do_what_the_control_does():
    """At most 5 % of runs tell any cell; of 40 runs six or more would have a chance below 1.5 %."""
    floors = [estimate_floor(run, condition_views(run), resamples=2000) for run in map(harmless, range(40))]
    assert sum(bool(floor.is_told("ras").any()) for floor in floors) <= 5


def test_effects_are_told_from_the_floor():
    floor = estimate_floor(RUN, condition_views(RUN))
    assert floor.is_told("ras").all()
    assert floor.is_told("acc_corrupted").any()
