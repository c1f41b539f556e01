from __future__ import annotations

import hashlib
import time
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from run_folders import made_run
from threadpoolctl import threadpool_limits

import benchc_metrics.statistics.resampling as statistics
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.views import corruption_views, severity_views, whole_run
from benchc_metrics.statistics.estimates import estimate
from benchc_metrics.statistics.resampling import (
    bootstrap_intervals,
    holm,
    on_exact_grid,
    paired_comparison,
    resample_counts,
    swaps,
)


def figures(sums):
    """A mean, a ratio and a sum of absolute sums, of the terms count, a, b, c, d."""
    count, a, b, c, d = (sums[..., place] for place in range(5))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([a / count, b / a, (np.abs(c) + np.abs(d)) / count], axis=-1)


def terms_of(samples, seed=0):
    draw = np.random.default_rng(seed)
    a = draw.gamma(2.0, size=samples)
    return np.column_stack([np.ones(samples), a, a * draw.random(samples), draw.normal(0.3, 1, (samples, 2))])


@pytest.mark.parametrize(("ours", "theirs"), [("bca", "BCa"), ("basic", "basic")])
@pytest.mark.parametrize("samples", [7, 30, 200])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_intervals_are_those_of_scipy_on_the_same_resamples(ours, theirs, samples, level):
    terms = terms_of(samples, seed=samples)
    found = bootstrap_intervals(terms, figures, methods=ours, resamples=999, seed=3, level=level)
    resampled = figures(resample_counts(samples, 999, 3).astype(float) @ terms)
    np.testing.assert_allclose(found.estimate, figures(terms.sum(axis=0)), rtol=1e-12)
    for place in range(3):
        oracle = scipy.stats.bootstrap(
            (np.arange(samples),),
            lambda rows, place=place: figures(terms[np.asarray(rows, dtype=int)].sum(axis=0))[place],
            n_resamples=0,
            bootstrap_result=SimpleNamespace(bootstrap_distribution=resampled[:, place]),
            method=theirs,
            confidence_level=level,
            vectorized=False,
        )
        low, high = oracle.confidence_interval
        # Ours never leaves its own estimate out, where scipy's can.
        assert found.low[place] == pytest.approx(min(low, found.estimate[place]), rel=1e-9)
        assert found.high[place] == pytest.approx(max(high, found.estimate[place]), rel=1e-9)


def test_intervals_agree_with_scipys_own_resamples():
    terms = terms_of(60)
    found = bootstrap_intervals(terms, figures, resamples=10_000)
    for place in range(2):
        oracle = scipy.stats.bootstrap(
            (np.arange(60),),
            lambda rows, place=place: figures(terms[np.asarray(rows, dtype=int)].sum(axis=0))[place],
            n_resamples=4000,
            method="BCa",
            vectorized=False,
            rng=np.random.default_rng(1),
        )
        low, high = oracle.confidence_interval
        width = high - low
        assert found.low[place] == pytest.approx(low, abs=0.08 * width)
        assert found.high[place] == pytest.approx(high, abs=0.08 * width)


def test_intervals_hold_the_truth_as_often_as_they_say():
    draw = np.random.default_rng(0)
    held = np.zeros(2)
    for _ in range(300):
        a = draw.gamma(2.0, size=80)
        terms = np.column_stack([np.ones(80), a, a * draw.random(80), np.zeros((80, 2))])
        found = bootstrap_intervals(terms, figures, resamples=600, seed=int(draw.integers(1 << 30)))
        held += (found.low[:2] <= [2.0, 0.5]) & (found.high[:2] >= [2.0, 0.5])
    # A share of 0.95 in 300 draws strays by 0.04 once in a thousand times.
    assert np.all(held / 300 > 0.91)
    assert np.all(held / 300 < 0.99)


def gap_figure(sums):
    return np.abs(sums[..., 1:]).sum(axis=-1, keepdims=True) / sums[..., :1]


def gap_noise(sums, total):
    return gap_figure(np.concatenate([sums[..., :1], sums[..., 1:] - total[..., 1:]], axis=-1))


def test_an_interval_of_noise_begins_at_the_smallest_value():
    draw = np.random.default_rng(5)
    gaps = draw.normal(0, 0.4, (100, 8)) * (draw.random((100, 8)) < 0.3)
    settings = {"methods": "basic", "bounds": (0.0, 1.0), "resamples": 2000}
    noise_only = np.column_stack([np.ones(100), gaps])
    assert bootstrap_intervals(noise_only, gap_figure, **settings, noise=gap_noise).low == 0
    real = np.column_stack([np.ones(100), gaps + 0.1])
    with_rule = bootstrap_intervals(real, gap_figure, **settings, noise=gap_noise)
    without = bootstrap_intervals(real, gap_figure, **settings)
    assert with_rule.low == without.low > 0.3


@given(st.integers(1, 400), st.integers(0, 1 << 40))
def test_resamples_draw_as_many_as_there_are(samples, seed):
    counts = resample_counts(samples, 20, seed)
    assert counts.shape == (20, samples)
    assert np.all(counts.sum(axis=1, dtype=np.int64) == samples)


def test_resamples_draw_every_sample_alike():
    counts = resample_counts(50, 20_000, 1)
    # Each entry is binomial(50, 1/50): mean 1, variance 0.98.
    assert scipy.stats.chisquare(counts.sum(axis=0, dtype=np.int64)).pvalue > 1e-3
    assert counts.var() == pytest.approx(0.98, rel=0.01)
    assert np.corrcoef(counts[:, 0], counts[:, 1])[0, 1] == pytest.approx(-1 / 49, abs=0.03)


def test_resamples_are_the_same_on_every_machine_and_version():
    digest = hashlib.sha256(resample_counts(849, 200, statistics.SEED).astype("<u2").tobytes()).hexdigest()
    assert digest[:16] == "46eb3bb21243dcf3"
    digest = hashlib.sha256(np.packbits(swaps(849, 200, statistics.SEED)[0]).tobytes()).hexdigest()
    assert digest[:16] == "7aafd6558e344a84"


def test_another_seed_draws_others():
    assert not np.array_equal(resample_counts(50, 20, 1), resample_counts(50, 20, 2))
    assert not np.array_equal(swaps(50, 20, 1)[0], swaps(50, 20, 2)[0])


@given(st.integers(0, 1 << 30), st.floats(-300, 300))
def test_sums_on_the_grid_do_not_depend_on_their_order(seed, exponent):
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(200, 3)) * 10.0**exponent
    exact = on_exact_grid(values, 200)
    np.testing.assert_allclose(exact, values, rtol=0, atol=200 * 1e-15 * np.abs(values).max())
    weights = resample_counts(200, 5, seed).astype(float)
    products = [
        (weights[:, order, np.newaxis] * exact[order]).cumsum(axis=1)[:, -1]
        for order in (np.arange(200), draw.permutation(200), draw.permutation(200))
    ]
    assert np.array_equal(products[0], products[1])
    assert np.array_equal(products[0], products[2])


def test_the_bits_do_not_depend_on_threads_or_blocks(monkeypatch):
    first, second = (PairValues.of_run(made_run(150, noise=noise)) for noise in (0.4, 0.5))
    views = severity_views(first.run)

    def bits():
        from benchc_metrics.statistics.estimates import compare

        found = estimate(first, views, resamples=500)
        compared = compare(first, second, views, resamples=500)
        return b"".join(values.tobytes() for values in (*found.intervals, *compared.comparison))

    digests = set()
    for threads in (1, 2, 4):
        with threadpool_limits(threads):
            digests.add(bits())
    monkeypatch.setattr(statistics, "_BLOCK_VALUES", 5000)
    digests.add(bits())
    assert len(digests) == 1


def test_a_figure_that_is_undefined_has_no_interval():
    terms = np.zeros((10, 5))
    terms[:, 0] = 1
    found = bootstrap_intervals(terms, figures, resamples=200)
    assert np.isnan([found.estimate[1], found.low[1], found.high[1]]).all()
    assert (found.estimate[0], found.low[0], found.high[0]) == (0, 0, 0)


def test_a_figure_that_most_resamples_lack_has_no_interval():
    # Only one of ten samples counts: some 35 % of the resamples leave it out, and of 40 samples with one, the same.
    terms = np.zeros((10, 2))
    terms[0] = 1

    def ratio(sums):
        with np.errstate(divide="ignore", invalid="ignore"):
            return sums[..., :1] / sums[..., 1:]

    found = bootstrap_intervals(terms, ratio, resamples=500)
    assert (found.low, found.high) == (1, 1)

    def rarely(sums):
        return np.where(sums[..., 1:] == 1, sums[..., :1], np.nan)

    rare = bootstrap_intervals(terms, rarely, resamples=500)
    assert rare.estimate == 1
    assert np.isnan(rare.low)
    assert np.isnan(rare.high)


def test_views_are_computed_each_for_itself():
    terms = np.stack([terms_of(40, seed) for seed in range(6)], axis=1)
    together = bootstrap_intervals(terms, figures, resamples=300)
    for view in range(6):
        alone = bootstrap_intervals(terms[:, view], figures, resamples=300)
        for of_all, of_one in zip(together, alone, strict=True):
            assert np.array_equal(of_all[view], of_one)


@given(st.integers(1, 30), st.integers(0, 1 << 30))
def test_an_interval_holds_its_estimate_within_the_bounds(samples, seed):
    terms = terms_of(samples, seed)
    found = bootstrap_intervals(terms, figures, methods=("bca", "bca", "basic"), bounds=(0, [9, 1, 9]), resamples=50)
    defined = ~np.isnan(found.low)
    assert np.all((found.low <= found.estimate)[defined])
    assert np.all((found.estimate <= found.high)[defined])
    assert np.all((found.low >= 0)[defined])


@pytest.mark.parametrize(
    ("terms", "resamples", "reason"),
    [
        (np.zeros((0, 3)), 100, "no sample"),
        (np.full((3, 2), np.nan), 100, "nan or infinity"),
        (np.ones((3, 2)), 1, "at least 2"),
    ],
)
def test_what_gives_no_interval_is_refused(terms, resamples, reason):
    with pytest.raises(ValueError, match=reason):
        bootstrap_intervals(terms, lambda sums: sums, resamples=resamples)


@pytest.mark.parametrize("samples", [4, 7, 10])
def test_p_values_are_those_of_scipys_exact_test(samples):
    first, second = terms_of(samples, 1), terms_of(samples, 2)
    second[:, 1] += 0.4
    found = paired_comparison(first, second, figures, resamples=2**samples)
    rows = np.concatenate([first, second])
    for place in range(3):
        oracle = scipy.stats.permutation_test(
            (np.arange(samples), np.arange(samples, 2 * samples)),
            lambda a, b, place=place: (
                figures(rows[np.asarray(a, dtype=int)].sum(axis=0))[place]
                - figures(rows[np.asarray(b, dtype=int)].sum(axis=0))[place]
            ),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=False,
        )
        assert found.p_value[place] == pytest.approx(oracle.pvalue, abs=1e-12)
        assert found.difference[place] == pytest.approx(oracle.statistic, rel=1e-9)


def test_random_permutations_come_near_the_exact_test():
    first, second = terms_of(13, 1), terms_of(13, 4)
    exact = paired_comparison(first, second, figures, resamples=2**13).p_value
    drawn = paired_comparison(first, second, figures, resamples=2**13 - 1).p_value
    assert not np.array_equal(exact, drawn)
    np.testing.assert_allclose(drawn, exact, atol=4 * np.sqrt(0.25 / 2**13))


def test_the_interval_of_a_difference_is_that_of_the_differences():
    first, second = terms_of(50, 1), terms_of(50, 2)
    compared = paired_comparison(first, second, lambda sums: sums[..., 1:2] / sums[..., :1], resamples=999)
    paired = np.column_stack([np.ones(50), first[:, 1] - second[:, 1]])
    alone = bootstrap_intervals(paired, lambda sums: sums[..., 1:2] / sums[..., :1], resamples=999)
    np.testing.assert_allclose([compared.low, compared.high], [alone.low, alone.high], rtol=1e-9)


def test_runs_that_are_equal_do_not_differ():
    found = paired_comparison(terms_of(40), terms_of(40), figures, resamples=300)
    assert np.all(found.difference == 0)
    assert np.all(found.low == 0)
    assert np.all(found.high == 0)
    assert np.all(found.p_value == 1)


def test_the_smallest_p_value_is_not_zero():
    found = paired_comparison(terms_of(40), terms_of(40) + np.array([0, 9, 0, 0, 0]), figures, resamples=999)
    assert found.p_value[0] == 1 / 1000


def test_p_values_are_small_as_often_as_they_say():
    draw = np.random.default_rng(2)
    small = 0
    for _ in range(400):
        pairs = draw.normal(size=(2, 30, 1)) + draw.normal(size=(30, 1))
        with_count = [np.column_stack([np.ones(30), run]) for run in pairs]
        found = paired_comparison(
            *with_count, lambda sums: sums[..., 1:] / sums[..., :1], resamples=199, seed=int(draw.integers(1 << 30))
        )
        small += int(found.p_value[0] <= 0.05)
    # Binomial(400, 0.05): between 7 and 36 but for three times in ten thousand.
    assert 7 <= small <= 36


def test_samples_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_comparison(terms_of(5), terms_of(6), figures, resamples=100)


def test_all_assignments_are_listed_where_they_are_few():
    chosen, is_exhaustive = swaps(3, 8, 0)
    assert is_exhaustive
    assert {tuple(row) for row in chosen.tolist()} == {(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)}
    chosen, is_exhaustive = swaps(3, 7, 0)
    assert not is_exhaustive
    assert chosen.shape == (7, 3)


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        # p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") in R
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        ([0.03, 0.01], [0.03, 0.02]),
        ([0.9, 0.8], [1.0, 1.0]),
        ([0.01, np.nan, 0.04], [0.02, np.nan, 0.04]),
        ([], []),
    ],
)
def test_holm_examples(p_values, adjusted):
    np.testing.assert_allclose(holm(p_values), adjusted)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.001, 0.5))
def test_holm_rejects_as_the_step_down_procedure_does(p_values, alpha):
    rejected = set()
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        if p_values[place] * (len(p_values) - step) > alpha:
            break
        rejected.add(place)
    assert set(np.flatnonzero(holm(p_values) <= alpha).tolist()) == rejected


def test_holm_takes_families_side_by_side():
    p_values = np.random.default_rng(0).random((7, 3))
    for column in range(3):
        assert np.array_equal(holm(p_values)[:, column], holm(p_values[:, column]))


def test_ten_thousand_resamples_of_a_run_take_seconds_and_little_memory():
    pairs = PairValues.of_run(made_run(849))
    started = time.perf_counter()
    found = estimate(pairs, resamples=10_000)
    assert time.perf_counter() - started < 5
    assert found.intervals.low.shape == (1, 20)
    tracemalloc.start()
    estimate(pairs, (whole_run(pairs.run), *corruption_views(pairs.run)), resamples=10_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 << 20
