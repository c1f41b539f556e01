"""Intervals and tests for metrics that are functions of sums over samples.

Every metric of a run is a function of sums over its samples: a mean is a sum over a count, a relative drop a ratio of
sums, an expected calibration error a sum of absolute sums. A resample only changes how often each sample enters the
sums, so that all resamples of all metrics come from one matrix product of resample counts and what the samples add.

Only whole samples are resampled or swapped: the answers of one sample under its many conditions depend on one another.

Results are the same bits whatever the number of threads, the machine or the version of numpy. Random numbers are raw
output of Philox, whose stream numpy guarantees; and products run on values rounded to a grid so coarse that no sum
rounds (`on_exact_grid`), so that the order in which a BLAS adds does not matter.

References
----------
Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 14 (percentile and BCa intervals).
Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2.1 (basic interval).
Phipson and Smyth, Permutation p-values should never be zero, 2010. Holm, A simple sequentially rejective multiple test
procedure, 1979.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from benchc_metrics.metrics.registry import IntervalMethod
from benchc_metrics.statistics.rates import rate_bounds

__all__ = [
    "CONFIDENCE_LEVEL",
    "FEW_SAMPLES",
    "RESAMPLES",
    "SEED",
    "STRETCH",
    "Comparison",
    "Intervals",
    "Statistic",
    "bootstrap_intervals",
    "holm",
    "interval_of_distribution",
    "on_exact_grid",
    "paired_comparison",
    "raw_words",
    "resample_counts",
    "swaps",
]

CONFIDENCE_LEVEL = 0.95
FEW_SAMPLES = 100
"""With fewer samples, a BCa interval of a skewed mean holds the truth in less than 93 %."""

STRETCH = 1.25
"""How much wider than the plain basic interval those of calibration errors are.

An estimated calibration error is biased, by more or less than the resamples say; docs/statistics.md has how often plain
and stretched intervals held the truth.
"""

RESAMPLES = 10_000
SEED = 20251119

Statistic: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From sums (..., terms) to metrics (..., metrics), leading axes one by one; nan where a metric is undefined."""

Noise: TypeAlias = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""From sums of resamples (resamples, ..., terms) and of the samples as they are (..., terms) to what the metrics with a
basic interval would be if they were nothing but resampling noise (resamples, ..., metrics)."""

_BASIC = ("basic", "basic-stretched")
# What a block of resamples may take in float64; some small multiple of it is the peak.
_BLOCK_VALUES = 1 << 21
# scipy.stats.permutation_test's own tolerance: values that differ by rounding only are the same.
_SAME = 1e-14 * 100


class Intervals(NamedTuple):
    """Metrics with their bootstrap intervals.

    Attributes
    ----------
    estimate : ndarray of float64, shape (..., metrics)
        The metrics of the samples as they are; nan where undefined.
    low, high : ndarray of float64, shape (..., metrics)
        Bounds of the interval, `low <= estimate <= high`; nan where the metric, or more than half of its resamples, is
        undefined.
    """

    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Comparison(NamedTuple):
    """The differences of two runs' metrics over the same samples, first less second.

    Attributes
    ----------
    difference : ndarray of float64, shape (..., metrics)
    low, high : ndarray of float64, shape (..., metrics)
        Bounds of the paired bootstrap interval of the difference.
    p_value : ndarray of float64, shape (..., metrics)
        Two-sided, of the sign-flip permutation test; in (0, 1], nan where the difference is undefined.
    """

    difference: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p_value: NDArray[np.float64]


def bootstrap_intervals(
    terms: NDArray[np.float64],
    statistic: Statistic,
    *,
    methods: IntervalMethod | tuple[IntervalMethod, ...] = "bca",
    bounds: tuple[ArrayLike, ArrayLike] = (-np.inf, np.inf),
    noise: Noise | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = CONFIDENCE_LEVEL,
) -> Intervals:
    """Bootstrap intervals of metrics that are functions of sums over samples.

    Parameters
    ----------
    terms : ndarray of float64, shape (samples, ..., terms)
        What each sample adds to each sum. The axes in between are views (a corruption, a severity, ...), each with
        metrics of its own.
    statistic : callable
        From sums of shape (..., terms) to metrics of shape (..., metrics).
    methods : {"bca", "bca-student", "bca-wilson", "basic", "basic-stretched"}, or one for each metric
        See Notes. "bca-wilson" is for means over samples of values in [0, 1].
    bounds : pair of array_like of float, shape () or (metrics,)
        The metrics' smallest and largest possible values, which the bounds of an interval do not pass.
    noise : callable, optional
        See Notes; needs a finite smallest value for the metrics that have a basic interval.
    resamples, seed : int
    level : float
        In (0, 1).

    Returns
    -------
    Intervals
        Arrays of shape (..., metrics).

    Raises
    ------
    ValueError
        If there are no samples, `terms` holds nan or infinity, or there are fewer than 2 resamples.

    Notes
    -----
    BCa, not percentile: most metrics here are skewed (rates near 0 or 1) or ratios, where BCa's error falls with n and
    that of the percentile interval with sqrt(n); the jackknife that it needs costs nothing with sums. Basic (reflected)
    for expected calibration errors: a sum of absolute values grows by resampling noise, so that every resample can lie
    above the estimate; the basic interval takes that bias out where BCa's bias correction runs to infinity. Near the
    smallest value it takes out too little. So where `noise` is given, and the estimate is no larger than what noise
    alone reaches at the upper end of `level`, the interval begins at the smallest value. "basic-stretched" is
    `STRETCH` times as wide, see there.

    Few samples do not show how far others could lie. "bca-student" is at least as wide as Student's interval where
    fewer than `FEW_SAMPLES` have a part in the metric, and the whole range of the metric where it is one sample alone.
    "bca-wilson" is at least as wide as Wilson's where nearly all samples have the same end, see
    `benchc_metrics.statistics.rates`.
    """
    return _intervals(terms, statistic, methods, bounds, noise, resamples, seed, level, are_differences=False)


def paired_comparison(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    statistic: Statistic,
    *,
    methods: IntervalMethod | tuple[IntervalMethod, ...] = "bca",
    largest: ArrayLike = np.inf,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = CONFIDENCE_LEVEL,
) -> Comparison:
    """Compare the metrics of two runs over the same samples, first less second.

    Parameters
    ----------
    first, second : ndarray of float64, shape (samples, ..., terms)
        As in `bootstrap_intervals`; row i of both is the same sample.
    statistic, methods, resamples, seed, level
        As in `bootstrap_intervals`; `resamples` is also the number of permutations.
    largest : array_like of float, shape () or (metrics,)
        The largest possible differences, which the bounds of an interval do not pass.

    Returns
    -------
    Comparison
        Arrays of shape (..., metrics).

    Raises
    ------
    ValueError
        If the shapes differ, or as in `bootstrap_intervals`.

    Notes
    -----
    The interval resamples samples, the same ones for both runs. The p-value asks how often the difference is as large
    as the one observed, in either direction, if for each sample a coin decides which run gave which answers, all
    conditions of the sample together; for a mean that is the sign-flip test. It is exact where all 2^n assignments are
    no more than `resamples`, and (1 + count) / (1 + resamples) otherwise.
    """
    if first.shape != second.shape:
        raise ValueError(f"terms of shapes {first.shape} and {second.shape} cannot be paired: give the same samples")
    _check_terms(first, resamples)
    _check_terms(second, resamples)
    both = np.concatenate([first, second], axis=-1)
    width = first.shape[-1]

    def difference(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return statistic(sums[..., :width]) - statistic(sums[..., width:])

    bounds = (-np.asarray(largest), np.asarray(largest))
    intervals = _intervals(both, difference, methods, bounds, None, resamples, seed, level, are_differences=True)
    return Comparison(*intervals, _permutation_p_values(both, difference, resamples, seed))


@lru_cache(maxsize=2)
def resample_counts(samples: int, resamples: int, seed: int) -> NDArray[np.unsignedinteger]:
    """Draw how often each sample stands in each resample (n draws with replacement from n samples).

    Parameters
    ----------
    samples, resamples, seed : int

    Returns
    -------
    ndarray of unsigned int, shape (resamples, samples)
        Each row sums to `samples`. Kept for the next call, and so read-only.
    """
    counts = np.empty((resamples, samples), dtype=np.min_scalar_type(samples))
    stream = np.random.Philox(key=seed)
    for rows in _row_blocks(resamples, samples):
        height = rows.stop - rows.start
        # 32 random bits times n, shifted: an index whose bias is below n / 2^32.
        bits = raw_words(stream, height * samples, np.dtype("<u4")).astype(np.uint64)
        drawn = ((bits * np.uint64(samples)) >> np.uint64(32)).astype(np.int64).reshape(height, samples)
        drawn += samples * np.arange(height)[:, np.newaxis]
        counts[rows] = np.bincount(drawn.ravel(), minlength=height * samples).reshape(height, samples)
    counts.flags.writeable = False
    return counts


def swaps(samples: int, resamples: int, seed: int) -> tuple[NDArray[np.bool_], bool]:
    """Choose for which samples the two runs change places.

    Parameters
    ----------
    samples, resamples, seed : int

    Returns
    -------
    chosen : ndarray of bool, shape (permutations, samples)
        All 2^n assignments if they are no more than `resamples`, else `resamples` random ones.
    is_exhaustive : bool
    """
    if samples < 63 and 2**samples <= resamples:
        return (np.arange(2**samples)[:, np.newaxis] >> np.arange(samples) & 1).astype(bool), True
    # Another key than the bootstrap's: the two must not share their random numbers.
    bits = raw_words(np.random.Philox(key=seed + (1 << 64)), resamples * -(-samples // 8), np.dtype("u1"))
    unpacked = np.unpackbits(bits.reshape(resamples, -1), axis=1, count=samples, bitorder="little")
    return unpacked.astype(bool), False


def on_exact_grid(values: NDArray[np.float64], largest_weight: int) -> NDArray[np.float64]:
    """Round each column to a grid on which every weighted sum of it is exact in float64.

    Parameters
    ----------
    values : ndarray of float64, shape (samples, columns)
    largest_weight : int
        The largest sum of whole weights (of any sign) by which a column will be multiplied.

    Returns
    -------
    ndarray of float64, shape (samples, columns)
        Multiples of a power of two, a column its own, so small that |sum| / step < 2^53. The rounding is below
        1e-15 times `largest_weight` times the column's largest value.
    """
    largest = np.abs(values).max(axis=0, initial=0.0) * largest_weight
    step = np.exp2(np.ceil(np.log2(np.where(largest > 0, largest, 1.0))) - 52)
    return np.asarray(np.round(values / step) * step)


def interval_of_distribution(
    estimate: NDArray[np.float64],
    distribution: NDArray[np.float64],
    jackknife: NDArray[np.float64],
    methods: IntervalMethod | tuple[IntervalMethod, ...] = "bca",
    level: float = CONFIDENCE_LEVEL,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of bootstrap intervals, from the metrics of the resamples.

    Parameters
    ----------
    estimate : ndarray of float64, shape (metrics,)
    distribution : ndarray of float64, shape (metrics, resamples)
        nan where a metric is undefined on a resample, which then does not count.
    jackknife : ndarray of float64, shape (metrics, samples)
        The metrics with one sample left out.
    methods : {"bca", "bca-student", "bca-wilson", "basic", "basic-stretched"}, or one for each metric
        What few samples add is left out.
    level : float

    Returns
    -------
    low, high : ndarray of float64, shape (metrics,)
        nan where the estimate, or more than half of the resamples, is undefined. An interval always holds its
        estimate.
    """
    ordered = np.sort(distribution, axis=-1)
    defined = np.count_nonzero(~np.isnan(ordered), axis=-1)
    chosen = (methods,) * len(estimate) if isinstance(methods, str) else methods
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    bounds = np.full((len(estimate), 2), np.nan)
    for metric, method in enumerate(chosen):
        of_metric = ordered[metric, : defined[metric]]
        if np.isnan(estimate[metric]) or 2 * defined[metric] < distribution.shape[-1]:
            continue
        if method in _BASIC:
            bounds[metric] = 2 * estimate[metric] - _quantiles(of_metric, tails)[::-1]
            if method == "basic-stretched":
                bounds[metric] += (STRETCH - 1) / 2 * np.ptp(bounds[metric]) * np.array([-1.0, 1.0])
        else:
            bounds[metric] = _quantiles(of_metric, _bca_levels(estimate[metric], of_metric, jackknife[metric], tails))
    return np.minimum(bounds[:, 0], estimate), np.maximum(bounds[:, 1], estimate)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values for the number of tests in a family, by Holm's step-down method.

    Parameters
    ----------
    p_values : array_like of float, shape (tests, ...)
        One family along the first axis; nan stands for a test that was not made.

    Returns
    -------
    ndarray of float64, shape (tests, ...)
        Adjusted p-values: those of at most alpha can be rejected with a chance of at most alpha of any false
        rejection in the family. nan stays nan.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    tests = np.count_nonzero(~np.isnan(values), axis=0)
    ranks = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    scaled = np.minimum(np.maximum.accumulate(ordered * (tests - ranks), axis=0), 1.0)
    adjusted = np.empty_like(values)
    np.put_along_axis(adjusted, order, scaled, axis=0)
    return np.where(np.isnan(values), np.nan, adjusted)


def _check_terms(terms: NDArray[np.float64], resamples: int) -> None:
    if terms.ndim < 2 or not len(terms):
        raise ValueError(f"terms of shape {terms.shape} hold no sample: an interval needs at least one")
    if not np.isfinite(terms).all():
        raise ValueError(
            "terms hold nan or infinity: leave an undefined answer out of the sums, with a count beside it"
        )
    if resamples < 2:
        raise ValueError(f"{resamples} resamples give no interval: take at least 2")


def _view_blocks(terms: NDArray[np.float64], statistic: Statistic, resamples: int) -> Iterator[NDArray[np.float64]]:
    """Cut the views into blocks whose metrics on all resamples fit into memory, as (samples, views, terms)."""
    flat = terms.reshape(len(terms), -1, terms.shape[-1])
    metrics = statistic(flat[:1].sum(axis=0)).shape[-1]
    views = max(1, 2 * _BLOCK_VALUES // (metrics * resamples))
    for start in range(0, flat.shape[1], views):
        yield flat[:, start : start + views]


def _intervals(
    terms: NDArray[np.float64],
    statistic: Statistic,
    methods: IntervalMethod | tuple[IntervalMethod, ...],
    bounds: tuple[ArrayLike, ArrayLike],
    noise: Noise | None,
    resamples: int,
    seed: int,
    level: float,
    *,
    are_differences: bool,
) -> Intervals:
    _check_terms(terms, resamples)
    counts = resample_counts(len(terms), resamples, seed)
    parts = [
        _block_intervals(block, counts, statistic, noise, methods, level, are_differences=are_differences)
        for block in _view_blocks(terms, statistic, resamples)
    ]
    flat = (np.concatenate(values) for values in zip(*parts, strict=True))
    estimate, low, high = (values.reshape(*terms.shape[1:-1], -1) for values in flat)
    return Intervals(estimate, *_within(estimate, low, high, bounds))


def _block_intervals(
    terms: NDArray[np.float64],
    counts: NDArray[np.unsignedinteger],
    statistic: Statistic,
    noise: Noise | None,
    methods: IntervalMethod | tuple[IntervalMethod, ...],
    level: float,
    *,
    are_differences: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Estimates and bounds of a block of views, each of shape (views, metrics)."""
    samples, views, width = terms.shape
    exact = on_exact_grid(terms.reshape(samples, -1), samples).reshape(terms.shape)
    total = exact.sum(axis=0)
    estimate = statistic(total)
    metrics = estimate.shape[-1]
    one_each = (methods,) * metrics if isinstance(methods, str) else methods
    basic = [metric for metric, method in enumerate(one_each) if method in _BASIC]
    distribution = np.empty((views, metrics, len(counts)))
    of_noise = np.empty((views, len(basic) if noise else 0, len(counts)))
    for rows, flat_sums in _products(counts, exact.reshape(samples, -1)):
        sums = flat_sums.reshape(-1, views, width)
        distribution[..., rows] = np.moveaxis(statistic(sums), 0, -1)
        if noise:
            of_noise[..., rows] = np.moveaxis(noise(sums, total), 0, -1)
    jackknife = np.moveaxis(statistic(total - exact), 0, -1)
    low, high = interval_of_distribution(
        estimate.ravel(),
        distribution.reshape(views * metrics, -1),
        jackknife.reshape(views * metrics, -1),
        one_each * views,
        level,
    )
    low, high = low.reshape(estimate.shape), high.reshape(estimate.shape)
    student, wilson = (
        [metric for metric, method in enumerate(one_each) if method == f"bca-{name}"] for name in ("student", "wilson")
    )
    if student:
        widened = _at_least_student(
            estimate[:, student], jackknife[:, student], low[:, student], high[:, student], level
        )
        low[:, student], high[:, student] = widened
    if wilson:
        shares = statistic(exact)[..., wilson]
        widened = rate_bounds(shares, low[:, wilson], high[:, wilson], level, are_differences=are_differences)
        low[:, wilson], high[:, wilson] = widened
    if noise:
        # Noise that is undefined on a few resamples of a small part is none there.
        reach = np.quantile(np.nan_to_num(of_noise), (1 + level) / 2, axis=-1)
        is_noise = estimate[:, basic] <= reach
        # An undefined bound stays nan; the metric's smallest value takes the place of -inf.
        low[:, basic] -= np.where(is_noise, np.inf, 0.0)
    return estimate, low, high


def _at_least_student(
    estimate: NDArray[np.float64],
    jackknife: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    level: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Widen intervals of metrics in which few samples have a part; arrays (views, metrics), the jackknife by sample."""
    moves = jackknife != estimate[..., np.newaxis]
    having_part = np.count_nonzero(moves, axis=-1)
    others = jackknife.shape[-1] - 1
    # Contiguous, so that the order of adding does not depend on how many views stand in a block.
    left_out = np.ascontiguousarray(np.where(np.isnan(jackknife), estimate[..., np.newaxis], jackknife))
    spread = left_out.var(axis=-1) * others
    reach = stdtrit(np.maximum(having_part - 1, 1), (1 + level) / 2) * np.sqrt(spread)
    reach = np.where(having_part == 1, np.inf, np.where((having_part > 1) & (having_part < FEW_SAMPLES), reach, 0.0))
    return np.minimum(low, estimate - reach), np.maximum(high, estimate + reach)


def _permutation_p_values(
    both: NDArray[np.float64], difference: Statistic, resamples: int, seed: int
) -> NDArray[np.float64]:
    """Two-sided p-values of shape (..., metrics), from the terms of both runs side by side."""
    chosen, is_exhaustive = swaps(len(both), resamples, seed)
    parts = [
        _block_p_values(block, chosen, is_exhaustive, difference) for block in _view_blocks(both, difference, resamples)
    ]
    return np.concatenate(parts).reshape(*both.shape[1:-1], -1)


def _block_p_values(
    both: NDArray[np.float64], chosen: NDArray[np.bool_], is_exhaustive: bool, difference: Statistic
) -> NDArray[np.float64]:
    samples, views, width = both.shape
    half = width // 2
    # Both runs' columns of a term share one grid, so that their values can change places exactly.
    stacked = np.concatenate([both[..., :half], both[..., half:]])
    exact = on_exact_grid(stacked.reshape(2 * samples, -1), 2 * samples).reshape(2, samples, views, half)
    first, second = exact.sum(axis=1)
    observed = difference(np.concatenate([first, second], axis=-1))
    as_large = np.zeros(observed.shape, dtype=np.int64)
    defined = np.zeros(observed.shape, dtype=np.int64)
    for _, shift in _products(chosen, (exact[1] - exact[0]).reshape(samples, -1)):
        moved = shift.reshape(-1, views, half)
        swapped = difference(np.concatenate([first + moved, second - moved], axis=-1))
        as_large += np.count_nonzero(np.abs(swapped) >= np.abs(observed) * (1 - _SAME), axis=0)
        defined += np.count_nonzero(~np.isnan(swapped), axis=0)
    # The observed assignment is one of all of them, and is added to those that were drawn at random.
    p_value = as_large / np.maximum(defined, 1) if is_exhaustive else (as_large + 1) / (defined + 1)
    return np.where(np.isnan(observed), np.nan, np.minimum(p_value, 1.0))


def _products(
    weights: NDArray[np.unsignedinteger] | NDArray[np.bool_], columns: NDArray[np.float64]
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Blocks of the matrix product of whole weights (rows, samples) and exact columns (samples, columns).

    Equal columns are multiplied once: views share their clean answers, and many bins of confidence are empty.
    """
    places: dict[bytes, int] = {}
    place_of_column = [places.setdefault(column.tobytes(), len(places)) for column in columns.T]
    distinct = columns[:, np.unique(place_of_column, return_index=True)[1]]
    for rows in _row_blocks(len(weights), len(columns) + columns.shape[1]):
        yield rows, (weights[rows].astype(np.float64) @ distinct)[:, place_of_column]


def _row_blocks(rows: int, width: int) -> Iterator[slice]:
    height = max(1, _BLOCK_VALUES // max(width, 1))
    for start in range(0, rows, height):
        yield slice(start, min(start + height, rows))


def raw_words(stream: np.random.Philox, number: int, word: np.dtype[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """Take `number` words from a stream, in the same order on machines of either byte order."""
    raw = np.asarray(stream.random_raw(-(-number * word.itemsize // 8)), dtype="<u8")
    return raw.view(word)[:number]


def _bca_levels(
    estimate: float, ordered: NDArray[np.float64], jackknife: NDArray[np.float64], tails: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Levels at which BCa reads the bootstrap distribution (Efron and Tibshirani, equation 14.10)."""
    normal = NormalDist()
    below = np.searchsorted(ordered, estimate, side="left")
    at_most = np.searchsorted(ordered, estimate, side="right")
    # Half a resample stands in for none, which would send the bias correction to infinity.
    share = min(max((below + at_most) / 2, 0.5), len(ordered) - 0.5) / len(ordered)
    bias = normal.inv_cdf(share)
    left_out = jackknife[~np.isnan(jackknife)]
    influence = left_out.sum() / max(left_out.size, 1) - left_out
    spread = float(np.sum(influence**2)) ** 1.5
    acceleration = float(np.sum(influence**3)) / (6 * spread) if spread > 0 else 0.0
    shifted = [bias + normal.inv_cdf(tail) for tail in tails.tolist()]
    return np.array([normal.cdf(bias + at / (1 - acceleration * at)) for at in shifted])


def _quantiles(ordered: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles of sorted values, linear between neighbours, as numpy's default."""
    position = levels * (len(ordered) - 1)
    left = np.floor(position).astype(np.int64)
    right = np.minimum(left + 1, len(ordered) - 1)
    return np.asarray(ordered[left] + (position - left) * (ordered[right] - ordered[left]))


def _within(
    estimate: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    bounds: tuple[ArrayLike, ArrayLike],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut intervals at the metrics' own limits."""
    smallest, largest = (np.asarray(bound, dtype=np.float64) for bound in bounds)
    return np.minimum(np.maximum(low, smallest), estimate), np.maximum(np.minimum(high, largest), estimate)
