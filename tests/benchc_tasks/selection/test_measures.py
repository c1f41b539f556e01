from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau, sem

from benchc_tasks.selection.answers import open_answers, tally_answers
from benchc_tasks.selection.measures import (
    accuracies_of,
    one_letter_accuracy,
    rank_agreement,
    separation,
    subset_curve,
)


def test_separation_is_spread_over_standard_error() -> None:
    accuracies = np.random.default_rng(0).integers(0, 5, (6, 50)) / 4
    expected = np.std(accuracies.mean(axis=1), ddof=1) / np.mean([sem(row) for row in accuracies])
    assert separation(accuracies) == pytest.approx(expected)


def test_separation_of_next_to_nothing() -> None:
    assert np.isnan(separation(np.ones((1, 5))))
    assert np.isnan(separation(np.ones((3, 1))))
    assert np.isnan(separation(np.full((3, 4), np.nan)))
    assert separation(np.array([[0.0, 0.0], [1.0, 1.0]])) == np.inf


def test_missing_answers_do_not_count() -> None:
    accuracies = np.random.default_rng(0).random((3, 20))
    padded = np.concatenate([accuracies, np.full((3, 7), np.nan)], axis=1)
    assert separation(padded) == pytest.approx(separation(accuracies))


def test_agreement_is_kendalls_tau() -> None:
    accuracies = np.random.default_rng(1).random((8, 30))
    subset = np.arange(0, 30, 3)
    expected = kendalltau(accuracies[:, subset].mean(axis=1), accuracies.mean(axis=1)).statistic
    assert rank_agreement(accuracies, subset) == pytest.approx(expected)


@pytest.mark.parametrize(("models", "is_held_out", "splits"), [(6, True, 3), (4, True, 3), (3, False, 1)])
def test_other_models_judge_than_those_that_select(
    make_world: Any, tmp_path: Any, models: int, is_held_out: bool, splits: int
) -> None:
    world = make_world(tmp_path, samples=60, models=models)
    tally, _ = tally_answers(world.pool, open_answers([world.write_table()]))
    selecting: list[tuple[str, ...]] = []

    def selector(some: Any) -> Any:
        selecting.append(some.models)
        return lambda size: np.arange(size)

    curve = subset_curve(tally, world.pool.answers, selector, [10, 60], seed=0, splits=3)
    assert (curve.is_held_out, len(curve.separation.selected)) == (is_held_out, splits)
    assert len(selecting) == splits
    assert all(len(chosen) in ((models + 1) // 2, models) for chosen in selecting)
    if is_held_out:
        judges = [tuple(name for name in tally.models if name not in chosen) for chosen in selecting]
        rows = [[tally.models.index(name) for name in judging] for judging in judges]
        # All samples are all samples, whoever chose them: exactly 1 says that numerator and denominator share judges.
        assert all(split[1] == pytest.approx(1) for split in curve.separation.selected)
        first = accuracies_of(tally.of_models(rows[0]))
        assert curve.separation.selected[0][0] > 0
        assert first.shape == (models // 2, 60)
    low, mean, high = curve.separation.random[0]
    assert low < 1 < high
    assert mean == pytest.approx(1)
    assert curve.separation.random[1] == pytest.approx((1, 1, 1))
    # On the whole pool the order is the pool's, and a letter's accuracy is that of the pool.
    assert all(split[1] == pytest.approx(1) for split in curve.tau.selected)
    assert curve.tau.random[1] == pytest.approx((1, 1, 1))
    answers = world.pool.answers
    assert all(split[0] == one_letter_accuracy(answers[:10]) for split in curve.one_letter.selected)
    assert curve.one_letter.random[1] == pytest.approx((one_letter_accuracy(answers),) * 3)
