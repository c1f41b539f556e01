"""RAS from votes, on the logits of 26 published models: bias, ranking, coverage; and what it must not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau
from vote_runs import real_distributions, run_of_votes, true_ras

from benchc_metrics.metrics.registry import METRICS, METRICS_OF_VOTES, headline_metrics
from benchc_metrics.metrics.sums import metrics_of_run
from benchc_metrics.metrics.votes import ras_of_votes
from benchc_metrics.report.document import render_report
from benchc_metrics.runs import run_of_log_likelihoods
from benchc_metrics.statistics.estimates import check_comparable, estimate


@pytest.fixture(scope="module")
def real() -> tuple[np.ndarray, np.ndarray]:
    return real_distributions()


@pytest.mark.parametrize(("number", "most_bias", "least_tau"), [(16, 0.012, 0.80), (32, 0.006, 0.84)])
def test_ras_of_votes_of_26_models_is_near_the_true_one_and_ranks_them_alike(
    real, number, most_bias, least_tau
) -> None:
    distributions, answers = real
    random = np.random.default_rng(number)
    truth, found, plain = [], [], []
    for model in distributions:
        counts = random.multinomial(number, model)
        run = run_of_votes(counts, answers)
        truth.append(true_ras(model, answers))
        found.append(np.nanmean(ras_of_votes(run.votes, run.answers, run.option_counts, bootstraps=8).values))
        plain.append(true_ras(counts / number, answers))
    assert abs(np.mean(np.subtract(found, truth))) <= most_bias
    assert kendalltau(found, truth).statistic >= least_tau
    # The correction is needed: plain shares are biased several times as much.
    assert abs(np.mean(np.subtract(plain, truth))) > 2 * most_bias


def test_the_interval_holds_the_true_value_with_the_noise_of_the_votes_in_it(real) -> None:
    distributions, answers = real
    random = np.random.default_rng(5)
    held = []
    for draw in range(3):
        for model in distributions[draw::3]:
            for _ in range(3):
                chosen = random.integers(0, len(answers), 150)
                run = run_of_votes(random.multinomial(32, model[chosen]), answers[chosen])
                found = estimate(run, resamples=400).of("ras_votes")
                held.append(found.low <= true_ras(model, answers) <= found.high)
    assert np.mean(held) >= 0.90


def test_sure_votes_have_no_bias_and_give_ras_of_the_shares() -> None:
    counts = np.zeros((30, 4, 3), dtype=np.int64)
    counts[:, :, 1] = 16
    run = run_of_votes(counts, np.ones(30, dtype=np.int64))
    found = ras_of_votes(run.votes, run.answers, run.option_counts).values
    assert np.nanmax(np.abs(found[:, 0, :3])) < 0.02
    assert np.isnan(found[:, 0, 3:]).all()


def test_the_same_votes_give_the_same_bits_and_options_that_a_sample_lacks_change_nothing(real) -> None:
    distributions, answers = real
    counts = np.random.default_rng(3).multinomial(16, distributions[4][:80])
    run = run_of_votes(counts, answers[:80])
    first = ras_of_votes(run.votes, run.answers, run.option_counts)
    np.testing.assert_array_equal(ras_of_votes(run.votes, run.answers, run.option_counts).values, first.values)
    wider = np.concatenate([counts, np.zeros((80, 4, 2), dtype=np.int64)], axis=-1)
    padded = run_of_votes(wider, answers[:80])
    again = ras_of_votes(padded.votes, padded.answers, np.full(80, 4))
    assert abs(np.nanmean(again.values) - np.nanmean(first.values)) < 0.02


def test_votes_stand_beside_their_number_and_never_beside_probabilities(real) -> None:
    distributions, answers = real
    run = run_of_votes(np.random.default_rng(3).multinomial(16, distributions[4][:80]), answers[:80])
    unparsed = run.votes.clean_unparsed.copy()
    unparsed[:8] = 16
    clean = run.votes.clean.copy()
    clean[:8] = 0
    run = replace(run, votes=replace(run.votes, clean=clean, clean_unparsed=unparsed))
    found = metrics_of_run(run)
    assert found["votes"] == 16
    assert found["unparsed_votes"] == pytest.approx(8 / (80 * 4))
    assert found["unfinished_thinking"] == 0
    assert np.isnan(found["ras"])
    assert {"ras_votes", "votes", "unparsed_votes"} <= set(headline_metrics(run))
    assert "ras" not in headline_metrics(run)
    assert not METRICS_OF_VOTES.keys() & {*METRICS, *headline_metrics()}


def test_different_numbers_of_votes_are_compared_with_a_note(real) -> None:
    distributions, answers = real
    runs = []
    for number in (16, 32):
        run = run_of_votes(np.random.default_rng(3).multinomial(number, distributions[4][:40]), answers[:40])
        said = f"number={number} temperature=1.0 seed=0"
        runs.append(replace(run, metadata=replace(run.metadata, sampling=said)))
    (note,) = check_comparable(*runs)
    assert "number=16" in note
    assert "number=32" in note


def test_votes_are_not_compared_with_probabilities(real) -> None:
    distributions, answers = real
    with np.errstate(divide="ignore"):
        scored = run_of_log_likelihoods(np.log(distributions[4][:40]), answers[:40])
    voted = run_of_votes(np.random.default_rng(3).multinomial(16, distributions[4][:40]), answers[:40])
    with pytest.raises(ValueError, match="which are different quantities"):
        check_comparable(scored, voted)
    page = render_report([voted])
    assert "These runs have votes" in page
    assert "ras_votes" in page
