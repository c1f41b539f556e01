"""Fit one temperature for a run on its clean answers, to compute tempered RAS.

Log-likelihoods divided by a temperature give flatter distributions (above 1) or sharper ones (below 1), and the same
predictions. If all log-likelihoods of a model are close together, its RAS is near 0 under any corruption, so a flat
model looks robust. After division by its own temperature, each model is as sure as its clean answers justify, and RAS
does not depend on the scale of its log-likelihoods.

References
----------
Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (temperature scaling).
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchc_metrics.responses.distributions import answer_indices, option_distribution

__all__ = ["FLATTEST", "SHARPEST", "Bound", "Temperature", "fit_temperature", "log_temperature_step", "nll_slopes"]

SHARPEST, FLATTEST = 0.02, 50.0
"""Bounds of a temperature, in units of the median gap of the clean answers between the best option and another one.

They scale with the log-likelihoods, so a temperature at a bound is as invariant as any other.
"""

_LARGEST_STEP = 1.0

Bound: TypeAlias = Literal["sharpest", "flattest"]


_NOTES: dict[Bound, str] = {
    "sharpest": "The temperature is at its lower bound, because the clean answers are all right: tempered RAS is that "
    "of answers that are almost certain.",
    "flattest": "The temperature is at its upper bound, because the clean answers are not better than chance: the "
    "tempered answers are nearly uniform, and tempered RAS is near 0 under any corruption.",
}


class Temperature(NamedTuple):
    """A fitted temperature.

    Attributes
    ----------
    value : float
        The positive divisor of log-likelihoods; nan if no clean answer is valid.
    bound : {"sharpest", "flattest"} or None
        The bound that was reached: "sharpest" if all clean answers are right, "flattest" if they are not better than
        chance.
    """

    value: float
    bound: Bound | None = None

    @property
    def note(self) -> str:
        """A sentence on the bound that was reached; empty without a bound."""
        return _NOTES[self.bound] if self.bound else ""


def fit_temperature(log_likelihoods: ArrayLike, answer: ArrayLike) -> Temperature:
    """Fit the temperature of clean answers, which minimises the mean negative log-likelihood.

    Parameters
    ----------
    log_likelihoods : array_like of float, shape (samples, options)
        In nats; -inf pads a sample with fewer options, nan marks an invalid answer.
    answer : array_like of int, shape (samples,)
        Index of each sample's right option.

    Returns
    -------
    Temperature
        If log-likelihoods are multiplied by a constant, so is the temperature. It is 1 if no temperature changes a
        distribution, for example if every answer has the probability 1.

    Raises
    ------
    ValueError
        If an answer is not an integer, or not one of the options.

    Notes
    -----
    The negative log-likelihood is convex in 1 / T, and its only minimum is where its slope is 0. If the right option of
    an answer has the probability 0, it has it at every temperature, so the answer does not count.
    """
    # Imported here, because most commands do not need it.
    from scipy.optimize import brentq

    gaps, of_answer = _gaps(log_likelihoods, answer)
    behind = gaps[np.isfinite(gaps) & (gaps < 0)]
    counted = np.isfinite(of_answer)
    if not len(gaps):
        return Temperature(float("nan"))
    if not behind.size or not counted.any():
        return Temperature(1.0)
    unit = -float(np.median(behind))
    gaps, of_answer = gaps[counted] / unit, of_answer[counted] / unit

    def slope(log_sharpness: float) -> float:
        return float((_moments(gaps, float(np.exp(log_sharpness)))[0] - of_answer).mean())

    flattest, sharpest = -np.log(FLATTEST), -np.log(SHARPEST)
    if slope(flattest) >= 0:
        return Temperature(unit * FLATTEST, "flattest")
    if slope(sharpest) <= 0:
        return Temperature(unit * SHARPEST, "sharpest")
    return Temperature(unit / float(np.exp(brentq(slope, flattest, sharpest, xtol=1e-14))))


def nll_slopes(
    log_likelihoods: ArrayLike, answer: ArrayLike, temperature: Temperature
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Differentiate each clean answer's negative log-likelihood twice by the logarithm of the temperature.

    Parameters
    ----------
    log_likelihoods, answer
        As in `fit_temperature`.
    temperature : Temperature
        The temperature of these answers.

    Returns
    -------
    slope, curvature : ndarray of float64, shape (samples,)
        The slopes sum to 0. They are 0 for an answer that does not count, and all 0 at a bound, which resampling does
        not move.
    """
    scores = np.asarray(log_likelihoods, dtype=np.float64)
    slope, curvature = np.zeros(len(scores)), np.zeros(len(scores))
    gaps, of_answer = _gaps(scores, answer)
    counted = np.isfinite(of_answer)
    if temperature.bound is None and counted.any():
        mean, variance = _moments(gaps[counted] / temperature.value, 1.0)
        excess = mean - of_answer[counted] / temperature.value
        places = np.flatnonzero(~np.isnan(scores[:, 0]))[counted]
        slope[places], curvature[places] = -excess, variance + excess
    return slope, curvature


def log_temperature_step(slope: NDArray[np.float64], curvature: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the change of the logarithm of the temperature from all samples to a resample.

    Parameters
    ----------
    slope, curvature : ndarray of float64
        Sums of `nll_slopes` over the resample.

    Returns
    -------
    ndarray of float64
        One step of Newton's method, at most 1; 0 if the resample gives no information.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(curvature > 0, -slope / curvature, 0.0)
    return np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)


def _gaps(log_likelihoods: ArrayLike, answer: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the log-likelihoods of the valid answers minus the largest of each, and those of the right options."""
    scores = np.asarray(log_likelihoods, dtype=np.float64)
    right = answer_indices(scores.shape, answer)
    valid = ~np.isnan(scores[:, 0])
    gaps = scores[valid] - scores[valid].max(axis=-1, keepdims=True)
    return gaps, np.take_along_axis(gaps, right[valid][:, np.newaxis], axis=-1)[:, 0]


def _moments(gaps: NDArray[np.float64], sharpness: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of each answer's gaps under its distribution, shape (samples,)."""
    p = option_distribution(gaps * sharpness)
    finite = np.where(np.isfinite(gaps), gaps, 0.0)
    mean = np.einsum("sk,sk->s", p, finite)
    return mean, np.einsum("sk,sk->s", p, (finite - mean[:, np.newaxis]) ** 2)
