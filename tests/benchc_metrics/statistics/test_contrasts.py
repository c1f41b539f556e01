"""Contrasts are tested as an exhaustive count over labels does, and as scipy's t test does."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.stats

from benchc_metrics.statistics.contrasts import Contrast, flipped_tail, mean_estimate, relabelled_tail, t_tail


def all_assignments(relabelled: np.ndarray) -> np.ndarray:
    """Every choice of one label a sample, shape (assignments, samples)."""
    return np.array(list(product(*([value for value in row if not np.isnan(value)] for row in relabelled))))


def exact_tail_of_sum(values: np.ndarray) -> float:
    """Count all assignments of signs."""
    sums = all_assignments(np.stack([values, -values], axis=1)).sum(axis=1)
    return float(np.mean(sums >= values.sum() - 1e-9))


def exact_tail_of_t(values: np.ndarray, relabelled: np.ndarray) -> float:
    """Count all assignments of labels, by scipy's t."""
    observed = scipy.stats.ttest_1samp(values, 0.0).statistic
    theirs = scipy.stats.ttest_1samp(all_assignments(relabelled), 0.0, axis=1).statistic
    return float(np.mean(theirs >= observed - 1e-9))


@pytest.mark.parametrize("samples", [14, 16])
@pytest.mark.parametrize("shift", [0.2, 0.6])
def test_sign_flips_have_the_exact_tail(samples: int, shift: float) -> None:
    values = np.random.default_rng(samples).normal(shift, 1.0, samples)
    assert flipped_tail(values) == pytest.approx(exact_tail_of_sum(values), rel=0.15)


@pytest.mark.parametrize("wrong", [0, 1, 2, 4])
def test_steps_of_one_size_have_the_exact_tail(wrong: int) -> None:
    values = np.array([1.0] * (14 - wrong) + [-1.0] * wrong)
    assert flipped_tail(values) == pytest.approx(exact_tail_of_sum(values), rel=0.08)


def test_labels_that_are_missing_are_never_drawn() -> None:
    draw = np.random.default_rng(2)
    relabelled = draw.normal(size=(8, 4))
    relabelled[[1, 5], 3] = np.nan
    relabelled -= np.nanmean(relabelled, axis=1, keepdims=True)
    values = np.where(np.arange(8) < 5, np.nanmax(relabelled, axis=1), relabelled[:, 0])
    # 40,000 draws of a chance of some percent: a standard error of 1 or 2 %.
    assert relabelled_tail(values, relabelled, 40_000) == pytest.approx(exact_tail_of_t(values, relabelled), rel=0.15)


def test_relabelling_is_repeatable_and_as_deep_as_asked() -> None:
    relabelled = np.random.default_rng(5).normal(size=(40, 6))
    relabelled[:, 0] = relabelled.max(axis=1)
    relabelled -= relabelled.mean(axis=1, keepdims=True)
    assert relabelled_tail(relabelled[:, 0], relabelled, 20_000) == 1 / 20_001
    usual = relabelled[:, 1]
    assert relabelled_tail(usual, relabelled) == relabelled_tail(usual, relabelled)
    assert Contrast(relabelled[:, 0], lambda: relabelled).tail(1, 0.01, tests=500) <= 0.01 / 500


def test_conditions_that_differ_do_not_hide_an_effect() -> None:
    """Half the corruptions destroy half the answers: most labels are extreme, and none has so small a spread."""
    draw = np.random.default_rng(0)
    right = draw.random((48, 96)) > np.where(np.arange(96) % 2, 0.5, 0.1)
    right[:, 0] = draw.random(48) > 0.05
    relabelled = (right.sum(axis=1, keepdims=True) - right) / 95 - right
    assert Contrast(relabelled[:, 0], lambda: relabelled).tail(-1) < 1e-3


def test_a_clean_condition_that_is_right_by_chance_is_no_effect() -> None:
    """All clean answers right, one in fifty of the others wrong: t says 1e-10, relabelling says what it is, chance."""
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
    found = flipped_tail(values)
    statistic = values.sum() / np.sqrt((values**2).sum())
    assert 0 < found < 1e-15
    assert np.log(found) == pytest.approx(scipy.stats.norm.logsf(statistic), rel=0.1)


def test_nothing_above_zero_is_no_evidence() -> None:
    values = np.array([-1.0, -2.0, 0.5])
    assert flipped_tail(values) == 1.0
    assert flipped_tail(np.zeros(4)) == 1.0
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
