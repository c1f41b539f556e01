"""The selection itself: from a tally of answers and the pool's topics to the positions of the subset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.selection.answers.tally import Tally
from benchc_tasks.selection.diversity import choose
from benchc_tasks.selection.pool import Pool
from benchc_tasks.selection.scores import Components, Score, candidates_of, components_of, score_of

__all__ = ["DEFAULT_DIVERSITY", "Selection", "check_seen", "select_samples"]

DEFAULT_DIVERSITY = 0.5
"""Half of the places are dealt out over the topics, half go to the best of the rest."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """A subset of a pool of n samples, and why it is this one.

    Attributes
    ----------
    components : Components of n samples
    candidates : ndarray of bool, shape (n,)
        The samples that could be selected.
    inconsistency, score : ndarray of float64, shape (n,)
        nan where a sample is no candidate.
    clusters : ndarray of int64, shape (n,)
    dealt, others : ndarray of int64
        Positions of the samples with a place of their cluster, and of those that were chosen by their score alone.
    """

    components: Components
    candidates: NDArray[np.bool_]
    inconsistency: FloatArray
    score: FloatArray
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
    accept_fewer: bool = False,
) -> Selection:
    """Select a subset.

    Parameters
    ----------
    tally : Tally
        The models' answers.
    pool : Pool of n samples
    clusters : ndarray of int64, shape (n,)
        Each sample's topic.
    size : int
        Number of samples wanted.
    score : {"inconsistency", "discrimination", "combined"}
        What makes a sample a good one.
    diversity : float
        Share of the places that is dealt out over the topics in proportion to their candidates, in [0, 1].
    accept_fewer : bool
        Whether fewer samples will do where there are not as many candidates.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError
        If fewer candidates are left than samples are wanted.
    """
    components = components_of(tally, pool)
    candidates = candidates_of(components)
    scores = score_of(components, score, candidates)
    available = int((~np.isnan(scores["score"])).sum())
    if size > available and not accept_fewer:
        raise ValueError(
            f"{size} samples are wanted, and {available} of the pool's {len(pool)} are left: "
            f"{int(components.is_always_right.sum())} are always answered right and "
            f"{int(components.is_always_wrong.sum())} always wrong; give a --size of at most {available}"
        )
    dealt, others = choose(scores["score"], clusters, min(size, available), diversity, pool.category_codes)
    return Selection(components, candidates, scores["inconsistency"], scores["score"], clusters, dealt, others)


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
