"""Intervals of shares where too few samples differ for the bootstrap to say anything.

A resample holds nothing that the samples do not: if all answers are right, all resamples are, and the bootstrap's
interval has no width. Wilson's interval for a share of so many samples takes its place there.

References
----------
Wilson, Probable inference, the law of succession, and statistical inference, 1927. Donner and Zou, Closed-form
confidence intervals for functions of the normal mean and standard deviation, 2012 (differences from single intervals).
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["FEW", "rate_bounds", "wilson"]

Array = NDArray[np.float64]

_SAME = 1e-9

FEW = 5
"""Where fewer samples than this differ from the others, the interval is at least as wide as Wilson's."""


def wilson(share: ArrayLike, samples: ArrayLike, level: float) -> tuple[Array, Array]:
    """Return Wilson's interval of a share.

    Parameters
    ----------
    share : array_like of float
        In [0, 1]. A mean of values in [0, 1] is allowed: it varies at most as much as a share does.
    samples : array_like of int
        At least 1.
    level : float
        In (0, 1).

    Returns
    -------
    low, high : ndarray of float64
        In [0, 1].

    Examples
    --------
    >>> [round(float(bound), 3) for bound in wilson(1.0, 36, 0.95)]
    [0.904, 1.0]
    """
    at, number = np.asarray(share, dtype=np.float64), np.asarray(samples, dtype=np.float64)
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (at + z * z / (2 * number)) / (1 + z * z / number)
    reach = z / (1 + z * z / number) * np.sqrt(at * (1 - at) / number + (z / (2 * number)) ** 2)
    return np.clip(centre - reach, 0.0, 1.0), np.clip(centre + reach, 0.0, 1.0)


def rate_bounds(
    values: Array, low: ArrayLike, high: ArrayLike, level: float, *, are_differences: bool
) -> tuple[Array, Array]:
    """Widen intervals of means of shares, or of differences of shares, where too few samples differ.

    Parameters
    ----------
    values : ndarray of float64, shape (samples, ...)
        In [0, 1], or in [-1, 1] for differences; nan where a sample does not count.
    low, high : array_like of float64, shape (...)
        The intervals of the means.
    level : float
    are_differences : bool

    Returns
    -------
    low, high : ndarray of float64, shape (...)
        Unchanged where at least `FEW` samples differ from the commonest end (0 or 1; 0, 1 or -1 for differences), and
        where no sample counts.
    """
    # The samples last and contiguous, so that the order of adding does not depend on the other axes.
    by_sample = np.ascontiguousarray(np.moveaxis(values, 0, -1))
    counted = ~np.isnan(by_sample)
    numbers = np.maximum(counted.sum(axis=-1), 1)
    ends = (0.0, 1.0, -1.0) if are_differences else (0.0, 1.0)
    # An end is reached within the rounding of a mean over conditions.
    at_end = np.max([np.count_nonzero(np.abs(by_sample - end) < _SAME, axis=-1) for end in ends], axis=0)
    few = counted.any(axis=-1) & (counted.sum(axis=-1) - at_end < FEW)
    above, below = (np.where(side > 0, side, 0.0).sum(axis=-1) / numbers for side in (by_sample, -by_sample))
    low_above, high_above = wilson(above, numbers, level)
    if are_differences:
        low_below, high_below = wilson(below, numbers, level)
        mean = above - below
        low_above = mean - np.hypot(above - low_above, high_below - below)
        high_above = mean + np.hypot(high_above - above, below - low_below)
    return np.where(few, np.fmin(low, low_above), low), np.where(few, np.fmax(high, high_above), high)
