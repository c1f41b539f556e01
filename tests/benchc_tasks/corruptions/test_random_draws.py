"""The generator: moments, tails and serial correlation on ten million draws, and what is built from its words."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from benchc_tasks.corruptions import random_draws
from benchc_tasks.corruptions.random_draws import Key

MANY = 10_000_000
KEY = Key.of(2026, "test")


def assert_no_serial_correlation(values: np.ndarray) -> None:
    """At lags that matter in an image: neighbours, channels, rows of usual widths; 4.5 standard errors each."""
    centred = (values - values.mean()) / values.std()
    for lag in (1, 2, 3, 4, 7, 16, 64, 224 * 3, 512 * 3, 1024 * 3, 4096, 65536):
        correlation = float(np.mean(centred[:-lag] * centred[lag:], dtype=np.float64))
        assert abs(correlation) < 4.5 / math.sqrt(len(values) - lag), lag


def test_words_are_uniform() -> None:
    words = random_draws.words(MANY, KEY)
    for shift in (0, 8, 16, 24):
        counts = np.bincount((words >> np.uint32(shift)) & np.uint32(255), minlength=256)
        assert stats.chisquare(counts).pvalue > 1e-4
    bits = np.array([np.mean((words >> np.uint32(bit)) & np.uint32(1)) for bit in range(32)])
    assert np.abs(bits - 0.5).max() < 4.5 * 0.5 / math.sqrt(MANY)
    pairs = np.bincount((words[:-1] >> np.uint32(26)) * np.uint32(64) + (words[1:] >> np.uint32(26)), minlength=4096)
    assert stats.chisquare(pairs).pvalue > 1e-4


def test_neighbouring_keys_are_unrelated() -> None:
    streams = [random_draws.normals((1_000_000,), Key(low, high)) for low, high in ((0, 0), (1, 0), (0, 1), (2, 0))]
    correlations = np.corrcoef(streams) - np.eye(len(streams))
    assert np.abs(correlations).max() < 4.5 / 1000


def test_uniforms() -> None:
    uniforms = random_draws.uniforms((MANY,), KEY)
    assert uniforms.min() >= 0
    assert uniforms.max() < 1
    assert abs(uniforms.mean(dtype=np.float64) - 0.5) < 4.5 / math.sqrt(12 * MANY)
    assert abs(uniforms.var(dtype=np.float64) - 1 / 12) < 4.5 / math.sqrt(180 * MANY)
    assert stats.kstest(uniforms[:1_000_000].astype(np.float64), "uniform").pvalue > 1e-3
    assert_no_serial_correlation(uniforms)


def test_normal_moments() -> None:
    normals = random_draws.normals((MANY,), KEY).astype(np.float64)
    error = 1 / math.sqrt(MANY)
    assert abs(normals.mean()) < 4.5 * error
    assert abs(np.mean(normals**2) - 1) < 4.5 * math.sqrt(2) * error
    assert abs(np.mean(normals**3)) < 4.5 * math.sqrt(15) * error
    assert abs(np.mean(normals**4) - 3) < 4.5 * math.sqrt(96) * error
    assert stats.kstest(normals[:1_000_000], "norm").pvalue > 1e-3


def test_normal_tails() -> None:
    normals = random_draws.normals((MANY,), KEY)
    for bound in (1.0, 2.0, 3.0, 4.0, 4.5, 5.0):
        probability = NormalDist().cdf(-bound)
        expected, error = MANY * probability, math.sqrt(MANY * probability)
        assert abs(np.count_nonzero(normals > bound) - expected) < 4.5 * error + 1
        assert abs(np.count_nonzero(normals < -bound) - expected) < 4.5 * error + 1
    assert 5.0 < np.abs(normals).max() < 6.4


def test_normals_have_no_serial_correlation() -> None:
    normals = random_draws.normals((MANY,), KEY)
    assert_no_serial_correlation(normals)
    assert_no_serial_correlation(np.abs(normals))


def test_quantiles_do_not_depend_on_the_c_library() -> None:
    """Another C library may be off by some units in the 16th digit: too little to round to another float32."""
    table = random_draws._normal_table()
    quantile = NormalDist().inv_cdf
    for level, row in enumerate(table):
        for cell in range(len(row)):
            exact = quantile((cell * 2.0 ** (19 - 6 * level) + 0.5) / 2.0**32)
            lower, upper = np.nextafter(row[cell], np.float32(-9)), np.nextafter(row[cell], np.float32(9))
            for other in (lower, upper):
                edge = (float(row[cell]) + float(other)) / 2
                assert abs(exact - edge) > 1e-14 * abs(exact)


@pytest.mark.parametrize("photons", [3, 60])
def test_poisson_counts(photons: int) -> None:
    for level in (0, 1, 100, 255):
        counts = random_draws.poisson_counts(np.full(1_000_000, level, np.uint8), KEY, photons)
        mean = level * photons / 255
        outcomes = np.arange(128)
        expected = stats.poisson.pmf(outcomes, mean) * counts.size
        common = expected >= 10
        found = np.bincount(counts, minlength=128)[:128]
        observed = np.append(found[common], found[~common].sum())
        wanted = np.append(expected[common], counts.size - expected[common].sum())
        if level == 0:
            assert not counts.any()
        else:
            assert np.sum((observed - wanted) ** 2 / wanted) < stats.chi2.ppf(1 - 1e-4, len(wanted) - 1)


@pytest.mark.parametrize("reach", [1, 2, 3, 4])
def test_shifts(reach: int) -> None:
    across, down = random_draws.shifts((1_000_000,), KEY, reach)
    joint = np.bincount((across.astype(int) + reach) * 2 * reach + down + reach, minlength=4 * reach * reach)
    assert len(joint) == 4 * reach * reach
    assert stats.chisquare(joint).pvalue > 1e-4


def test_a_draw_depends_on_its_position_alone() -> None:
    assert np.array_equal(random_draws.normals((10_000,), KEY)[:5_000], random_draws.normals((5_000,), KEY))
    assert np.array_equal(random_draws.words(9, KEY), random_draws.words(4097, KEY)[:9])
