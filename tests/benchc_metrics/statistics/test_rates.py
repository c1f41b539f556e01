"""Intervals of shares hold the truth where a resample cannot know it."""

from __future__ import annotations

import numpy as np
import pytest
from run_folders import made_run
from scipy.stats import binom, binomtest

from benchc_metrics.statistics.estimates import compare, estimate
from benchc_metrics.statistics.rates import rate_bounds, wilson
from benchc_metrics.statistics.resampling import bootstrap_intervals, paired_comparison


@pytest.mark.parametrize(("right", "samples"), [(0, 36), (36, 36), (3, 20), (150, 151)])
def test_wilson_is_scipys(right: int, samples: int) -> None:
    theirs = binomtest(right, samples).proportion_ci(0.95, method="wilson")
    assert [float(bound) for bound in wilson(right / samples, samples, 0.95)] == pytest.approx(
        [theirs.low, theirs.high], abs=1e-12
    )


def share(sums: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums[..., :1] / sums[..., 1:]


def interval_of(right: int, samples: int) -> tuple[float, float]:
    terms = np.column_stack([np.arange(samples) < right, np.ones(samples)]).astype(float)
    found = bootstrap_intervals(terms, share, methods="bca-wilson", bounds=(0, 1), resamples=2000)
    return float(found.low[0]), float(found.high[0])


@pytest.mark.parametrize(("truth", "samples"), [(0.98, 36), (0.02, 36), (0.99, 150), (0.995, 150)])
def test_rates_near_an_end_are_held(truth: float, samples: int) -> None:
    """Exact coverage: each number of right answers with its chance. Without Wilson it is .44 for .98 and 36."""
    likely = [right for right in range(samples + 1) if binom.pmf(right, samples, truth) > 1e-4]
    held = 0.0
    for right in likely:
        low, high = interval_of(right, samples)
        assert high > low
        held += binom.pmf(right, samples, truth) * (low <= truth <= high)
    assert held >= 0.93


def test_differences_of_rates_have_a_width() -> None:
    same = np.column_stack([np.ones(40), np.ones(40)])
    found = paired_comparison(same, same, share, methods="bca-wilson", largest=1, resamples=200)
    assert found.difference == 0
    assert -0.2 < found.low < -0.05
    assert found.high == -found.low


def test_many_samples_that_differ_keep_their_interval() -> None:
    values = (np.arange(60) < 20).astype(float)[:, np.newaxis]
    low, high = rate_bounds(values, [0.3], [0.35], 0.95, are_differences=False)
    assert (low, high) == (0.3, 0.35)


def test_a_share_that_no_sample_has_is_left_alone() -> None:
    low, high = rate_bounds(np.full((5, 1), np.nan), [np.nan], [np.nan], 0.95, are_differences=False)
    assert np.isnan([low, high]).all()


def test_no_rate_of_a_run_has_a_width_of_zero() -> None:
    run = made_run(20, noise=0.0, corruptions=("fog",))
    other = made_run(20, noise=0.0, corruptions=("fog",), seed=0, model="lab/twin")
    alone, both = estimate(run, resamples=200), compare(run, other, resamples=200)
    for metric in (
        "acc_clean",
        "acc_corrupted",
        "flip",
        "destroyed",
        "corrected",
        "erroneous_confidence",
        "hesitation",
    ):
        found, difference = alone.of(metric), both.of(metric)
        assert found.low < found.high, metric
        assert difference.low < 0 < difference.high, metric


def test_one_sample_alone_leaves_the_whole_range() -> None:
    terms = np.column_stack([[-0.3] + [0.0] * 29, [1.0] + [0.0] * 29])
    found = bootstrap_intervals(terms, share, methods="bca-student", bounds=(-2, 1), resamples=200)
    assert [float(each[0]) for each in found] == pytest.approx([-0.3, -2, 1])


def test_few_samples_are_held_by_students_interval() -> None:
    """A skewed mean over the 8 of 60 samples that define it: BCa alone holds it in .85."""
    draw = np.random.default_rng(4)
    held = {"bca": 0, "bca-student": 0}
    for _ in range(250):
        counted = draw.permutation(60) < 8
        terms = np.column_stack([np.where(counted, -draw.exponential(0.3, 60), 0.0), counted])
        for method in held:
            found = bootstrap_intervals(terms, share, methods=method, resamples=400, seed=int(draw.integers(1 << 30)))
            held[method] += int(found.low[0] <= -0.3 <= found.high[0])
    assert held["bca-student"] > held["bca"]
    assert held["bca-student"] / 250 >= 0.88
