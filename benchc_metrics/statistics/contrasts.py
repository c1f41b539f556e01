"""Tests of contrasts: means over samples that are 0 if nothing has an effect.

A claim of direction passes two tests, and its p-value is the larger of the two. *Student's t* over the samples asks
whether the mean would keep its sign over other samples. *Relabelling* asks whether the condition that was called clean
stands out: if nothing has an effect, each of a sample's conditions could be that one. Neither needs a resample, so that
no level is too small for them: the tail of the relabelling distribution is computed by a saddlepoint approximation.

References
----------
Daniels, Tail probability approximations, International Statistical Review 55, 1987 (Lugannani and Rice's formula).
Robinson, Saddlepoint approximations for permutation tests, Journal of the Royal Statistical Society B 44, 1982.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, expm1, inf, log, nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit

from benchc_metrics.statistics.estimates import Estimate
from benchc_metrics.statistics.rates import rate_bounds
from benchc_metrics.statistics.resampling import CONFIDENCE_LEVEL

__all__ = ["Contrast", "mean_estimate", "relabelled_tail", "sign_flips", "t_tail"]

Array = NDArray[np.float64]

_SAME = 1e-12
"""Contrasts that differ by less are the same: what is left of rounding."""

_MOST_STEPS = 100
"""More different steps than this between labels are no lattice."""

_ITERATIONS = 60
_NEAR_CENTRE = 1e-3
"""Below this root of the deviance the formula of Lugannani and Rice divides 0 by 0; the normal tail stands in."""


@dataclass(frozen=True, eq=False)
class Contrast:
    """A contrast of each sample, and what it would be under other labels.

    Attributes
    ----------
    values : ndarray of float64, shape (samples,)
        The samples that count; mean 0 if nothing has an effect.
    relabelled : callable, optional
        Returns the values under each label, shape (samples, labels), nan where a sample has no such label. Without it
        the labels are two and change the sign.
    is_rate : bool
        Whether it is a difference of two shares, in [-1, 1], whose interval is never of width 0.
    """

    values: Array
    relabelled: Callable[[], Array] | None = None
    is_rate: bool = False

    def estimate(self, level: float = CONFIDENCE_LEVEL) -> Estimate:
        """Return the mean with its interval."""
        return mean_estimate(self.values, level, is_rate=self.is_rate)

    def tail(self, sign: int, level: float = 1.0) -> float:
        """Return the one-sided p-value of the claim that the mean lies above 0, or below.

        Parameters
        ----------
        sign : {1, -1}
            1 for above, -1 for below.
        level : float
            A p-value above this one need not be exact: it is then a lower limit that lies above `level` too.

        Returns
        -------
        float
            In [0, 1]; 1 where there are fewer than two samples.
        """
        of_t = t_tail(sign * self.values)
        if of_t > level:
            return of_t
        relabelled = sign_flips(self.values) if self.relabelled is None else self.relabelled()
        return max(of_t, relabelled_tail(sign * self.values, sign * relabelled))


def mean_estimate(values: Array, level: float = CONFIDENCE_LEVEL, *, is_rate: bool = False) -> Estimate:
    """Estimate a mean over samples with Student's interval.

    Parameters
    ----------
    values : ndarray of float64, shape (samples,)
    level : float
    is_rate : bool
        Whether the values are differences of two shares; see `benchc_metrics.statistics.rates.rate_bounds`.

    Returns
    -------
    Estimate
        nan bounds for fewer than two samples.
    """
    if not len(values):
        return Estimate(nan, nan, nan)
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, nan, nan)
    reach = float(stdtrit(len(values) - 1, (1 + level) / 2)) * _standard_error(values)
    low, high = mean - reach, mean + reach
    if is_rate:
        low, high = (
            float(bound[0]) for bound in rate_bounds(values[:, np.newaxis], low, high, level, are_differences=True)
        )
    return Estimate(mean, low, high)


def t_tail(values: Array) -> float:
    """Return the p-value of the t test that a mean is not above 0; 1 for fewer than two samples."""
    if len(values) < 2:
        return 1.0
    mean, error = float(values.mean()), _standard_error(values)
    if error <= _SAME * abs(mean):
        return 0.0 if mean > _SAME else 1.0
    return float(stdtr(len(values) - 1, -mean / error))


def sign_flips(values: Array) -> Array:
    """Return both labels of contrasts that change their sign when the labels change places."""
    return np.stack([values, -values], axis=1)


def relabelled_tail(values: Array, relabelled: Array) -> float:
    """Return the chance that random labels give a sum as large as the one observed.

    Parameters
    ----------
    values : ndarray of float64, shape (samples,)
    relabelled : ndarray of float64, shape (samples, labels)
        Each sample takes one of its labels, all alike, independently of the others; nan where it has no such label.

    Returns
    -------
    float
        In [0, 1]; 1 where the sum is not above 0, whatever the exact chance is then.

    Notes
    -----
    The generating function of the sum is a product over samples, so that its tail is had from one root. Only where all
    samples have their largest value is the chance exact; elsewhere the relative error is of order 1 / samples.
    """
    moving = np.nanmax(np.abs(relabelled), axis=1, initial=0.0) > _SAME
    observed = float(values[moving].sum())
    if observed <= _SAME:
        return 1.0
    labels = relabelled[moving]
    scale = sqrt(float(np.nansum(np.nanmean(labels**2, axis=1))))
    labels, observed = labels / scale, observed / scale
    numbers = np.count_nonzero(~np.isnan(labels), axis=1)
    largest = np.nanmax(labels, axis=1)
    if observed >= float(largest.sum()) - _SAME * len(labels):
        shares = np.count_nonzero(labels >= largest[:, np.newaxis] - _SAME, axis=1) / numbers
        return float(np.exp(np.log(shares).sum()))
    span = _span(labels, largest)
    return _saddlepoint_tail(np.where(np.isnan(labels), -inf, labels), numbers, largest, observed, span)


def _standard_error(values: Array) -> float:
    return float(values.std(ddof=1)) / sqrt(len(values))


def _span(labels: Array, largest: Array) -> float:
    """Return the step of which all steps between a sample's labels are multiples; 0 where there is none."""
    steps = np.unique(np.round(largest[:, np.newaxis] - labels, 9))
    steps = steps[steps > 1e-9]
    if not 0 < steps.size <= _MOST_STEPS:
        return 0.0
    multiples = steps / steps[0]
    return float(steps[0]) if np.abs(multiples - np.round(multiples)).max() < 1e-6 else 0.0


def _saddlepoint_tail(labels: Array, numbers: NDArray[np.intp], largest: Array, observed: float, span: float) -> float:
    """Tail by Lugannani and Rice's formula; `observed` lies between 0, the mean, and the largest possible sum."""

    def cumulants(at: float) -> tuple[float, float, float]:
        """Return the cumulant generating function and its first two derivatives."""
        weights = np.exp(at * (labels - largest[:, np.newaxis]))
        total = weights.sum(axis=1)
        finite = np.where(np.isneginf(labels), 0.0, labels)
        mean = (weights * finite).sum(axis=1) / total
        variance = (weights * finite**2).sum(axis=1) / total - mean**2
        function = at * float(largest.sum()) + float(np.log(total / numbers).sum())
        return function, float(mean.sum()), float(variance.sum())

    low, high, at = 0.0, inf, observed
    for _ in range(_ITERATIONS):
        function, mean, variance = cumulants(at)
        if abs(mean - observed) <= 1e-9 * observed:
            break
        low, high = (at, high) if mean < observed else (low, at)
        newton = at + (observed - mean) / variance if variance > 0 else inf
        at = newton if low < newton < high else 2 * at if high == inf else (low + high) / 2
    deviance = sqrt(max(2 * (at * observed - function), 0.0))
    # Daniels, equation 4.11: sums on a lattice reach the observed one with more than the chance of passing it.
    slope = (-expm1(-span * at) / span if span else at) * sqrt(variance)
    if deviance < _NEAR_CENTRE or slope <= 0:
        return float(ndtr(-deviance))
    density = exp(-deviance * deviance / 2 - log(2 * np.pi) / 2)
    return float(min(max(ndtr(-deviance) + density * (1 / slope - 1 / deviance), 0.0), 1.0))
