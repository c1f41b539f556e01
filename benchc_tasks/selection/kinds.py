"""Sort samples into kinds: the pool's categories, and topics found in the texts where there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.selection.diversity import cluster_count, cluster_texts
from benchc_tasks.selection.pool import Pool

__all__ = ["PLACES_PER_KIND", "Kinds", "kinds_of", "topic_names", "topics_of"]

PLACES_PER_KIND = 10
"""Places of a subset for each topic that takes the place of a category: two or three for each letter of four."""

NAMED_MEMBERS = 50
"""Texts of a topic that are read for its name."""

IntArray = NDArray[np.int64]
Embed = Callable[[], NDArray[np.float32]]


@dataclass(frozen=True)
class Kinds:
    """The kind of each of n samples.

    Attributes
    ----------
    labels : ndarray of int64, shape (n,)
        From 0.
    names : tuple of str
        One a label: the category's name, or a topic's commonest words.
    clusters : int or None
        How many topics were looked for; None where every sample has a category.
    """

    labels: IntArray
    names: tuple[str, ...]
    clusters: int | None


def kinds_of(pool: Pool, embeddings: Embed, clusters: int | None, size: int, seed: int) -> Kinds:
    """Take each sample's category, and sort samples without one into topics.

    Parameters
    ----------
    pool : Pool of n samples
    embeddings : callable
        Returns an ndarray of float32, shape (n, dimensions); called only where a sample has no category.
    clusters : int or None
        Number of topics; by default one for every ten places that these samples can expect.
    size : int
        Of the subset.
    seed : int
    """
    labels = pool.category_codes.copy()
    bare = np.flatnonzero(labels < 0)
    if not len(bare):
        return Kinds(labels, pool.category_names, None)
    wanted = clusters or cluster_count(size * len(bare) / len(pool), len(bare), PLACES_PER_KIND)
    topics = cluster_texts(embeddings()[bare], wanted, seed)
    labels[bare] = topics + len(pool.category_names)
    return Kinds(labels, (*pool.category_names, *topic_names([pool.texts[row] for row in bare], topics)), wanted)


def topics_of(pool: Pool, embeddings: Embed, clusters: int | None, size: int, seed: int) -> Kinds:
    """Sort all samples into topics, whatever their categories; by default one for every five places."""
    wanted = clusters or cluster_count(size, len(pool))
    topics = cluster_texts(embeddings(), wanted, seed)
    return Kinds(topics, topic_names(pool.texts, topics), wanted)


def topic_names(texts: Sequence[str], topics: IntArray) -> tuple[str, ...]:
    """Name each topic by the two words that are commonest in it against the others (Salton's term weights).

    Parameters
    ----------
    texts : sequence of n str
    topics : ndarray of int64, shape (n,)
        From 0, none without a member.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    count = int(topics.max()) + 1
    order = np.argsort(topics, kind="stable")
    starts = np.searchsorted(topics[order], np.arange(count))
    joined = [
        "\n".join(texts[row] for row in members[:NAMED_MEMBERS].tolist()) for members in np.split(order, starts[1:])
    ]
    weigh = TfidfVectorizer(stop_words="english", sublinear_tf=True, token_pattern=r"(?u)\b[^\W\d_]{2,}\b")
    try:
        weights = weigh.fit_transform(joined)
    except ValueError:
        # Not one word is left.
        return tuple(f"topic {number + 1}" for number in range(count))
    words = weigh.get_feature_names_out()
    names = []
    for number in range(count):
        row = weights[[number]]
        best = row.indices[np.lexsort((row.indices, -row.data.round(9)))][:2]
        names.append(", ".join(words[best].tolist()) or f"topic {number + 1}")
    return tuple(names)
