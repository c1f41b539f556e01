"""Tests of contrasts: means over samples that are 0 if nothing has an effect.

A claim of direction passes two tests, and its p-value is the larger of the two. *Student's t* over the samples asks
whether the mean would keep its sign over other samples. *Relabelling* asks whether the condition that was called clean
stands out: if nothing has an effect, each of a sample's conditions could be that one. Labels are compared by their t.
So the test is exact if nothing has an effect, and conditions that differ among themselves do not hide that the clean
one differs from all of them.

References
----------
Chung and Romano, Exact and asymptotically robust permutation tests, Annals of Statistics 41, 2013.
Besag and Clifford, Sequential Monte Carlo p-values, Biometrika 78, 1991.
Daniels, Tail probability approximations, International Statistical Review 55, 1987 (Lugannani and Rice's formula).
Robinson, Saddlepoint approximations for permutation tests, Journal of the Royal Statistical Society B 44, 1982.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, exp, expm1, inf, log, nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit

from benchc_metrics.statistics.estimates import Estimate
from benchc_metrics.statistics.rates import rate_bounds
from benchc_metrics.statistics.resampling import CONFIDENCE_LEVEL, SEED, raw_words

__all__ = ["Contrast", "flipped_tail", "mean_estimate", "relabelled_tail", "t_tail"]

Array = NDArray[np.float64]

_SAME = 1e-12
"""Contrasts that differ by less are the same: what is left of rounding."""

_DRAWS = 10_000
"""Draws of labels, if no smaller p-value is asked for."""

_DRAWS_A_LEVEL = 2
"""With this many draws for one over the level, one labelling as extreme as the observed one still passes it."""

_BLOCK_VALUES = 1 << 16
"""Labels drawn at once: few enough for a processor's cache."""

_EXCEEDANCES = 100
"""Drawing ends once this many labellings are as extreme: the p-value is then known to a tenth of itself."""

_SAME_RATIO = 1e-9
"""Values of t that differ by this share are the same."""

_MOST_STEPS = 100
"""More different steps than this between signs are no lattice."""

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
        coins decide about the signs.
    is_rate : bool
        Whether it is a difference of two shares, in [-1, 1], whose interval is never of width 0.
    """

    values: Array
    relabelled: Callable[[], Array] | None = None
    is_rate: bool = False

    def estimate(self, level: float = CONFIDENCE_LEVEL) -> Estimate:
        """Return the mean with its interval."""
        return mean_estimate(self.values, level, is_rate=self.is_rate)

    def t_tail(self, sign: int) -> float:
        """Return the p-value of the t test alone, which `tail` is never below."""
        return t_tail(sign * self.values)

    def tail(self, sign: int, level: float = 1.0, tests: int = 1) -> float:
        """Return the one-sided p-value of the claim that the mean lies above 0, or below.

        Parameters
        ----------
        sign : {1, -1}
            1 for above, -1 for below.
        level : float
            A p-value above this one need not be exact: it is then a lower limit that lies above `level` too.
        tests : int
            How many tests share the level: the p-value can be below `level / tests`.

        Returns
        -------
        float
            In [0, 1]; 1 where there are fewer than two samples.
        """
        of_t = self.t_tail(sign)
        if of_t > level or of_t == 1.0:
            return of_t
        if self.relabelled is None:
            return max(of_t, flipped_tail(sign * self.values))
        draws = max(_DRAWS, ceil(_DRAWS_A_LEVEL * tests / level))
        return max(of_t, relabelled_tail(sign * self.values, sign * self.relabelled(), draws))


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


def flipped_tail(values: Array) -> float:
    """Return the chance that random signs give a sum as large as the one observed.

    Parameters
    ----------
    values : ndarray of float64, shape (samples,)
        Each keeps its sign or changes it, both alike, independently of the others.

    Returns
    -------
    float
        In [0, 1]; 1 where the sum is not above 0, whatever the exact chance is then.

    Notes
    -----
    The generating function of the sum is a product over samples, so that its tail is had from one root: no level is too
    small for a number of resamples. Only where no value is negative is the chance exact; elsewhere the relative error
    is of order 1 / samples. All signs have the same sum of squares, so that the test of the sum is that of t.
    """
    moving = values[np.abs(values) > _SAME]
    if moving.sum() <= _SAME:
        return 1.0
    scaled = moving / sqrt(float((moving**2).sum()))
    if scaled.min() > 0:
        return float(np.exp2(-len(scaled)))
    return _saddlepoint_tail(np.abs(scaled), float(scaled.sum()))


def relabelled_tail(values: Array, relabelled: Array, draws: int = _DRAWS) -> float:
    """Return the chance that random labels give a value of t as large as the one observed.

    Parameters
    ----------
    values : ndarray of float64, shape (samples,)
    relabelled : ndarray of float64, shape (samples, labels)
        Each sample takes one of its labels, all alike, independently of the others; nan where it has no such label.
    draws : int
        Of labels for all samples, at most.

    Returns
    -------
    float
        In (0, 1], never below 1 / (draws + 1) (Phipson and Smyth 2010); 1 where the sum is not above 0, whatever the
        exact chance is then. The same for the same arguments.
    """
    moving = np.nanmax(np.abs(relabelled), axis=1, initial=0.0) > _SAME
    observed = values[moving]
    if observed.sum() <= _SAME:
        return 1.0
    # t rises with the sum over the root of the sum of squares.
    needed = float(observed.sum()) / sqrt(float((observed**2).sum())) * (1 - _SAME_RATIO)
    # Missing labels come last in a row.
    labels = np.sort(relabelled[moving], axis=1)
    # A random word of 32 bits times this is a label; exact, as no product needs more than 53 bits.
    scale = np.count_nonzero(~np.isnan(labels), axis=1) / 2.0**32
    first, flat = np.arange(len(labels)) * labels.shape[1], labels.ravel()
    block = -(-_BLOCK_VALUES // len(labels))
    stream = np.random.Philox(key=SEED)
    made = extreme = 0
    while made < draws and extreme < _EXCEEDANCES:
        number = min(block, draws - made)
        words = raw_words(stream, number * len(labels), np.dtype("<u4")).reshape(number, -1)
        drawn = flat.take((words * scale).astype(np.intp) + first)
        sums, squares = drawn.sum(axis=1), np.einsum("ij,ij->i", drawn, drawn)
        extreme += int(np.count_nonzero(sums >= needed * np.sqrt(squares)))
        made += number
    return (extreme + 1) / (made + 1)


def _standard_error(values: Array) -> float:
    return float(values.std(ddof=1)) / sqrt(len(values))


def _span(sizes: Array) -> float:
    """Return the step of which all steps between two signs are multiples; 0 where there is none."""
    steps = np.unique(np.round(2 * sizes, 9))
    steps = steps[steps > 1e-9]
    if not 0 < steps.size <= _MOST_STEPS:
        return 0.0
    multiples = steps / steps[0]
    return float(steps[0]) if np.abs(multiples - np.round(multiples)).max() < 1e-6 else 0.0


def _saddlepoint_tail(sizes: Array, observed: float) -> float:
    """Tail by Lugannani and Rice's formula; `observed` lies between 0, the mean, and the largest possible sum."""

    def cumulants(at: float) -> tuple[float, float, float]:
        """Return the cumulant generating function and its first two derivatives."""
        slopes = np.tanh(at * sizes)
        # The logarithm of the hyperbolic cosine, without overflow.
        function = np.logaddexp(at * sizes, -at * sizes) - log(2)
        return float(function.sum()), float((sizes * slopes).sum()), float((sizes**2 * (1 - slopes**2)).sum())

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
    span = _span(sizes)
    slope = (-expm1(-span * at) / span if span else at) * sqrt(variance)
    if deviance < _NEAR_CENTRE or slope <= 0:
        return float(ndtr(-deviance))
    density = exp(-deviance * deviance / 2 - log(2 * np.pi) / 2)
    return float(min(max(ndtr(-deviance) + density * (1 / slope - 1 / deviance), 0.0), 1.0))
