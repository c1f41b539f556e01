"""The selection itself: from a tally of answers and the pool's topics to the positions of the subset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.selection.answers.tally import Tally
from benchc_tasks.selection.diversity import choose
from benchc_tasks.selection.pool import Pool
from benchc_tasks.selection.scores import Components, Score, candidates_of, components_of, score_of

__all__ = [
    "DEFAULT_DIVERSITY",
    "ScoredSamples",
    "Selection",
    "check_seen",
    "choose_samples",
    "score_samples",
    "select_samples",
]

DEFAULT_DIVERSITY = 0.5
"""Half of the places are dealt out over the topics, half go to the best of the rest."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ScoredSamples:
    """Scores of a pool's n samples from some models' responses.

    Attributes
    ----------
    components : Components of n samples
    candidates : ndarray of bool, shape (n,)
        The samples that can be selected.
    inconsistency, score : ndarray of float64, shape (n,)
        nan where a sample is not a candidate.
    """

    components: Components
    candidates: NDArray[np.bool_]
    inconsistency: FloatArray
    score: FloatArray

    @property
    def available(self) -> int:
        """Count the samples that can be selected."""
        return int((~np.isnan(self.score)).sum())


@dataclass(frozen=True)
class Selection(ScoredSamples):
    """A subset of a pool of n samples, and why it is this one.

    Attributes
    ----------
    clusters : ndarray of int64, shape (n,)
        Each sample's topic.
    dealt, others : ndarray of int64
        Positions of the samples with a place of their topic, and of those that were chosen by their score alone.
    """

    clusters: IntArray
    dealt: IntArray
    others: IntArray

    @property
    def positions(self) -> IntArray:
        """Positions of the subset in the pool, ascending."""
        return np.sort(np.concatenate([self.dealt, self.others]))


def select_samples(
    tally: Tally,
    pool: Pool,
    clusters: IntArray,
    size: int,
    score: Score = "combined",
    diversity: float = DEFAULT_DIVERSITY,
) -> Selection:
    """Select a subset: score the samples, then choose.

    Raises
    ------
    ValueError
        If fewer candidates are left than samples are wanted.
    """
    return choose_samples(score_samples(tally, pool, score), pool, clusters, size, diversity)


def score_samples(tally: Tally, pool: Pool, score: Score = "combined") -> ScoredSamples:
    """Score the samples of a pool by some models' answers.

    Parameters
    ----------
    tally : Tally
        The models' answers.
    pool : Pool
    score : {"inconsistency", "discrimination", "combined"}
        What makes a sample a good one.
    """
    components = components_of(tally, pool)
    candidates = candidates_of(components)
    scores = score_of(components, score, candidates)
    return ScoredSamples(components, candidates, scores["inconsistency"], scores["score"])


def choose_samples(
    scored: ScoredSamples, pool: Pool, clusters: IntArray, size: int, diversity: float = DEFAULT_DIVERSITY
) -> Selection:
    """Choose the subset.

    Parameters
    ----------
    scored : ScoredSamples of n samples
    pool : Pool of n samples
    clusters : ndarray of int64, shape (n,)
        Each sample's topic.
    size : int
        Number of samples wanted.
    diversity : float
        Share of the places that is dealt out over the topics in proportion to their candidates, in [0, 1].

    Raises
    ------
    ValueError
        If fewer candidates are left than samples are wanted.
    """
    if size > scored.available:
        raise ValueError(
            f"{size} samples are wanted, and {scored.available} of the pool's {len(pool)} are left: "
            f"{int(scored.components.is_always_right.sum())} are always answered right and "
            f"{int(scored.components.is_always_wrong.sum())} always wrong; give a --size of at most {scored.available}"
        )
    dealt, others = choose(scored.score, clusters, size, diversity, pool.category_codes)
    return Selection(**vars(scored), clusters=clusters, dealt=dealt, others=others)


def check_seen(tally: Tally, pool: Pool) -> IntArray:
    """List the samples that fewer than two models have answered; they cannot be selected.

    Raises
    ------
    ValueError
        If fewer than two models are there at all.
    """
    if len(tally.models) < 2:
        raise ValueError(
            f"all answers are of the model {tally.models[0]!r}, and a selection compares models: "
            "give answers of two or more"
        )
    return np.flatnonzero((tally.answers > 0).sum(axis=0) < 2)
