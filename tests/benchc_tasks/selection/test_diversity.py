from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from benchc_tasks.selection.diversity import choose, cluster_count, cluster_texts, places_of_clusters


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.floats(0, 1))
def test_places_are_dealt_out_in_proportion(sizes: list[int], share: float) -> None:
    counts = np.array(sizes, dtype=np.int64)
    places = round(share * counts.sum())
    dealt = places_of_clusters(counts, places)
    assert dealt.sum() == places
    assert (dealt >= 0).all()
    assert (dealt <= counts).all()
    # Quota: no cluster is a whole place away from its exact share.
    assert (abs(dealt - counts * places / max(counts.sum(), 1)) < 1).all()


def test_equal_remainders_go_to_the_first_cluster() -> None:
    assert places_of_clusters(np.array([10, 10, 10]), 4).tolist() == [2, 1, 1]
    with pytest.raises(ValueError, match="5 places cannot be dealt out over 4 candidates"):
        places_of_clusters(np.array([4]), 5)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_the_best_of_every_cluster_and_of_the_rest_are_chosen(
    samples: int, clusters: int, seed: int, diversity: float
) -> None:
    draw = np.random.default_rng(seed)
    score = np.where(draw.random(samples) < 0.8, draw.random(samples).round(1), np.nan)
    labels = draw.integers(clusters, size=samples)
    size = int(draw.integers(0, (~np.isnan(score)).sum() + 1))
    dealt, others = choose(score, labels, size, diversity)
    chosen = np.concatenate([dealt, others])
    assert len(np.unique(chosen)) == len(chosen) == size
    assert not np.isnan(score[chosen]).any()
    assert len(dealt) == round(diversity * size)
    left = np.setdiff1d(np.flatnonzero(~np.isnan(score)), chosen)
    if len(left) and len(others):
        assert score[left].max() <= score[others].min()
    for label in range(clusters):
        mine, rest = dealt[labels[dealt] == label], left[labels[left] == label]
        if len(mine) and len(rest):
            assert score[rest].max() <= score[mine].min()


def test_equal_scores_go_by_the_place_in_the_pool() -> None:
    dealt, others = choose(np.ones(6), np.array([1, 0, 1, 0, 1, 0]), 3, 0.67)
    assert (dealt.tolist(), others.tolist()) == ([0, 1], [2])


def test_a_category_that_the_clusters_missed_gets_a_place() -> None:
    score = np.linspace(1, 0, 20)
    clusters = np.zeros(20, dtype=np.int64)
    categories = np.array([0] * 16 + [1, 1, 2, -1])
    dealt, others = choose(score, clusters, 6, 0.5, categories)
    assert (dealt.tolist(), others.tolist()) == ([0, 1, 2, 16, 18], [3])
    dealt, others = choose(score, clusters, 4, 0.75, categories)
    assert (dealt.tolist(), others.tolist()) == ([0, 1, 2, 16], [])
    dealt, others = choose(score, clusters, 4, 0.0, categories)
    assert (dealt.tolist(), others.tolist()) == ([], [0, 1, 2, 3])


def test_clusters_are_the_same_for_a_seed_whatever_the_number_of_threads() -> None:
    points = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            found.append(cluster_texts(points, 12, seed=4))
    assert np.array_equal(*found)
    assert not np.array_equal(found[0], cluster_texts(points, 12, seed=5))
    sizes = np.bincount(found[0])
    assert (np.diff(sizes) <= 0).all()


def test_clear_groups_are_found() -> None:
    draw = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], [50, 30, 20])
    points = (np.eye(3)[groups] * 5 + draw.normal(scale=0.1, size=(100, 3))).astype(np.float32)
    assert np.array_equal(cluster_texts(points, 3, seed=0), groups)


def test_fewer_distinct_points_than_clusters() -> None:
    points = np.repeat(np.eye(2, dtype=np.float32), 5, axis=0)
    assert cluster_texts(points, 6, seed=0).tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize(("size", "samples", "clusters"), [(849, 5000, 170), (200, 1176, 40), (3, 100, 2), (10, 2, 1)])
def test_number_of_clusters(size: int, samples: int, clusters: int) -> None:
    assert cluster_count(size, samples) == clusters
