from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from run_folders import made_run

from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.metrics.views import corruption_views, whole_run
from benchc_metrics.statistics.estimates import check_comparable, compare, estimate
from benchc_metrics.statistics.resampling import Comparison, holm

CORRUPTIONS = ("gaussian_noise", "snow", "fog")
FIRST = made_run(60, corruptions=CORRUPTIONS, noise=0.2)
SECOND = made_run(60, corruptions=CORRUPTIONS, noise=0.6)


def test_every_figure_has_an_interval_around_it():
    found = estimate(FIRST, (whole_run(FIRST), *corruption_views(FIRST)), resamples=300)
    for figure in METRICS:
        for view in ("all", *CORRUPTIONS):
            value, low, high = found.of(figure, view)
            assert METRICS[figure].minimum <= low <= value <= high <= METRICS[figure].maximum
    assert found.of("ras") == found.of("ras", "all")
    np.testing.assert_array_equal(found.values("ras"), [found.of("ras", view).value for view in ("all", *CORRUPTIONS)])


def test_intervals_are_the_same_whoever_computes_the_pairs():
    one, other = estimate(FIRST, resamples=200), estimate(PairValues.of_run(FIRST), resamples=200)
    for left, right in zip(one.intervals, other.intervals, strict=True):
        assert np.array_equal(left, right)


def test_a_real_difference_is_found_and_turns_with_the_runs():
    views = corruption_views(FIRST)
    there, back = (compare(a, b, views, resamples=999) for a, b in ((FIRST, SECOND), (SECOND, FIRST)))
    for view in CORRUPTIONS:
        found, turned = there.of("ras", view), back.of("ras", view)
        assert 0 < found.low < found.value < found.high
        assert found.value == pytest.approx(-turned.value)
        assert found.p_value == turned.p_value == 1 / 1000
        assert found.p_adjusted == 3 / 1000
    np.testing.assert_array_equal(there.p_adjusted, holm(there.comparison.p_value))


def test_a_comparison_uses_the_difference_of_the_figures():
    found = compare(FIRST, SECOND, resamples=200)
    for figure in METRICS:
        values = [estimate(run, resamples=200).of(figure).value for run in (FIRST, SECOND)]
        assert found.of(figure).value == pytest.approx(values[0] - values[1], abs=1e-9)


def changed(**metadata):
    return replace(SECOND, metadata=replace(SECOND.metadata, **metadata), name="other")


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (changed(dataset="x"), "they are over different datasets, 'f1.*' and 'x'"),
        (changed(engine="2"), "their images are of different corruption engines, '1' and '2'"),
        (changed(prompt="?"), "their prompts differ"),
        (made_run(61, corruptions=CORRUPTIONS), "1 samples are in one of them only, first 'sample-0060'"),
        (made_run(60, corruptions=("gaussian_noise", "snow")), "fog was run in one of them only"),
    ],
)
def test_runs_that_are_not_over_the_same_pictures_are_refused_with_the_reason(second, reason):
    for a, b in ((FIRST, second), (second, FIRST)):
        with pytest.raises(ValueError, match="cannot be compared"):
            compare(a, b, resamples=50)
    with pytest.raises(ValueError, match=reason):
        check_comparable(FIRST, second)


def test_mean_losses_beside_log_likelihoods_are_noted():
    assert check_comparable(FIRST, SECOND) == ()
    (note,) = compare(FIRST, changed(length_normalised=True), resamples=50).notes
    assert note.startswith("other was scored by mean losses")


def test_interval_and_p_value_that_do_not_agree_are_said() -> None:
    found = compare(FIRST, SECOND, resamples=200)
    assert found.contradictions(found.metrics) == () or "undecided" in found.contradictions(found.metrics)[0]
    arrays = [np.array([[value, value, value]]) for value in (0.1, 0.1, 0.1, 0.1)]
    low, p_value = np.array([[0.02, -0.02, 0.02]]), np.array([[0.2, 0.01, 0.01]])
    made = replace(
        found,
        metrics=("ras", "flip", "destroyed"),
        comparison=Comparison(arrays[0], low, arrays[2], p_value),
        p_adjusted=p_value,
    )
    (sentence,) = made.contradictions(["ras", "flip", "destroyed"])
    assert "ras (all) and flip (all)" in sentence.lower()
    assert "destroyed" not in sentence
    assert made.contradictions(["destroyed"]) == ()
