"""Contrasts are tested as an exhaustive count over labels does, and as scipy's t test does."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.stats

from benchc_metrics.statistics.contrasts import Contrast, mean_estimate, relabelled_tail, sign_flips, t_tail


def exact_tail(values: np.ndarray, relabelled: np.ndarray) -> float:
    """Count all assignments of labels."""
    choices = [[value for value in row if not np.isnan(value)] for row in relabelled]
    sums = np.array([sum(chosen) for chosen in product(*choices)])
    return float(np.mean(sums >= values.sum() - 1e-9))


@pytest.mark.parametrize("samples", [14, 16])
@pytest.mark.parametrize("shift", [0.2, 0.6])
def test_sign_flips_have_the_exact_tail(samples: int, shift: float) -> None:
    values = np.random.default_rng(samples).normal(shift, 1.0, samples)
    found = relabelled_tail(values, sign_flips(values))
    assert found == pytest.approx(exact_tail(values, sign_flips(values)), rel=0.15)


@pytest.mark.parametrize("wrong", [0, 1, 2, 4])
def test_steps_of_one_size_have_the_exact_tail(wrong: int) -> None:
    values = np.array([1.0] * (14 - wrong) + [-1.0] * wrong)
    assert relabelled_tail(values, sign_flips(values)) == pytest.approx(
        exact_tail(values, sign_flips(values)), rel=0.08
    )


def test_labels_that_are_missing_are_never_drawn() -> None:
    draw = np.random.default_rng(2)
    relabelled = draw.normal(size=(8, 4))
    relabelled[[1, 5], 3] = np.nan
    relabelled -= np.nanmean(relabelled, axis=1, keepdims=True)
    values = np.nanmax(relabelled, axis=1) * 0.8
    assert relabelled_tail(values, relabelled) == pytest.approx(exact_tail(values, relabelled), rel=0.15)


def test_a_clean_condition_that_is_right_by_chance_is_no_effect() -> None:
    """All clean answers right, one in fifty of the others wrong: t says 1e-10, exchanging says what it is, chance."""
    draw = np.random.default_rng(0)
    right = draw.random((150, 96)) > 0.02
    right[:, 0] = True
    relabelled = (right.sum(axis=1, keepdims=True) - right) / 95 - right
    contrast = Contrast(relabelled[:, 0], lambda: relabelled)
    assert t_tail(-contrast.values) < 1e-10
    # 0.98 ** 150 = 0.048
    assert contrast.tail(-1) == pytest.approx(0.05, abs=0.03)


def test_tails_far_out_need_no_resamples() -> None:
    values = np.random.default_rng(1).normal(0.5, 1.0, 400)
    found = relabelled_tail(values, sign_flips(values))
    statistic = values.sum() / np.sqrt((values**2).sum())
    assert 0 < found < 1e-15
    assert np.log(found) == pytest.approx(scipy.stats.norm.logsf(statistic), rel=0.1)


def test_nothing_above_zero_is_no_evidence() -> None:
    values = np.array([-1.0, -2.0, 0.5])
    assert relabelled_tail(values, sign_flips(values)) == 1.0
    assert relabelled_tail(np.zeros(4), np.zeros((4, 3))) == 1.0


@pytest.mark.parametrize("samples", [3, 40])
def test_t_is_scipys(samples: int) -> None:
    values = np.random.default_rng(samples).normal(0.2, 1.0, samples)
    theirs = scipy.stats.ttest_1samp(values, 0.0, alternative="greater")
    assert t_tail(values) == pytest.approx(theirs.pvalue, rel=1e-10)
    low, high = scipy.stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert mean_estimate(values) == pytest.approx((values.mean(), low, high), rel=1e-10)


@pytest.mark.parametrize(("values", "tail"), [([], 1.0), ([3.0], 1.0), ([0.0, 0.0], 1.0)])
def test_too_few_samples_say_nothing(values: list[float], tail: float) -> None:
    assert Contrast(np.array(values)).tail(1) == tail


def test_a_rate_that_all_samples_share_has_an_interval_with_a_width() -> None:
    found = Contrast(np.ones(36), is_rate=True).estimate()
    assert found.low < 0.95
    assert found.high == 1.0


def test_false_claims_are_as_rare_as_the_level_says() -> None:
    draw = np.random.default_rng(3)
    made = 0
    for _ in range(400):
        conditions = draw.normal(size=(40, 6)) ** 3
        relabelled = (conditions.sum(axis=1, keepdims=True) - conditions) / 5 - conditions
        made += Contrast(relabelled[:, 0], lambda of=relabelled: of).tail(1) <= 0.05
    # 20 are expected of an exact test; two tests that have to agree make fewer.
    assert made <= 32
