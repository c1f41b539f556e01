"""Standard metrics of calibration: expected calibration error (ECE), Brier score, negative log-likelihood.

Arrays are shaped as in `benchc_metrics.responses`; an ECE is a metric of a whole set of answers, the other two are
metrics of each answer.

References
----------
Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (equal-width bins). Nixon et al., Measuring Calibration
in Deep Learning, CVPR workshops 2019 (equal-mass bins). Brier, Monthly Weather Review 78, 1950 (its multi-class form).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchc_metrics.responses import answer_indices

__all__ = [
    "DEFAULT_BINS",
    "CalibrationBins",
    "adaptive_calibration_error",
    "brier_score",
    "expected_calibration_error",
    "negative_log_likelihood",
]

DEFAULT_BINS = 15

_SMALLEST_PROBABILITY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, eq=False)
class CalibrationBins:
    """Sums over the answers of each confidence bin: all that an ECE needs, and they add up.

    The bins of a group of tasks are the sum of the tasks' bins, so its ECE is that of all its answers together, which
    no mean of the tasks' ECEs is.

    Attributes
    ----------
    count : ndarray of int64, shape (bins,)
        Number of answers.
    confidence_sum, correctness_sum : ndarray of float64, shape (bins,)
        Sums of their confidences and of their correctness (0 or 1).
    """

    count: NDArray[np.int64]
    confidence_sum: NDArray[np.float64]
    correctness_sum: NDArray[np.float64]

    @classmethod
    def from_answers(cls, confidence: ArrayLike, correct: ArrayLike, bins: int = DEFAULT_BINS) -> CalibrationBins:
        """Sort answers into bins of equal width; no answers at all give empty bins.

        Bin i holds confidences in [i / bins, (i + 1) / bins), and the last one also holds exactly 1.

        Parameters
        ----------
        confidence : array_like of float, any shape
            In [0, 1].
        correct : array_like of bool, int or float, the shape of `confidence`
            1 for a right answer, 0 for a wrong one.
        bins : int, default 15

        Returns
        -------
        CalibrationBins

        Raises
        ------
        ValueError
            If the shapes differ, a confidence lies outside [0, 1], a correctness is neither 0 nor 1, or `bins` is
            below 1.
        """
        confidences, corrects = _checked_answers(confidence, correct, bins)
        # Correctly rounded edges k / bins, with no edge at 1: a confidence of 1 needs no bin of its own.
        bin_of_answer = np.searchsorted(np.arange(1, bins) / bins, confidences, side="right")
        return cls(
            count=np.bincount(bin_of_answer, minlength=bins).astype(np.int64),
            confidence_sum=np.bincount(bin_of_answer, weights=confidences, minlength=bins).astype(np.float64),
            correctness_sum=np.bincount(bin_of_answer, weights=corrects, minlength=bins).astype(np.float64),
        )

    def __add__(self, other: CalibrationBins) -> CalibrationBins:
        """Bins of both sets of answers together.

        Raises
        ------
        ValueError
            If the numbers of bins differ.
        """
        if self.count.shape != other.count.shape:
            raise ValueError(f"{self.count.size} and {other.count.size} bins do not add up: use the same number")
        return CalibrationBins(
            self.count + other.count,
            self.confidence_sum + other.confidence_sum,
            self.correctness_sum + other.correctness_sum,
        )

    @property
    def answers(self) -> int:
        """Number of answers in all bins."""
        return int(self.count.sum())

    def error(self) -> float:
        """ECE of the answers, `sum_b n_b / N |accuracy_b - confidence_b|`, in [0, 1].

        Raises
        ------
        ValueError
            If there are no answers.
        """
        if not self.answers:
            raise ValueError("a calibration error needs at least one answer, and the bins are empty")
        # n_b cancels in each term, so that an empty bin divides nothing by zero.
        return float(np.abs(self.correctness_sum - self.confidence_sum).sum() / self.answers)


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = DEFAULT_BINS) -> float:
    """ECE with bins of equal width, `sum_b n_b / N |accuracy_b - confidence_b|`.

    Parameters
    ----------
    confidence : array_like of float, any shape
        In [0, 1].
    correct : array_like of bool, int or float, the shape of `confidence`
        1 for a right answer, 0 for a wrong one.
    bins : int, default 15

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If there are no answers, or as in `CalibrationBins.from_answers`.
    """
    return CalibrationBins.from_answers(confidence, correct, bins).error()


def adaptive_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = DEFAULT_BINS) -> float:
    """ECE with bins of equal mass: the answers in order of confidence, cut into parts of equal number.

    Parameters
    ----------
    confidence : array_like of float, any shape
        In [0, 1].
    correct : array_like of bool, int or float, the shape of `confidence`
        1 for a right answer, 0 for a wrong one.
    bins : int, default 15
        Where the answers do not divide evenly, the first bins hold one more; with fewer answers than bins each answer
        is its own bin.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If there are no answers, or as in `CalibrationBins.from_answers`.

    Notes
    -----
    Top-label calibration, as the ECE above; Nixon et al. average it over the classes. Answers of exactly equal
    confidence share their mean correctness, so that a cut between them does not depend on the order of the answers.
    """
    confidences, corrects = _checked_answers(confidence, correct, bins)
    if not confidences.size:
        raise ValueError("a calibration error needs at least one answer, and there is none")
    _, level, answers_of_level = np.unique(confidences, return_inverse=True, return_counts=True)
    shared_correctness = (np.bincount(level, weights=corrects) / answers_of_level)[level]
    gap = (shared_correctness - confidences)[np.argsort(confidences)]
    return float(sum(abs(part.sum()) for part in np.array_split(gap, bins)) / gap.size)


def brier_score(p: ArrayLike, answer: ArrayLike) -> NDArray[np.float64]:
    """Brier score of each answer, multi-class: `sum_k (p_k - [k = y])^2`.

    Parameters
    ----------
    p : array_like of float, shape (..., options)
        Option distributions; a padded option has the probability 0 and adds nothing.
    answer : array_like of int
        Index of the right option, one entry a sample.

    Returns
    -------
    ndarray of float64, shape (...)
        In [0, 2]: 0 for a sure and right answer, 2 for a sure and wrong one; nan where the distribution is nan.

    Raises
    ------
    ValueError
        If an answer is not an integer, or none of the options.
    """
    probabilities = np.asarray(p, dtype=np.float64)
    right = answer_indices(probabilities.shape, answer)[..., np.newaxis]
    difference = probabilities - (np.arange(probabilities.shape[-1]) == right)
    return np.asarray(np.einsum("...k,...k->...", difference, difference))


def negative_log_likelihood(p: ArrayLike, answer: ArrayLike) -> NDArray[np.float64]:
    """Negative log-likelihood of each right option, `-ln p_y`, in nats.

    Parameters
    ----------
    p : array_like of float, shape (..., options)
        Option distributions.
    answer : array_like of int
        Index of the right option, one entry a sample.

    Returns
    -------
    ndarray of float64, shape (...)
        In [0, 708.4]; nan where the distribution is nan.

    Raises
    ------
    ValueError
        If an answer is not an integer, or none of the options.

    Notes
    -----
    A probability is taken as no smaller than the smallest normal float64, 2.2e-308: an answer that a model holds to be
    impossible costs 708.4 nats and leaves a mean finite, where infinity would hide all other answers.
    """
    probabilities = np.asarray(p, dtype=np.float64)
    index = np.broadcast_to(answer_indices(probabilities.shape, answer), probabilities.shape[:-1])
    right = np.take_along_axis(probabilities, index[..., np.newaxis], axis=-1)[..., 0]
    return np.asarray(np.abs(np.log(np.maximum(right, _SMALLEST_PROBABILITY))))


def _checked_answers(
    confidence: ArrayLike, correct: ArrayLike, bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Confidences and correctness as flat float64 arrays, checked."""
    confidences, corrects = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if bins < 1:
        raise ValueError(f"a calibration error needs at least 1 bin, not {bins}")
    if confidences.shape != corrects.shape:
        raise ValueError(f"confidences of shape {confidences.shape} do not go with answers of shape {corrects.shape}")
    if not np.all((confidences >= 0) & (confidences <= 1)):
        raise ValueError("a confidence lies outside 0 to 1, or is nan: leave out the answers of invalid conditions")
    if not np.all((corrects == 0) | (corrects == 1)):
        raise ValueError("a correctness is neither 0 nor 1: give 1 for a right answer and 0 for a wrong one")
    return confidences.ravel(), corrects.ravel()
