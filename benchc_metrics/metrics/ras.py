"""The Robustness Alignment Score (RAS), what it is made of, and the patterns beside it.

For a sample with K options, the right one y, and an option distribution p:

- uncertainty `U(p) = -sum_k p_k ln p_k / ln K`, with 0 ln 0 = 0
- confidence `c(p) = max_k p_k`, prediction `argmax_k p_k` (the lowest index on a tie)
- correctness `a(p)` = 1 if the prediction is y, else 0
- calibration alignment `A(p)`, in one of the readings of `READINGS`

and for a pair of the clean p and the corrupted q, `RAS = (A(q) - A(p)) - |U(q) - U(p)|`.

Arrays are shaped as in `benchc_metrics.responses`. A distribution of nan, which an invalid condition has, gives nan
(and False, and the prediction -1).

References
----------
arXiv 2511.19032 (Bench-C) says what RAS is made of, its range and its split; the exact expression is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchc_metrics.benchmark import RAS_VERSION
from benchc_metrics.messages import close_to_it, quoted
from benchc_metrics.metrics.calibration import brier_score
from benchc_metrics.responses import answer_indices, option_counts

__all__ = [
    "DEFAULT_READING",
    "RAS_VERSION",
    "READINGS",
    "SAME",
    "PairPatterns",
    "Reading",
    "calibration_alignment",
    "confidence",
    "correctness",
    "destroyed",
    "erroneous_confidence",
    "flip",
    "hesitation",
    "patterns",
    "prediction",
    "robustness_alignment_score",
    "uncertainty",
]


Reading: TypeAlias = Literal["brier", "probability", "confidence", "certainty"]
"""Name of an expression for calibration alignment."""

READINGS: Mapping[Reading, str] = MappingProxyType(
    {
        "brier": "`1 - sum_k (p_k - [k = y])^2 / 2`, a proper scoring rule",
        "probability": "`p_y`",
        "confidence": "`1 - abs(a(p) - c(p))`, that of version 1",
        "certainty": "`1 - abs(a(p) - (1 - U(p)))`",
    }
)
"""The readings of the paper's calibration alignment, each with its formula; all of them lie in [0, 1].

The paper's public summary fixes what RAS is made of, its range and its split, and all four fit it.
"""

DEFAULT_READING: Reading = "brier"

SAME = 1e-9
"""Confidences and uncertainties that differ by no more are the same: another order of options moves them by 5e-17."""


class PairPatterns(NamedTuple):
    """The pattern of each pair; every field is an array of bool, False for an invalid pair.

    Attributes
    ----------
    erroneous_confidence : ndarray of bool
        Wrong under corruption, and confidence rose or stayed the same to `SAME`.
    hesitation : ndarray of bool
        Right under corruption, and uncertainty rose by more than `SAME`.
    flip : ndarray of bool
        The prediction changed.
    destroyed : ndarray of bool
        Right when clean, wrong under corruption.
    corrected : ndarray of bool
        Wrong when clean, right under corruption.
    """

    erroneous_confidence: NDArray[np.bool_]
    hesitation: NDArray[np.bool_]
    flip: NDArray[np.bool_]
    destroyed: NDArray[np.bool_]
    corrected: NDArray[np.bool_]


def uncertainty(p: ArrayLike, option_count: ArrayLike | None = None) -> NDArray[np.float64]:
    """Entropy of the option distribution over that of the uniform one, `-sum_k p_k ln p_k / ln K`.

    Parameters
    ----------
    p : array_like of float, shape (..., options)
        Option distributions; a padded option has the probability 0.
    option_count : array_like of int, optional
        Each sample's own K; the width of the options axis where it is not given.

    Returns
    -------
    ndarray of float64, shape (...)
        In [0, 1]: 0 for a certain model, 1 for a uniform distribution.

    Raises
    ------
    ValueError
        If an option count is below 2 or above the width of the options axis.
    """
    probabilities = np.asarray(p, dtype=np.float64)
    counts = option_counts(probabilities.shape, option_count)
    # ln 1 stands in for ln 0, so that 0 ln 0 is 0 while nan stays nan.
    logarithms = np.log(np.where(probabilities > 0, probabilities, 1.0))
    entropy = -np.einsum("...k,...k->...", probabilities, logarithms)
    # Rounding can leave the interval by an ulp, and RAS would leave its range with it.
    return np.asarray(np.clip(entropy / np.log(counts), 0.0, 1.0))


def confidence(p: ArrayLike) -> NDArray[np.float64]:
    """Probability of the most probable option, `max_k p_k`, in [1/K, 1].

    Parameters
    ----------
    p : array_like of float, shape (..., options)

    Returns
    -------
    ndarray of float64, shape (...)
    """
    return np.asarray(np.max(np.asarray(p, dtype=np.float64), axis=-1))


def prediction(p: ArrayLike) -> NDArray[np.int64]:
    """Index of the most probable option, the lowest index on a tie, and -1 where the distribution is nan.

    Parameters
    ----------
    p : array_like of float, shape (..., options)

    Returns
    -------
    ndarray of int64, shape (...)
    """
    probabilities = np.asarray(p, dtype=np.float64)
    return np.where(np.isnan(probabilities[..., 0]), -1, probabilities.argmax(axis=-1))


def correctness(p: ArrayLike, answer: ArrayLike) -> NDArray[np.float64]:
    """Return 1.0 where the prediction is the right option, 0.0 where it is not, nan where the distribution is nan.

    Parameters
    ----------
    p : array_like of float, shape (..., options)
    answer : array_like of int
        Index of the right option, one entry a sample (see `benchc_metrics.responses`).

    Returns
    -------
    ndarray of float64, shape (...)

    Raises
    ------
    ValueError
        If an answer is not an integer, or none of the options.
    """
    probabilities = np.asarray(p, dtype=np.float64)
    predicted = prediction(probabilities)
    return np.where(predicted < 0, np.nan, predicted == answer_indices(probabilities.shape, answer))


def calibration_alignment(
    p: ArrayLike, answer: ArrayLike, option_count: ArrayLike | None = None, reading: Reading = DEFAULT_READING
) -> NDArray[np.float64]:
    """Measure how well a distribution meets the right option.

    Parameters
    ----------
    p : array_like of float, shape (..., options)
    answer : array_like of int
        Index of the right option, one entry a sample.
    option_count : array_like of int, optional
        Each sample's own K, for the reading `certainty`.
    reading : {"brier", "probability", "confidence", "certainty"}
        See `READINGS`.

    Returns
    -------
    ndarray of float64, shape (...)
        In [0, 1]: 1 for a sure and right answer, 0 for a sure and wrong one.

    Raises
    ------
    ValueError
        If an answer is not an integer, or none of the options, or the reading is unknown.
    """
    if reading == "brier":
        return np.asarray(1.0 - brier_score(p, answer) / 2)
    if reading == "probability":
        return _probability_of_answer(p, answer)
    if reading == "confidence":
        return np.asarray(1.0 - np.abs(correctness(p, answer) - confidence(p)))
    if reading == "certainty":
        return np.asarray(1.0 - np.abs(correctness(p, answer) - (1.0 - uncertainty(p, option_count))))
    raise ValueError(
        f"reading {quoted(reading)} of RAS is none of {', '.join(READINGS)}{close_to_it(reading, READINGS)}"
    )


def robustness_alignment_score(
    clean: ArrayLike,
    corrupted: ArrayLike,
    answer: ArrayLike,
    option_count: ArrayLike | None = None,
    reading: Reading = DEFAULT_READING,
) -> NDArray[np.float64]:
    """RAS of each pair: the shift of calibration alignment less the size of the shift of uncertainty.

    Everything in this project that shows a RAS asks this function; another expression goes here.

    Parameters
    ----------
    clean : array_like of float, shape (..., options)
        Option distributions on the clean image; (samples, 1, options) serves all conditions of a sample.
    corrupted : array_like of float, shape (..., options)
        Option distributions under corruption, as many axes as `clean`.
    answer : array_like of int
        Index of the right option, one entry a sample.
    option_count : array_like of int, optional
        Each sample's own K; the width of the options axis where it is not given.
    reading : {"brier", "probability", "confidence", "certainty"}
        Of calibration alignment, see `READINGS`.

    Returns
    -------
    ndarray of float64, the leading shape of `clean` and `corrupted` together
        In [-2, 1]: 0 where the distribution did not change, negative where it degraded, positive only where
        calibration alignment improved by more than uncertainty moved; nan for an invalid pair.

    Raises
    ------
    ValueError
        If the shapes do not meet, an answer is none of the options, an option count is impossible, or the reading is
        unknown.

    Notes
    -----
    `dA - |dU|`, after arXiv 2511.19032; exact expression ours. The upper end of the range is attained by every reading,
    the lower one is the limit for many options by `probability` and `confidence`, and attained by `certainty`. The
    lowest score by `brier` is -1.814 for two options and -1.731 for four, and rises to -1.5 for many.
    """
    _check_pair(clean, corrupted)
    alignment_shift = calibration_alignment(corrupted, answer, option_count, reading) - calibration_alignment(
        clean, answer, option_count, reading
    )
    uncertainty_shift = uncertainty(corrupted, option_count) - uncertainty(clean, option_count)
    return np.asarray(alignment_shift - np.abs(uncertainty_shift))


def patterns(
    clean: ArrayLike, corrupted: ArrayLike, answer: ArrayLike, option_count: ArrayLike | None = None
) -> PairPatterns:
    """Sort each pair into the patterns of answers under corruption.

    Parameters
    ----------
    clean, corrupted, answer, option_count
        As in `robustness_alignment_score`.

    Returns
    -------
    PairPatterns
        Arrays of bool of the leading shape of `clean` and `corrupted` together. Their means over valid pairs are the
        rates that reports show.

    Raises
    ------
    ValueError
        As in `robustness_alignment_score`.
    """
    before, after = prediction(clean), prediction(corrupted)
    return PairPatterns(
        erroneous_confidence=erroneous_confidence(clean, corrupted, answer),
        hesitation=hesitation(clean, corrupted, answer, option_count),
        flip=flip(before, after),
        destroyed=destroyed(before, after, answer),
        corrected=destroyed(after, before, answer),
    )


def erroneous_confidence(clean: ArrayLike, corrupted: ArrayLike, answer: ArrayLike) -> NDArray[np.bool_]:
    """Mark the pairs that are wrong under corruption with confidence risen or equal.

    Parameters
    ----------
    clean, corrupted, answer
        As in `robustness_alignment_score`.

    Returns
    -------
    ndarray of bool
    """
    _check_pair(clean, corrupted)
    # A comparison with nan is False, so that an invalid pair shows no pattern.
    no_less_sure = confidence(corrupted) >= confidence(clean) - SAME
    return np.asarray((correctness(corrupted, answer) == 0) & no_less_sure)


def hesitation(
    clean: ArrayLike, corrupted: ArrayLike, answer: ArrayLike, option_count: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Mark the pairs that are right under corruption with uncertainty risen.

    Parameters
    ----------
    clean, corrupted, answer, option_count
        As in `robustness_alignment_score`.

    Returns
    -------
    ndarray of bool
    """
    _check_pair(clean, corrupted)
    risen = uncertainty(corrupted, option_count) > uncertainty(clean, option_count) + SAME
    return np.asarray((correctness(corrupted, answer) == 1) & risen)


def flip(clean: ArrayLike, corrupted: ArrayLike) -> NDArray[np.bool_]:
    """Mark the pairs whose prediction changed.

    Parameters
    ----------
    clean, corrupted : array_like of int
        Predictions, -1 where invalid.

    Returns
    -------
    ndarray of bool
    """
    before, after = np.asarray(clean), np.asarray(corrupted)
    return np.asarray((before != after) & (before >= 0) & (after >= 0))


def destroyed(clean: ArrayLike, corrupted: ArrayLike, answer: ArrayLike) -> NDArray[np.bool_]:
    """Mark the pairs that went from right to wrong; with clean and corrupted exchanged, the corrected ones.

    Parameters
    ----------
    clean, corrupted : array_like of int
        Predictions, -1 where invalid.
    answer : array_like of int
        Index of the right option, one entry a sample.

    Returns
    -------
    ndarray of bool
    """
    before, after = np.asarray(clean), np.asarray(corrupted)
    dimensions = max(before.ndim, after.ndim)
    right = np.asarray(answer).reshape(np.shape(answer) + (1,) * (dimensions - np.ndim(answer)))
    return np.asarray((before == right) & (after != right) & (after >= 0) & (before >= 0))


def _probability_of_answer(p: ArrayLike, answer: ArrayLike) -> NDArray[np.float64]:
    probabilities = np.asarray(p, dtype=np.float64)
    index = np.broadcast_to(answer_indices(probabilities.shape, answer), probabilities.shape[:-1])
    return np.asarray(np.take_along_axis(probabilities, index[..., np.newaxis], axis=-1)[..., 0])


def _check_pair(clean: ArrayLike, corrupted: ArrayLike) -> None:
    """Refuse a pair of different option axes, which broadcasting would let pass or misread."""
    clean_shape, corrupted_shape = np.shape(clean), np.shape(corrupted)
    if len(clean_shape) != len(corrupted_shape) or clean_shape[-1:] != corrupted_shape[-1:]:
        raise ValueError(
            f"clean distributions of shape {clean_shape} and corrupted ones of shape {corrupted_shape} do not pair: "
            "give both as many axes, and the same options"
        )
