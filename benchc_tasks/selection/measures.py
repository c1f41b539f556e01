"""Measure subsets: separation of models, agreement of their order, and what a model gets that says one letter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from benchc_tasks.selection.answers.tally import Tally

__all__ = [
    "Measure",
    "SubsetCurve",
    "accuracies_of",
    "one_letter_accuracy",
    "rank_agreement",
    "separation",
    "subset_curve",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """A measure of subsets of several sizes, and the same of random subsets.

    Attributes
    ----------
    selected : tuple of tuple of float
        For each split of the models, the measure at each size; nan where it is not defined.
    random : tuple of (float, float, float)
        For each size the 5th percentile of random subsets, their mean and their 95th percentile.
    """

    selected: tuple[tuple[float, ...], ...]
    random: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class SubsetCurve:
    """Measures of subsets against their size.

    Attributes
    ----------
    sizes : tuple of int
    separation : Measure
        Relative to the mean of random subsets of the same size and judges.
    tau : Measure
        Kendall's tau-b between the judges' order on the subset and on the pool.
    one_letter : Measure
        Accuracy of the best of the models that always say one letter.
    is_held_out : bool
        Whether a split's subsets were selected with one half of the models and judged with the other. With fewer than
        four models the models that select also judge.
    """

    sizes: tuple[int, ...]
    separation: Measure
    tau: Measure
    one_letter: Measure
    is_held_out: bool


def accuracies_of(tally: Tally) -> FloatArray:
    """Return each model's rate of right answers to each sample over the conditions, shape (models, samples).

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
    """Kendall's tau-b between the models' order on a subset and on the whole pool, in [-1, 1]; nan where all tie."""
    return float(kendalltau(_means(accuracies[:, subset]), _means(accuracies)).statistic)


def one_letter_accuracy(answers: IntArray) -> float:
    """Compute the accuracy of the best model that always says one letter.

    Parameters
    ----------
    answers : ndarray of int64, shape (samples,)
        Index of each sample's right option.
    """
    return float(np.bincount(answers).max() / len(answers))


def subset_curve(
    tally: Tally,
    answers: IntArray,
    selector: Callable[[Tally], Callable[[int], IntArray]],
    sizes: Sequence[int],
    seed: int,
    splits: int = 5,
    draws: int = 20,
    report: Callable[[], None] = lambda: None,
) -> SubsetCurve:
    """Measure selected and random subsets.

    Parameters
    ----------
    tally : Tally
        All models' answers.
    answers : ndarray of int64, shape (samples,)
        Index of each sample's right option.
    selector : callable
        From a tally of some models to a function that returns the positions of the subset that they select of a size:
        fewer where there are not as many candidates.
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
    SubsetCurve
    """
    generator = np.random.default_rng(seed)
    models = len(tally.models)
    is_held_out = models >= 4
    halves = [np.array_split(generator.permutation(models), 2) for _ in range(splits if is_held_out else 1)]
    pairs = halves if is_held_out else [[np.arange(models), np.arange(models)]]
    samples = tally.answers.shape[1]
    random = [[generator.choice(samples, size, replace=False) for _ in range(draws)] for size in sizes]
    # Shapes (splits, sizes, measures) and (splits, sizes, draws, measures).
    selected, chance = [], []
    for selecting, judging in pairs:
        accuracies = accuracies_of(tally.of_models(judging))
        select = selector(tally.of_models(selecting))
        selected.append([_measures(accuracies, answers, select(size)) for size in sizes])
        chance.append([[_measures(accuracies, answers, subset) for subset in subsets] for subsets in random])
        report()
    found, level = np.array(selected), np.array(chance)
    # Subsets on which no model errs, or all do, have no separation to speak of.
    mean = level[..., 0].mean(axis=2)
    mean = np.where(np.isfinite(mean) & (mean > 0), mean, np.nan)
    found[..., 0] /= mean
    level[..., 0] /= mean[..., np.newaxis]
    separations, tau, one_letter = (_measure(found[..., number], level[..., number]) for number in range(3))
    return SubsetCurve(tuple(sizes), separations, tau, one_letter, is_held_out)


def _measures(accuracies: FloatArray, answers: IntArray, subset: IntArray) -> tuple[float, float, float]:
    return (
        separation(accuracies[:, subset]),
        rank_agreement(accuracies, subset),
        one_letter_accuracy(answers[subset]),
    )


def _measure(selected: FloatArray, random: FloatArray) -> Measure:
    """Summarise a measure of shape (splits, sizes) and that of random subsets, shape (splits, sizes, draws)."""
    return Measure(
        tuple(tuple(split) for split in selected.tolist()),
        tuple(_band(values) for values in np.moveaxis(random, 1, 0).reshape(random.shape[1], -1)),
    )


def _band(values: FloatArray) -> tuple[float, float, float]:
    """Return the 5th percentile, the mean and the 95th percentile of the values that are defined."""
    there = values[~np.isnan(values)]
    if not len(there):
        return (float("nan"),) * 3
    return float(np.quantile(there, 0.05)), float(there.mean()), float(np.quantile(there, 0.95))


def _means(accuracies: FloatArray) -> FloatArray:
    """Mean over the samples that a model answered; nan where it answered none."""
    there = ~np.isnan(accuracies)
    counts = there.sum(axis=1)
    sums = np.where(there, accuracies, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
