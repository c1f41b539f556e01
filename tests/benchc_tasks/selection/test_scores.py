from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from benchc_tasks.selection.answers import Tally, open_answers, tally_answers
from benchc_tasks.selection.scores import (
    COMBINED_WEIGHTS,
    INCONSISTENCY_WEIGHTS,
    Components,
    candidates_of,
    components_of,
    misfit_of,
    model_scores,
    rank_of,
    score_of,
)
from benchc_tasks.selection.selecting import check_seen, select_samples


def tally_of(world: Any, **settings: Any) -> Tally:
    return tally_answers(world.pool, open_answers([world.write_table("t.parquet", **settings)]))[0]


def made_up(count: int, seed: int = 0, **given: Any) -> Components:
    draw = np.random.default_rng(seed)
    values: dict[str, Any] = {
        "models": np.full(count, 3), "answers": np.full(count, 9), "accuracy": draw.random(count),
        "flip_rate": draw.random(count), "divergence": draw.random(count), "vote_entropy": draw.random(count),
        "discrimination": draw.normal(size=count), "covariance": draw.normal(size=count),
        "is_always_right": np.zeros(count, dtype=bool), "is_always_wrong": np.zeros(count, dtype=bool),
    }  # fmt: skip
    return Components(**{**values, **given})


def test_components_against_numpy_and_scipy(world: Any) -> None:
    found = components_of(tally_of(world), world.pool)
    answers = np.array([row["answer"] for row in world.rows])
    right = np.take_along_axis(world.probabilities, answers[None, None, :, None], axis=3)[..., 0].mean(axis=1)
    ability = right.mean(axis=1)
    for sample, count in enumerate(world.counts):
        covariance = np.cov(right[:, sample], ability)[0, 1]
        assert found.discrimination[sample] == pytest.approx(covariance)
        votes = np.bincount(world.predictions[:, :, sample].ravel(), minlength=count)
        assert found.vote_entropy[sample] == pytest.approx(entropy(votes, base=count), abs=1e-12)
        flips = world.predictions[:, 1:, sample] != world.predictions[:, :1, sample]
        assert found.flip_rate[sample] == pytest.approx(flips.mean())
        hits = world.predictions[:, :, sample] == answers[sample]
        assert found.accuracy[sample] == pytest.approx(hits.mean())
        assert found.is_always_right[sample] == hits.all()
        assert found.is_always_wrong[sample] == (not hits.any())
    assert found.models.tolist() == [5] * 40


def test_letters_alone_discriminate_by_correctness(world: Any) -> None:
    tally = tally_of(world, kind="prediction")
    found = components_of(tally, world.pool)
    answers = np.array([row["answer"] for row in world.rows])
    hits = (world.predictions == answers).mean(axis=1)
    expected = [np.cov(hits[:, sample], hits.mean(axis=1))[0, 1] for sample in range(40)]
    np.testing.assert_allclose(found.discrimination, expected, atol=1e-12)
    assert np.isnan(found.divergence).all()
    scores = score_of(found, "combined", candidates_of(found))
    assert np.isfinite(scores["score"][candidates_of(found)]).all()


def test_model_scores_are_the_plain_means_where_nothing_is_missing(world: Any) -> None:
    answers = np.array([row["answer"] for row in world.rows])
    right = np.take_along_axis(world.probabilities, answers[None, None, :, None], axis=3)[..., 0]
    means = right.mean(axis=(1, 2))
    np.testing.assert_allclose(model_scores(tally_of(world)), means - means.mean(), atol=1e-12)


def test_a_model_is_no_better_for_having_missed_the_hard_conditions_or_samples(make_world: Any, tmp_path: Any) -> None:
    world = make_world(tmp_path, samples=400, models=6, seed=3)
    whole = model_scores(tally_of(world))
    hard = np.argsort(components_of(tally_of(world), world.pool).accuracy)[:200].tolist()

    def without_hard_conditions(model: int, condition: int, sample: int) -> bool:
        return model != 2 or condition < 2

    def without_hard_samples(model: int, condition: int, sample: int) -> bool:
        return model != 2 or sample not in hard

    for keep in (without_hard_conditions, without_hard_samples):
        tally = tally_of(world, keep=keep)
        found = model_scores(tally)
        means = np.nanmean(tally.right_probability / np.where(tally.answers, tally.answers, np.nan), axis=1)
        naive = means - means.mean()
        assert abs(found - whole).max() < 0.03
        assert abs(naive - whole).max() > 2 * abs(found - whole).max()


def test_always_right_and_always_wrong_are_out(world: Any) -> None:
    world.log_likelihoods[:, :, 3] = np.log(1e-3)
    world.log_likelihoods[:, :, 3, world.rows[3]["answer"]] = -1e-3
    world.log_likelihoods[:, :, 4] = np.log(1e-3)
    world.log_likelihoods[:, :, 4, 1 - world.rows[4]["answer"]] = -1e-3
    for kind in ("logits", "prediction"):
        found = components_of(tally_of(world, kind=kind), world.pool)
        assert found.is_always_right[3]
        assert found.is_always_wrong[4]
        assert not candidates_of(found)[[3, 4]].any()


def test_a_sample_that_one_model_saw_is_listed(world: Any) -> None:
    tally = tally_of(world, keep=lambda model, condition, sample: sample not in (2, 7) or model == 1)
    assert check_seen(tally, world.pool).tolist() == [2, 7]
    found = components_of(tally, world.pool)
    assert not candidates_of(found)[[2, 7]].any()
    assert np.isnan(found.discrimination[[2, 7]]).all()
    with pytest.raises(ValueError, match="all answers are of the model 'model-0', and a selection compares models"):
        check_seen(tally.of_models([0]), world.pool)


def test_scores_are_the_documented_mixtures_of_ranks() -> None:
    found = made_up(50)
    candidates = np.arange(50) % 7 != 0
    inconsistency = sum(
        weight * rank_of(getattr(found, name), candidates) for name, weight in INCONSISTENCY_WEIGHTS.items()
    ) / sum(INCONSISTENCY_WEIGHTS.values())
    scores = score_of(found, "combined", candidates)
    np.testing.assert_allclose(scores["inconsistency"], inconsistency)
    parts = {
        "inconsistency": rank_of(inconsistency, candidates),
        "discrimination": rank_of(found.discrimination, candidates),
    }
    expected = sum(weight * parts[name] for name, weight in COMBINED_WEIGHTS.items()) / sum(COMBINED_WEIGHTS.values())
    np.testing.assert_allclose(scores["score"], expected)
    assert np.array_equal(np.isnan(scores["score"]), ~candidates)
    np.testing.assert_allclose(score_of(found, "inconsistency", candidates)["score"], inconsistency)
    chosen = score_of(found, "discrimination", candidates)["score"]
    np.testing.assert_array_equal(chosen[candidates], found.discrimination[candidates])


@settings(max_examples=50, deadline=None)
@given(
    st.integers(2, 40),
    st.integers(0, 2**31),
    st.sampled_from(["covariance", "inconsistency", "discrimination", "combined"]),
)
def test_scores_follow_the_samples_wherever_they_stand(count: int, seed: int, score: Any) -> None:
    found = made_up(count, seed)
    order = np.random.default_rng(seed).permutation(count)
    moved = replace(found, **{part.name: getattr(found, part.name)[order] for part in fields(found)})
    everything = np.ones(count, dtype=bool)
    here, there = score_of(found, score, everything), score_of(moved, score, everything)
    for name in here:
        np.testing.assert_allclose(here[name][order], there[name])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 5) | st.just(float("nan")), min_size=1, max_size=30))
def test_ranks_lie_in_their_range_and_keep_the_order(values: list[float]) -> None:
    array = np.array(values)
    ranks = rank_of(array, np.ones(len(array), dtype=bool))
    there = ~np.isnan(array)
    assert np.array_equal(np.isnan(ranks), ~there)
    assert ((ranks[there] > 0) & (ranks[there] <= 1)).all()
    order = np.argsort(array[there], kind="stable")
    assert (np.diff(ranks[there][order]) >= 0).all()
    assert (np.diff(ranks[there][order]) > 0).tolist() == (np.diff(array[there][order]) > 0).tolist()


def test_components_do_not_depend_on_the_order_of_the_options(world: Any) -> None:
    before = components_of(tally_of(world), world.pool)
    for sample, row in enumerate(world.rows):
        count = len(row["options"])
        turn = np.roll(np.arange(count), 1)
        world.log_likelihoods[:, :, sample, :count] = world.log_likelihoods[:, :, sample, turn]
        row["answer"] = int(np.flatnonzero(turn == row["answer"])[0])
    pool = replace(world.pool, answers=np.array([row["answer"] for row in world.rows]))
    after = components_of(tally_answers(pool, open_answers([world.write_table("u.parquet")]))[0], pool)
    for name in ("flip_rate", "divergence", "vote_entropy", "discrimination", "accuracy"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), atol=1e-12, err_msg=name)


def test_one_condition_alone_has_no_inconsistency(world: Any) -> None:
    tally = tally_of(world, keep=lambda model, condition, sample: condition == 0)
    found = components_of(tally, world.pool)
    assert np.isnan(found.flip_rate).all()
    candidates = candidates_of(found)
    scores = score_of(found, "combined", candidates)
    assert np.isnan(scores["inconsistency"]).all()
    np.testing.assert_allclose(scores["score"], rank_of(found.discrimination, candidates))
    assert len(select_samples(tally, world.pool, np.zeros(40, dtype=np.int64), 5).positions) == 5
    with pytest.raises(ValueError, match="--score inconsistency compares corrupted answers with clean ones, and no"):
        select_samples(tally, world.pool, np.zeros(40, dtype=np.int64), 5, "inconsistency", strata=())


def test_a_sample_without_a_pair_is_scored_without_its_inconsistency(world: Any) -> None:
    tally = tally_of(world, keep=lambda model, condition, sample: condition == 0 or sample >= 10)
    found = components_of(tally, world.pool)
    candidates = candidates_of(found)
    scores = score_of(found, "combined", candidates)
    assert np.isnan(scores["inconsistency"][:10]).all()
    assert np.isfinite(scores["inconsistency"][10:][candidates[10:]]).all()
    ranks = rank_of(found.discrimination, candidates)
    np.testing.assert_allclose(scores["score"][:10], ranks[:10])


def test_the_covariance_is_numpys_with_a_model_that_guesses(world: Any) -> None:
    """A guessing model of weight 0.04 to 1 is one among 25: each model counts five times, and one guesses."""
    found = components_of(tally_of(world), world.pool).covariance
    answers = np.array([row["answer"] for row in world.rows])
    right = np.take_along_axis(world.probabilities, answers[None, None, :, None], axis=3)[..., 0].mean(axis=1)
    crowd = np.concatenate([np.repeat(right, 5, axis=0), 1 / np.array([world.counts])])
    ability = crowd.mean(axis=1)
    for sample in range(40):
        expected = np.cov(crowd[:, sample], ability, ddof=0)[0, 1] / ability.std()
        assert found[sample] == pytest.approx(expected)


def test_the_covariance_is_that_of_the_models_which_answered(world: Any) -> None:
    whole = components_of(tally_of(world), world.pool).covariance
    missing = components_of(tally_of(world, keep=lambda m, c, sample: sample != 3 or m < 4), world.pool).covariance
    others = np.arange(40) != 3
    assert np.corrcoef(whole[others], missing[others])[0, 1] > 0.999
    assert missing[3] != whole[3]
    one = components_of(tally_of(world, keep=lambda m, c, sample: sample != 3 or m < 1), world.pool).covariance
    assert np.isnan(one[3])


def test_a_subset_without_misfit_has_the_pools_accuracies_stretched(world: Any) -> None:
    tally = tally_of(world)
    misfit = misfit_of(tally)
    accuracies = tally.correct / tally.answers
    effects = accuracies.mean(axis=1) - accuracies.mean()
    # Over the whole pool nothing is left, and no remainder lies along the models' accuracies.
    np.testing.assert_allclose(misfit.sum(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(effects @ misfit, 0, atol=1e-12)
    deviations = accuracies - accuracies.mean(axis=0)
    slopes = effects @ deviations / (effects @ effects)
    np.testing.assert_allclose(misfit, deviations - np.outer(effects, slopes), atol=1e-12)


def test_more_samples_than_there_are_candidates(world: Any) -> None:
    with pytest.raises(ValueError, match=r"41 samples are wanted, and \d+ of the pool's 40 are left: \d+ are always"):
        select_samples(tally_of(world), world.pool, np.zeros(40, dtype=np.int64), 41)
