"""Score samples by what they tell about models: covariance, inconsistency, discrimination, and the last two combined.

The combination works on ranks, as its parts have no unit in common. A rank is scaled to (0, 1], 1 for the highest
value among the candidates; equal values share their mean rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr
from scipy.stats import rankdata

from benchc_tasks.selection.answers.tally import Tally
from benchc_tasks.selection.pool import Pool

__all__ = [
    "COMBINED_WEIGHTS",
    "GUESSING_SHARE",
    "INCONSISTENCY_WEIGHTS",
    "SCORES",
    "Components",
    "Score",
    "candidates_of",
    "components_of",
    "misfit_of",
    "model_scores",
    "rank_of",
    "score_of",
]

Score = Literal["covariance", "inconsistency", "discrimination", "combined"]
SCORES: tuple[Score, ...] = get_args(Score)

GUESSING_SHARE = 0.04
"""Weight in the covariance of a model that guesses, beside a weight of 1 for all models that answered.

Models that are judged on a subset can be weaker than those that selected it. Without the guessing model, a subset that
strong models select holds few samples on which weak ones fail.
"""

INCONSISTENCY_WEIGHTS = {"flip_rate": 2.0, "divergence": 2.0, "vote_entropy": 1.0}
"""The votes' entropy counts half: it rises as well where models differ on the clean image already."""

COMBINED_WEIGHTS = {"discrimination": 4.0, "inconsistency": 1.0}
"""Discrimination leads: it is what a subset is to have, and inconsistency is one sign of it.

Judged within the selecting halves of MMBench's 26 models alone (`tests/benchmarks/selection_proof.py --weights`), a
quarter to a half of the discrimination's weight for the inconsistency cannot be told apart, and none or more is worse;
the least of them is taken.
"""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Components:
    """Statistics of the responses to each of n samples; every array has the shape (n,).

    Attributes
    ----------
    models : ndarray of int64
        How many models answered the sample at least once.
    answers : ndarray of int64
        How many answers there are.
    accuracy : ndarray of float64
        Mean over the models of the rate of right answers, in [0, 1].
    flip_rate : ndarray of float64
        Mean over the models of the rate of corrupted conditions whose prediction differs from the clean one, in
        [0, 1]; nan where no model has such a pair.
    divergence : ndarray of float64
        Mean over the models of the mean Jensen-Shannon divergence (Lin 1991) of a corrupted distribution from the
        clean one, in bits, in [0, 1]; nan where there are no probabilities.
    vote_entropy : ndarray of float64
        Entropy of the models' predictions over all conditions, each model with the same weight, divided by ln K: in
        [0, 1].
    discrimination : ndarray of float64
        Covariance over the models of their score on this sample with their score on the pool (see `model_scores`);
        nan where fewer than two models answered.
    covariance : ndarray of float64
        The same over the models and one that guesses (`GUESSING_SHARE`), with the scores on the pool scaled to a
        standard deviation of 1.
    is_always_right, is_always_wrong : ndarray of bool
        Whether every answer of every model is right, or none.
    """

    models: IntArray
    answers: IntArray
    accuracy: FloatArray
    flip_rate: FloatArray
    divergence: FloatArray
    vote_entropy: FloatArray
    discrimination: FloatArray
    covariance: FloatArray
    is_always_right: BoolArray
    is_always_wrong: BoolArray


def components_of(tally: Tally, pool: Pool) -> Components:
    """Compute what the scores are made of."""
    correct, answers = tally.correct.sum(axis=0), tally.answers.sum(axis=0)
    scores = _score_matrix(tally, tally.has_probabilities)
    effects = _model_effects(scores)
    return Components(
        models=(tally.answers > 0).sum(axis=0),
        answers=answers,
        accuracy=_mean_over_models(_ratio(tally.correct, tally.answers)),
        flip_rate=_mean_over_models(_ratio(tally.flips, tally.pairs)),
        divergence=_mean_over_models(_ratio(tally.divergence, tally.divergences)),
        vote_entropy=_vote_entropy(tally, pool),
        discrimination=_covariance(scores, effects),
        covariance=_covariance_with_guessing(scores, effects, 1 / pool.option_counts),
        is_always_right=(answers > 0) & (correct == answers),
        is_always_wrong=(answers > 0) & (correct == 0),
    )


def candidates_of(components: Components) -> BoolArray:
    """Say which samples may be selected: two models at least, and neither always right nor always wrong."""
    return (components.models >= 2) & ~components.is_always_right & ~components.is_always_wrong


def score_of(components: Components, score: Score, candidates: BoolArray) -> dict[str, FloatArray]:
    """Compute the scores by which samples are selected.

    Parameters
    ----------
    components : Components of n samples
    score : {"covariance", "inconsistency", "discrimination", "combined"}
        Which one is to select.
    candidates : ndarray of bool, shape (n,)
        The samples that are ranked.

    Returns
    -------
    dict of str to ndarray of float64, shape (n,)
        `inconsistency`, the weighted mean of the ranks of `flip_rate`, `divergence` and `vote_entropy`, of those that
        there are; and `score`: that, or the covariance, or the discrimination, or (`combined`) the weighted mean of the
        ranks of discrimination and inconsistency. nan where a sample is not a candidate. A sample without a pair of a
        clean and a corrupted answer has no inconsistency: where models only disagree, they may only be guessing.
    """
    parts = {name: rank_of(getattr(components, name), candidates) for name in INCONSISTENCY_WEIGHTS}
    has_pairs = ~np.isnan(components.flip_rate)
    inconsistency = np.where(has_pairs, _weighted_mean(parts, INCONSISTENCY_WEIGHTS), np.nan)
    ranks = {
        "inconsistency": rank_of(inconsistency, candidates),
        "discrimination": rank_of(components.discrimination, candidates),
    }
    chosen = {
        "covariance": np.where(candidates, components.covariance, np.nan),
        "inconsistency": inconsistency,
        "discrimination": np.where(candidates, components.discrimination, np.nan),
        "combined": _weighted_mean(ranks, COMBINED_WEIGHTS),
    }
    return {"inconsistency": inconsistency, "score": chosen[score]}


def model_scores(tally: Tally) -> FloatArray:
    """Compute each model's score over the pool, fairly where answers are missing.

    A model's score on a sample is the mean probability that it gives to the right option under the conditions that it
    answered; where not every answer has probabilities, the rate of right answers. Over the pool it is the model's
    effect in the least-squares fit of `score = model + sample`: with all answers there, the plain mean over the
    samples, less the mean over the models. So a model is not taken for a better one because it missed the hard samples;
    and as each condition's mean effect is taken off beforehand, neither because it missed the hard conditions.

    Returns
    -------
    ndarray of float64, shape (models,)
        Their sum is 0.
    """
    return _model_effects(_score_matrix(tally, tally.has_probabilities))


def misfit_of(tally: Tally) -> FloatArray:
    """Compute what each sample adds to the misfit between the models' accuracies on a subset and on the pool.

    A sample's right answers, centred over the models, are split into a part in proportion to the models' accuracies on
    the pool and the remainder. A subset whose remainders sum to 0 has accuracies that are those of the pool, stretched.

    Returns
    -------
    ndarray of float64, shape (models, n)
        The remainders; 0 where a model did not answer.
    """
    scores = _score_matrix(tally, with_probabilities=False)
    effects = _model_effects(scores)
    length = np.linalg.norm(effects)
    direction = effects / length if length > 0 else effects
    deviations = _deviations(scores)
    return np.asarray(deviations - np.outer(direction, _weighted_sum(direction, deviations)))


def rank_of(values: FloatArray, candidates: BoolArray) -> FloatArray:
    """Rank the candidates' values, scaled to (0, 1]; nan for the others and where a value is nan."""
    ranks = np.full(len(values), np.nan)
    ranked = candidates & ~np.isnan(values)
    if ranked.any():
        ranks[ranked] = rankdata(values[ranked]) / ranked.sum()
    return ranks


def _score_matrix(tally: Tally, with_probabilities: bool) -> FloatArray:
    """Return each model's score on each sample, nan where it did not answer, shape (models, samples)."""
    if with_probabilities:
        sums, by_condition = tally.right_probability, tally.condition_probability
    else:
        sums, by_condition = tally.correct.astype(np.float64), tally.condition_correct
    return _ratio(sums, tally.answers) - _condition_offsets(tally.seen, by_condition)


def _condition_offsets(seen: BoolArray, sums: FloatArray) -> FloatArray:
    """Give the mean effect of the conditions under which each model answered each sample.

    With all answers there it is the same everywhere, and changes no covariance.
    """
    counts = seen.sum(axis=2)
    if np.all(seen):
        return np.zeros((seen.shape[0], seen.shape[2]))
    effects = _condition_effects(_ratio(sums, counts))
    offsets = np.einsum("c,mcn->mn", effects, seen)
    return np.asarray(offsets / np.maximum(seen.sum(axis=1), 1))


def _condition_effects(means: FloatArray) -> FloatArray:
    """Fit `mean = model + condition` and return the conditions' effects, shape (conditions,)."""
    return _model_effects(means.T)


def _model_effects(scores: FloatArray, rounds: int = 100, tolerance: float = 1e-12) -> FloatArray:
    """Fit `score = row + column` to the values that are there by alternating means; return the rows' effects."""
    rows = np.zeros(len(scores))
    for _ in range(rounds):
        columns = _mean_over_models(scores - rows[:, np.newaxis])
        fitted = np.nan_to_num(_mean_over_models((scores - columns).T))
        fitted -= fitted.mean()
        change = np.abs(fitted - rows).max()
        rows = fitted
        if change < tolerance:
            break
    return rows


def _deviations(scores: FloatArray) -> FloatArray:
    """Subtract each sample's mean over the models; 0 where a model did not answer, shape (models, samples)."""
    return np.where(np.isnan(scores), 0.0, scores - _mean_over_models(scores))


def _covariance(scores: FloatArray, effects: FloatArray) -> FloatArray:
    """Covariance over the models of each sample's scores with the models' effects, shape (samples,)."""
    counts = (~np.isnan(scores)).sum(axis=0)
    # The deviations of a sample sum to 0, so that the effects need no centring.
    products = _weighted_sum(effects, _deviations(scores))
    return np.where(counts >= 2, products / np.maximum(counts - 1, 1), np.nan)


def _covariance_with_guessing(scores: FloatArray, effects: FloatArray, chance: FloatArray) -> FloatArray:
    """Covariance over the models and one that guesses, whose score on a sample is `chance`, shape (samples,)."""
    there = ~np.isnan(scores)
    counts = there.sum(axis=0)
    levels = _mean_over_models(scores - effects[:, np.newaxis])
    guessing = float(np.nanmean(chance - levels))
    weight = 1 + GUESSING_SHARE
    mean = GUESSING_SHARE * guessing / weight
    spread = np.sqrt((np.mean(effects**2) + GUESSING_SHARE * guessing**2) / weight - mean**2)
    means = _mean_over_models(scores)
    # Over the models that answered a sample; then the guessing model's distance from them is added.
    effect_means = _ratio(_weighted_sum(effects, there), counts)
    among = _ratio(_weighted_sum(effects, _deviations(scores)), counts)
    beside = GUESSING_SHARE / weight * (effect_means - guessing) * (means - chance)
    found = (among + beside) / weight / (spread if spread > 0 else 1.0)
    return np.where(counts >= 2, found, np.nan)


def _weighted_sum(weights: FloatArray, values: FloatArray | BoolArray) -> FloatArray:
    """Sum over the models without BLAS, whose sums depend on the number of threads."""
    return np.asarray(np.einsum("m,mn->n", weights, values))


def _vote_entropy(tally: Tally, pool: Pool) -> FloatArray:
    shares = np.zeros(tally.votes.shape[1:])
    for votes, answers in zip(tally.votes, tally.answers, strict=True):
        shares += votes / np.maximum(answers, 1)[:, np.newaxis]
    shares /= np.maximum((tally.answers > 0).sum(axis=0), 1)[:, np.newaxis]
    return np.asarray(entr(shares).sum(axis=1) / np.log(pool.option_counts))


def _ratio(sums: FloatArray | IntArray, counts: IntArray) -> FloatArray:
    """Divide, nan where there is nothing to divide by."""
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _mean_over_models(values: FloatArray) -> FloatArray:
    """Mean over the first axis of what is there, nan where nothing is."""
    there = ~np.isnan(values)
    return _ratio(np.where(there, values, 0.0).sum(axis=0), there.sum(axis=0))


def _weighted_mean(parts: Mapping[str, FloatArray], weights: Mapping[str, float]) -> FloatArray:
    """Mean of what is there of a sample's parts, weighted; nan where nothing is."""
    stacked = np.stack([parts[name] for name in weights])
    weight = np.array(list(weights.values()))[:, np.newaxis] * ~np.isnan(stacked)
    total = weight.sum(axis=0)
    means = (weight * np.nan_to_num(stacked)).sum(axis=0) / np.where(total > 0, total, 1)
    return np.where(total > 0, means, np.nan)
