"""Calibration figures against torchmetrics, scikit-learn and cases worked out by hand."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from benchc_metrics.metrics import ras
from benchc_metrics.metrics.calibration import (
    CalibrationBins,
    adaptive_calibration_error,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
)


def answers(seed, number=400, options=4):
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.full(options, 0.4), size=number)
    return p, generator.integers(0, options, size=number)


@pytest.mark.parametrize("bins", [1, 7, 15, 40])
@pytest.mark.parametrize("options", [2, 4, 9])
def test_ece_is_torchmetrics(bins, options):
    p, answer = answers(bins * options, options=options)
    ours = expected_calibration_error(ras.confidence(p), ras.correctness(p, answer), bins)
    theirs = multiclass_calibration_error(
        torch.tensor(p), torch.tensor(answer), num_classes=options, n_bins=bins, norm="l1"
    )
    assert ours == pytest.approx(float(theirs), abs=2e-6)  # theirs is computed in float32


def test_ece_by_hand():
    # Bins [0.5, 0.75) with confidences 0.5, 0.7 and one right, [0.75, 1] with 0.9, 1.0 and both right.
    error = expected_calibration_error([0.5, 0.7, 0.9, 1.0], [1, 0, 1, 1], bins=4)
    assert error == pytest.approx(abs(1 - 1.2) / 4 + abs(2 - 1.9) / 4)


def test_confidence_of_one_shares_the_last_bin():
    bins = CalibrationBins.from_answers([1.0, 0.95, 0.0], [0, 1, 0], bins=10)
    assert bins.count.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    # Together |1 - 1.95| / 3; a bin of its own for 1.0 would give (1 + 0.05) / 3.
    assert bins.error() == pytest.approx(0.95 / 3)


def test_edge_belongs_to_the_bin_above_it():
    edges = [k / 15 for k in range(15)]
    assert CalibrationBins.from_answers(edges, np.ones(15), bins=15).count.tolist() == [1] * 15


def test_perfect_calibration_and_its_opposite():
    assert expected_calibration_error([1.0] * 3, [1] * 3) == 0.0
    assert expected_calibration_error([1.0] * 3, [0] * 3) == 1.0
    assert adaptive_calibration_error([1.0] * 3, [0] * 3) == 1.0


@pytest.mark.parametrize("error", [expected_calibration_error, adaptive_calibration_error])
def test_no_answers_are_refused(error):
    with pytest.raises(ValueError, match="at least one answer"):
        error([], [])


@pytest.mark.parametrize("error", [expected_calibration_error, adaptive_calibration_error])
@pytest.mark.parametrize(
    ("confidence", "correct", "bins", "sentence"),
    [
        ([0.5, np.nan], [1, 0], 15, "a confidence lies outside 0 to 1, or is nan"),
        ([0.5, 1.5], [1, 0], 15, "a confidence lies outside 0 to 1"),
        ([0.5, 0.5], [1, 0.5], 15, "a correctness is neither 0 nor 1"),
        ([0.5, 0.5], [1, np.nan], 15, "a correctness is neither 0 nor 1"),
        ([0.5, 0.5], [1], 15, "do not go with"),
        ([0.5], [1], 0, "at least 1 bin"),
    ],
)
def test_impossible_answers_are_refused(error, confidence, correct, bins, sentence):
    with pytest.raises(ValueError, match=sentence):
        error(confidence, correct, bins)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60), st.data())
def test_bins_of_parts_add_up_to_the_bins_of_the_whole(several, data):
    confidence, correct = np.array([c for c, _ in several]), np.array([a for _, a in several])
    cut = data.draw(st.integers(0, len(several)))
    parts = CalibrationBins.from_answers(confidence[:cut], correct[:cut]) + CalibrationBins.from_answers(
        confidence[cut:], correct[cut:]
    )
    assert parts.answers == len(several)
    assert parts.error() == pytest.approx(expected_calibration_error(confidence, correct), abs=1e-12)
    assert 0.0 <= parts.error() <= 1.0


def test_mean_of_errors_is_not_the_error_of_all_answers():
    first, second = CalibrationBins.from_answers([0.9], [1]), CalibrationBins.from_answers([0.9, 0.9, 0.9], [0, 0, 1])
    assert (first + second).error() == pytest.approx(abs(2 - 3.6) / 4)
    assert (first.error() + second.error()) / 2 != pytest.approx((first + second).error())


def test_bins_survive_pickling():
    bins = CalibrationBins.from_answers([0.3, 0.8], [1, 0])
    assert pickle.loads(pickle.dumps(bins)).error() == bins.error()


def test_different_numbers_of_bins_do_not_add_up():
    with pytest.raises(ValueError, match="10 and 15 bins do not add up"):
        CalibrationBins.from_answers([0.5], [1], 10) + CalibrationBins.from_answers([0.5], [1], 15)


@pytest.mark.parametrize(("number", "bins"), [(400, 10), (60, 15), (45, 15)])
def test_adaptive_ece_is_scikit_learns_quantile_curve(number, bins):
    p, answer = answers(number, number=number)
    confidence, correct = ras.confidence(p), ras.correctness(p, answer)
    accuracy_of_bin, confidence_of_bin = calibration_curve(correct, confidence, n_bins=bins, strategy="quantile")
    assert len(accuracy_of_bin) == bins
    assert adaptive_calibration_error(confidence, correct, bins) == pytest.approx(
        np.abs(accuracy_of_bin - confidence_of_bin).mean(), abs=1e-12
    )


def test_adaptive_ece_with_an_uneven_cut_by_hand():
    # Five answers in two bins: the three least sure, then two.
    error = adaptive_calibration_error([0.9, 0.2, 0.8, 0.4, 0.3], [1, 0, 0, 1, 0], bins=2)
    assert error == pytest.approx((abs(1 - 0.9) + abs(1 - 1.7)) / 5)


def test_adaptive_ece_with_fewer_answers_than_bins_takes_each_alone():
    assert adaptive_calibration_error([0.6, 0.9], [1, 0], bins=15) == pytest.approx((0.4 + 0.9) / 2)


def test_adaptive_ece_does_not_depend_on_the_order_of_equal_confidences():
    confidence = [0.5] * 4
    orders = [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1]]
    assert {adaptive_calibration_error(confidence, correct, bins=2) for correct in orders} == {0.0}


@pytest.mark.parametrize("options", [3, 6])
def test_brier_score_is_scikit_learns(options):
    p, answer = answers(options, options=options)
    theirs = brier_score_loss(answer, p, labels=range(options), scale_by_half=False)
    assert brier_score(p, answer).mean() == pytest.approx(theirs, abs=1e-12)


def test_brier_score_by_hand_and_at_its_ends():
    p = [[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    np.testing.assert_allclose(brier_score(p, [1, 0, 2]), [0.25 + 0.49 + 0.04, 0.0, 2.0])


def test_padding_adds_nothing_to_the_brier_score():
    assert brier_score([0.6, 0.4, 0.0, 0.0], 1) == pytest.approx(float(brier_score([0.6, 0.4], 1)))


def test_negative_log_likelihood_is_scikit_learns_log_loss():
    p, answer = answers(5)
    p = np.clip(p, 1e-6, None)
    p /= p.sum(axis=1, keepdims=True)
    assert negative_log_likelihood(p, answer).mean() == pytest.approx(log_loss(answer, p, labels=range(4)), abs=1e-9)


def test_negative_log_likelihood_stays_finite():
    values = negative_log_likelihood([[1.0, 0.0], [1.0, 0.0], [1.0 - 1e-300, 1e-300]], [0, 1, 1])
    np.testing.assert_allclose(values, [0.0, 708.3964185322641, 690.7755278982137])
    assert not np.signbit(values[0])


def test_one_answer_serves_all_conditions_of_a_sample():
    p, _ = answers(6, number=6)
    p, answer = p.reshape(2, 3, 4), np.array([3, 1])
    for score in (brier_score, negative_log_likelihood):
        values = score(p, answer)
        assert values.shape == (2, 3)
        for sample in range(2):
            for condition in range(3):
                assert values[sample, condition] == score(p[sample, condition], answer[sample])


@pytest.mark.parametrize("score", [brier_score, negative_log_likelihood])
def test_scores_of_an_invalid_condition_are_nan_and_an_impossible_answer_is_refused(score):
    assert np.isnan(score([np.nan, np.nan], 0))
    with pytest.raises(ValueError, match="not one of its sample's options"):
        score([0.5, 0.5], 2)
