"""How well a set of samples tells models apart, and how that grows with its size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from benchc_tasks.selection.answers.tally import Tally

__all__ = ["SeparationCurve", "accuracies_of", "rank_agreement", "separation", "separation_curve"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class SeparationCurve:
    """Separation of subsets against their size, relative to random subsets of that size.

    Attributes
    ----------
    sizes : tuple of int
    selected : tuple of tuple of float
        For each split of the models, the relative separation at each size.
    random : tuple of tuple of float
        The same of random subsets: their 5th and 95th percentile at each size.
    is_held_out : bool
        Whether a split's subsets were selected with one half of the models and judged with the other. With fewer than
        four models that cannot be, and the models that select also judge.
    """

    sizes: tuple[int, ...]
    selected: tuple[tuple[float, ...], ...]
    random: tuple[tuple[float, float], ...]
    is_held_out: bool


def accuracies_of(tally: Tally) -> FloatArray:
    """Give each model's rate of right answers to each sample over the conditions, shape (models, samples).

    nan where a model did not answer.
    """
    return np.where(tally.answers > 0, tally.correct / np.maximum(tally.answers, 1), np.nan)


def separation(accuracies: FloatArray) -> float:
    """Measure how far models lie apart: in units of the standard error of an accuracy.

    Parameters
    ----------
    accuracies : ndarray of float64, shape (models, samples)
        Each model's accuracy on each sample, over the conditions; nan where there is none.

    Returns
    -------
    float
        The standard deviation of the models' accuracies over the mean of their standard errors; nan with fewer than
        two models or samples, inf where no accuracy varies from sample to sample.
    """
    if accuracies.shape[0] < 2 or accuracies.shape[1] < 2:
        return float("nan")
    there = ~np.isnan(accuracies)
    counts = there.sum(axis=1)
    means = np.where(there, accuracies, 0.0).sum(axis=1) / np.maximum(counts, 1)
    squares = np.where(there, accuracies - means[:, np.newaxis], 0.0) ** 2
    errors = np.sqrt(squares.sum(axis=1) / np.maximum(counts - 1, 1) / np.maximum(counts, 1))
    usable = counts >= 2
    if usable.sum() < 2:
        return float("nan")
    spread, error = means[usable].std(ddof=1), errors[usable].mean()
    return float(spread / error) if error > 0 else float("inf")


def rank_agreement(accuracies: FloatArray, subset: IntArray) -> float:
    """Kendall's tau-b between the models' order on a subset and on the whole pool, in [-1, 1]."""
    return float(kendalltau(np.nanmean(accuracies[:, subset], axis=1), np.nanmean(accuracies, axis=1)).statistic)


def separation_curve(
    tally: Tally,
    selector: Callable[[Tally], Callable[[int], IntArray]],
    sizes: Sequence[int],
    seed: int,
    splits: int = 5,
    draws: int = 20,
    report: Callable[[], None] = lambda: None,
) -> SeparationCurve:
    """Measure the separation of selected and of random subsets.

    Parameters
    ----------
    tally : Tally
        All models' answers.
    selector : callable
        From a tally of some models to what returns the positions of the subset that they select of a size: fewer where
        there are not as many candidates.
    sizes : sequence of int
        Of the subsets; at most the number of samples.
    seed : int
        Of the splits and the random subsets.
    splits : int
        How often the models are split in halves.
    draws : int
        How many random subsets there are of each size.
    report : callable, optional
        Called after each split.

    Returns
    -------
    SeparationCurve
    """
    generator = np.random.default_rng(seed)
    models = len(tally.models)
    is_held_out = models >= 4
    halves = [np.array_split(generator.permutation(models), 2) for _ in range(splits if is_held_out else 1)]
    pairs = halves if is_held_out else [[np.arange(models), np.arange(models)]]
    samples = tally.answers.shape[1]
    random = [[generator.choice(samples, size, replace=False) for _ in range(draws)] for size in sizes]
    selected, of_random = [], []
    for selecting, judging in pairs:
        accuracies = accuracies_of(tally.of_models(judging))
        chance = [np.array([separation(accuracies[:, subset]) for subset in subsets]) for subsets in random]
        select = selector(tally.of_models(selecting))
        found = [separation(accuracies[:, select(size)]) for size in sizes]
        selected.append(tuple(float(_relative(value, level)) for value, level in zip(found, chance, strict=True)))
        of_random.append([_relative(level, level) for level in chance])
        report()
    # Subsets on which no model errs, or all do, have no separation to speak of.
    bands = [np.quantile([relative[place] for relative in of_random], [0.05, 0.95]) for place in range(len(sizes))]
    return SeparationCurve(
        sizes=tuple(sizes),
        selected=tuple(selected),
        random=tuple((float(low), float(high)) for low, high in bands),
        is_held_out=is_held_out,
    )


def _relative(values: Any, chance: FloatArray) -> Any:
    """Divide by the mean separation of random subsets; nan where that is 0 or not to be had."""
    level = float(chance.mean())
    return values / level if np.isfinite(level) and level > 0 else values * np.nan
