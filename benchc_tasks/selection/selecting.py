"""Select a subset: from a tally of answers and each sample's category or topic to positions in the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.messages import quoted
from benchc_tasks.selection.answers.tally import Tally
from benchc_tasks.selection.diversity import choose
from benchc_tasks.selection.filling import fill_cells
from benchc_tasks.selection.pool import Pool
from benchc_tasks.selection.quotas import Stratum, cells_of, places_of_cells
from benchc_tasks.selection.scores import Components, Score, candidates_of, components_of, misfit_of, score_of

__all__ = [
    "DEFAULT_DIVERSITY",
    "DEFAULT_STRATA",
    "ScoredSamples",
    "Selection",
    "capped",
    "check_seen",
    "choose_samples",
    "score_samples",
    "select_samples",
]

DEFAULT_DIVERSITY = 0.5
"""Half of the places are dealt out over the topics, half go to the best of the rest."""

DEFAULT_STRATA: tuple[Stratum, ...] = ("letter", "category")

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
    misfit : ndarray of float64, shape (models, n), or None
        What each sample adds to the misfit of a subset (see `scores.misfit_of`); None where it does not count.
    """

    components: Components
    candidates: NDArray[np.bool_]
    inconsistency: FloatArray
    score: FloatArray
    misfit: FloatArray | None

    @property
    def available(self) -> int:
        """Count the samples that can be selected."""
        return int((~np.isnan(self.score)).sum())


@dataclass(frozen=True)
class Selection(ScoredSamples):
    """A subset of a pool of n samples, and why it is this one.

    Attributes
    ----------
    kinds : ndarray of int64, shape (n,)
        Each sample's category, or its topic.
    by_quota, dealt, others : ndarray of int64
        Positions of the samples with a place of a quota, with a place of their topic, and chosen by score alone.
    """

    kinds: IntArray
    by_quota: IntArray
    dealt: IntArray
    others: IntArray

    @property
    def positions(self) -> IntArray:
        """Positions of the subset in the pool, ascending."""
        return np.sort(np.concatenate([self.by_quota, self.dealt, self.others]))


def select_samples(
    tally: Tally,
    pool: Pool,
    kinds: IntArray,
    size: int,
    score: Score = "covariance",
    strata: Sequence[Stratum] = DEFAULT_STRATA,
    diversity: float = DEFAULT_DIVERSITY,
) -> Selection:
    """Select a subset: score the samples, then choose.

    Raises
    ------
    ValueError
        If fewer candidates are left than samples are wanted.
    """
    return choose_samples(score_samples(tally, pool, score), pool, kinds, size, strata, diversity)


def score_samples(tally: Tally, pool: Pool, score: Score = "covariance") -> ScoredSamples:
    """Score the samples of a pool by some models' answers.

    Parameters
    ----------
    tally : Tally
        The models' answers.
    pool : Pool
    score : {"covariance", "inconsistency", "discrimination", "combined"}
        What makes a sample a good one.

    Raises
    ------
    ValueError
        If samples are to be scored by their inconsistency alone, and none has a clean and a corrupted answer.
    """
    components = components_of(tally, pool)
    candidates = candidates_of(components)
    scores = score_of(components, score, candidates)
    if score == "inconsistency" and np.isnan(components.flip_rate).all():
        raise ValueError(
            "--score inconsistency compares corrupted answers with clean ones, and no model answered a sample both "
            "ways; give such answers, or leave --score out"
        )
    misfit = misfit_of(tally) if score == "covariance" else None
    return ScoredSamples(components, candidates, scores["inconsistency"], scores["score"], misfit)


def choose_samples(
    scored: ScoredSamples,
    pool: Pool,
    kinds: IntArray,
    size: int,
    strata: Sequence[Stratum] = DEFAULT_STRATA,
    diversity: float = DEFAULT_DIVERSITY,
) -> Selection:
    """Choose the subset.

    Parameters
    ----------
    scored : ScoredSamples of n samples
    pool : Pool of n samples
    kinds : ndarray of int64, shape (n,)
        Each sample's category or topic.
    size : int
        Number of samples wanted.
    strata : sequence of {"letter", "category", "text"}
        Quotas hold within these, in the pool's proportions. Without any, `diversity` decides.
    diversity : float
        Share of the places that is dealt out over the kinds in proportion to their candidates, in [0, 1].

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
    if strata:
        cells = cells_of(strata, pool, kinds, size)
        score = scored.score if scored.misfit is None else capped(scored.score, size)
        places = places_of_cells(cells, ~np.isnan(score), score, size)
        by_quota = fill_cells(cells.cell, places, score, scored.misfit)
        dealt = others = by_quota[:0]
    else:
        dealt, others = choose(scored.score, kinds, size, diversity, pool.category_codes)
        by_quota = dealt[:0]
    return Selection(**vars(scored), kinds=kinds, by_quota=by_quota, dealt=dealt, others=others)


def capped(score: FloatArray, size: int) -> FloatArray:
    """Let no score count for more than the `size`-th best, so that the misfit decides among the best.

    The highest covariances are the least to be trusted: there the oddities of single models show, such as a preference
    for a letter, and other models do not share them.

    Parameters
    ----------
    score : ndarray of float64, shape (n,)
        nan where a sample is not a candidate.
    size : int
        At most the number of candidates.
    """
    best = np.sort(score[~np.isnan(score)])[-size:]
    return np.asarray(np.minimum(score, best.min(initial=np.inf)))


def check_seen(tally: Tally, pool: Pool) -> IntArray:
    """List the samples that fewer than two models have answered; they cannot be selected.

    Raises
    ------
    ValueError
        If fewer than two models are there at all.
    """
    if len(tally.models) < 2:
        raise ValueError(
            f"all answers are of the model {quoted(tally.models[0])}, and a selection compares models: "
            "give answers of two or more"
        )
    return np.flatnonzero((tally.answers > 0).sum(axis=0) < 2)
