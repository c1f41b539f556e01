"""Distances from the floor, against plain loops over the samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from run_folders import made_run, with_control, without_distributions

from benchc_metrics.metrics.control import control_of
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import robustness_alignment_score
from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.metrics.views import View, corruption_views

CORRUPTIONS = ("fog", "snow")
PLAIN = made_run(20, corruptions=CORRUPTIONS)


def with_gaps(run):
    """The run with some answers invalid: pairs, a clean one, all of a sample under the control, one change of it."""
    clean, corrupted, moved = run.clean.copy(), run.corrupted.copy(), run.control.corrupted.copy()
    clean[3] = np.nan
    corrupted[5] = np.nan
    corrupted[6, 1, :2] = np.nan
    moved[7] = np.nan
    moved[8, 0, 1] = np.nan
    return replace(run, clean=clean, corrupted=corrupted, control=replace(run.control, clean=clean, corrupted=moved))


RUN = with_gaps(with_control(PLAIN))


def ras(run, sample, corruption, severity):
    count = run.option_counts[sample]
    clean, corrupted = run.clean_distributions()[sample, :count], run.corrupted_distributions()
    pair = corrupted[sample, corruption, severity, :count]
    return float(robustness_alignment_score(clean[np.newaxis], pair[np.newaxis], [run.answers[sample]])[0])


def right(run, sample, corruption, severity):
    chosen = run.corrupted_predictions[sample, corruption, severity]
    is_pair = min(chosen, run.clean_predictions[sample]) >= 0
    return float(chosen == run.answers[sample]) if is_pair else np.nan


@pytest.mark.parametrize(("metric", "value"), [("ras", ras), ("acc_corrupted", right)])
def test_distances_are_a_samples_value_less_its_own_floor(metric, value):
    view = control_of(PairValues.of_run(RUN))
    cells = view.distances(metric)
    whole, fog = view.distance(metric), view.distance(metric, View("fog", ("fog",), (2, 4)))
    shape = (20, 2, 5)
    pairs = np.array([value(RUN, *cell) for cell in np.ndindex(shape)]).reshape(shape)
    floors = np.array([[value(RUN.control, sample, 0, change) for change in range(5)] for sample in range(20)])
    np.testing.assert_allclose(view.changes(metric).values[view.changes(metric).valid], floors[~np.isnan(floors)])
    for sample in range(20):
        known = floors[sample][~np.isnan(floors[sample])]
        floor = known.mean() if known.size else np.nan
        for found, valid, wanted in (
            (view.floor(metric).values[sample], view.floor(metric).valid[sample], floor),
            (whole.values[sample], whole.valid[sample], mean(pairs[sample]) - floor),
            (fog.values[sample], fog.valid[sample], mean(pairs[sample, 0, [1, 3]]) - floor),
            *zip(
                cells.values[sample].ravel(),
                cells.valid[sample].ravel(),
                (pairs[sample] - floor).ravel(),
                strict=True,
            ),
        ):
            assert valid == (not np.isnan(wanted))
            assert found == pytest.approx(wanted if valid else 0.0, abs=1e-12)


def mean(values):
    known = values[~np.isnan(values)]
    return known.mean() if known.size else np.nan


def test_a_category_leaves_out_the_other_samples():
    view = control_of(PairValues.of_run(RUN))
    colours = view.distance("ras", View("colour", CORRUPTIONS, (1, 2, 3, 4, 5), "colour"))
    of_all = view.distance("ras")
    is_colour = np.array([category == "colour" for category in RUN.categories])
    np.testing.assert_array_equal(colours.valid, of_all.valid & is_colour)
    np.testing.assert_array_equal(colours.values, np.where(is_colour, of_all.values, 0))


def test_the_reading_of_the_floor_is_that_of_the_pairs():
    view = control_of(PairValues.of_run(RUN, "certainty"))
    assert view.control.reading == "certainty"
    other = control_of(PairValues.of_run(RUN, "probability"))
    assert not np.allclose(view.floor("ras").values, other.floor("ras").values)


def test_a_run_without_a_usable_control_has_no_view():
    assert control_of(PairValues.of_run(PLAIN)) is None
    nothing = replace(RUN.control, corrupted=np.full_like(RUN.control.corrupted, np.nan))
    assert control_of(PairValues.of_run(replace(RUN, control=nothing))) is None


def test_letters_have_a_floor_of_accuracy_and_none_of_ras():
    view = control_of(PairValues.of_run(without_distributions(RUN)))
    assert "ras" not in view.metrics
    assert {"acc_corrupted", "flip"} <= set(view.metrics)
    known = control_of(PairValues.of_run(RUN))
    np.testing.assert_array_equal(view.floor("acc_corrupted").values, known.floor("acc_corrupted").values)


def test_conditions_that_a_sample_was_not_asked_by_design_do_not_count():
    """Each sample sees each corruption at one severity."""
    asked = np.zeros((20, 2, 5), dtype=bool)
    asked[np.arange(20)[:, None], np.arange(2), (np.arange(20)[:, None] + np.arange(2)) % 5] = True
    corrupted = np.where(asked[..., None], PLAIN.corrupted, np.nan)
    view = control_of(PairValues.of_run(with_control(replace(PLAIN, corrupted=corrupted, asked=asked))))
    np.testing.assert_array_equal(view.distances("ras").valid, asked)
    assert view.distance("ras").valid.all()
    first = corruption_views(view.pairs.run)[0]
    np.testing.assert_allclose(view.distance("ras", first).values, view.distances("ras").values[:, 0].sum(axis=1))


def test_no_metric_of_the_corruptions_mixes_the_control_in():
    assert metrics_of_run(with_control(PLAIN)) == pytest.approx(metrics_of_run(PLAIN), nan_ok=True, abs=0)
