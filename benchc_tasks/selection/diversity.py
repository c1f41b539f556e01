"""Topics of the pool, and places dealt out over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose", "cluster_count", "cluster_texts", "members_in_order", "places_of_clusters"]

PLACES_PER_CLUSTER = 5
"""So many places of the subset there are for each topic; with half the places dealt out, two or three a topic."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def cluster_count(size: float, samples: int, places: int = PLACES_PER_CLUSTER) -> int:
    """Choose the number of clusters for a subset: one for so many places, at least 2, at most half the samples."""
    return max(1, min(max(2, round(size / places)), samples // 2))


def cluster_texts(embeddings: NDArray[np.float32], clusters: int, seed: int) -> IntArray:
    """Cluster samples by k-means.

    Parameters
    ----------
    embeddings : ndarray of float32, shape (samples, dimensions)
        Of unit length.
    clusters : int
        How many are wanted; there are fewer where there are fewer distinct embeddings.
    seed : int
        Of the initial centres.

    Returns
    -------
    ndarray of int64, shape (samples,)
        Numbers from 0, the largest cluster first, of equal ones that with the first sample.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    distinct = len(np.unique(embeddings, axis=0)) if len(embeddings) <= 2000 else len(embeddings)
    # In one thread: several would add up a centre's members in the order in which they finish.
    with threadpool_limits(limits=1):
        means = KMeans(min(clusters, distinct), n_init=1, max_iter=50, random_state=seed)
        labels = np.asarray(means.fit_predict(embeddings.astype(np.float64)), dtype=np.int64)
    _, first, labels, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    return np.asarray(np.argsort(order)[labels], dtype=np.int64)


def places_of_clusters(sizes: IntArray, places: int) -> IntArray:
    """Deal places out in proportion to sizes by largest remainders (Hamilton's method).

    Parameters
    ----------
    sizes : ndarray of int64, shape (clusters,)
        How many candidates each cluster has.
    places : int
        At most the sum of the sizes.

    Returns
    -------
    ndarray of int64, shape (clusters,)
        Sums to `places`; never more than a cluster's size. Of equal remainders the first cluster's wins.
    """
    total = int(sizes.sum())
    if not 0 <= places <= total:
        raise ValueError(f"{places} places cannot be dealt out over {total} candidates")
    if not places:
        return np.zeros_like(sizes)
    # In whole numbers: remainders that are equal must not differ in the last bit.
    shares, remainders = np.divmod(sizes * places, total)
    missing = places - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return np.asarray(shares, dtype=np.int64)


def choose(
    score: FloatArray,
    clusters: IntArray,
    size: int,
    diversity: float,
    categories: IntArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Choose the best samples: some from every cluster in proportion, the others wherever they are.

    A category that has no sample among those of the clusters gets one of the remaining places, as long as there are
    some, the categories with most candidates first; so that a topic which the clusters did not see is not lost either.

    Parameters
    ----------
    score : ndarray of float64, shape (samples,)
        Higher is better; nan for a sample that is not a candidate.
    clusters : ndarray of int64, shape (samples,)
        Each sample's cluster.
    size : int
        How many are wanted; at most the number of candidates.
    diversity : float
        The share of the places that is dealt out over the clusters, in [0, 1]; 0 looks at no category either.
    categories : ndarray of int64, shape (samples,), optional
        Each sample's category, -1 for none.

    Returns
    -------
    dealt : ndarray of int64
        Positions of the samples that got a place of their cluster or category, ascending.
    others : ndarray of int64
        Positions of those that got one of the remaining places by their score alone, ascending.
    """
    candidates = ~np.isnan(score)
    sizes = np.bincount(clusters[candidates], minlength=int(clusters.max()) + 1)
    places = places_of_clusters(sizes, round(diversity * size))
    # Best first; of equal scores the one that stands first in the pool.
    best_first = np.argsort(np.where(candidates, -score, np.inf), kind="stable")[: int(candidates.sum())]
    of_cluster = clusters[best_first]
    is_dealt = members_in_order(of_cluster) < places[of_cluster]
    if categories is not None and diversity > 0:
        missed = _best_of_missed(categories[best_first], is_dealt)
        is_dealt[missed[: size - int(is_dealt.sum())]] = True
    others = best_first[~is_dealt][: size - int(is_dealt.sum())]
    return np.sort(best_first[is_dealt]), np.sort(others)


def _best_of_missed(categories: IntArray, is_dealt: BoolArray) -> IntArray:
    """Find the first member of each category of which none is dealt, the largest such category first."""
    found, first, sizes = np.unique(categories, return_index=True, return_counts=True)
    missed = ~np.isin(found, categories[is_dealt]) & (found >= 0)
    order = np.argsort(-sizes[missed], kind="stable")
    return np.asarray(first[missed][order], dtype=np.int64)


def members_in_order(clusters: IntArray) -> IntArray:
    """Count each cluster's members from 0 in the order in which they stand."""
    order = np.argsort(clusters, kind="stable")
    ordered = clusters[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    numbers = np.arange(len(clusters)) - np.repeat(starts, np.diff(np.r_[starts, len(clusters)]))
    places = np.empty(len(clusters), dtype=np.int64)
    places[order] = numbers
    return places
