"""Fill the places of cells: by score, and so that models keep the order that they have on the pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.selection.diversity import members_in_order

__all__ = ["fill_cells"]

ROUNDS = 50
"""The misfit is looked at this often while places are filled; more often changes no result beyond chance."""

REACH = 3
"""Of each cell this many of the best candidates a place are looked at, so that the time does not grow with the pool."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def fill_cells(cell: IntArray, places: IntArray, score: FloatArray, misfit: FloatArray | None = None) -> IntArray:
    """Fill the places of every cell.

    Without a misfit each cell's places go to its samples of the highest scores. With one, places are filled in rounds:
    from each sample's score is subtracted what it would add to the misfit of the subset so far,
    `(|e + r|^2 - |e|^2) / (M sqrt(n))` for M models, n places, the sample's misfit r and the sum e of those chosen.
    The division by sqrt(n) holds the misfit of a model's accuracy against the standard error of that accuracy.

    Parameters
    ----------
    cell : ndarray of int64, shape (samples,)
    places : ndarray of int64, shape (cells,)
        At most the number of a cell's samples that have a score.
    score : ndarray of float64, shape (samples,)
        Higher is better; nan for a sample that is not a candidate. With a misfit, in its unit: the covariance with
        scores of standard deviation 1.
    misfit : ndarray of float64, shape (models, samples), optional
        See `scores.misfit_of`.

    Returns
    -------
    ndarray of int64, shape (sum of the places,)
        Positions of the samples, ascending. Of equal scores the first in the pool wins.
    """
    best_first = np.argsort(np.where(np.isnan(score), np.inf, -score), kind="stable")
    best_first = best_first[: int((~np.isnan(score)).sum())]
    reach = places if misfit is None else REACH * places
    near = best_first[members_in_order(cell[best_first]) < reach[cell[best_first]]]
    if misfit is None:
        return np.sort(near)
    left, error, chosen = places.copy(), np.zeros(len(misfit)), []
    of_cell, gain, remainder = cell[near], score[near], misfit[:, near]
    size = int(places.sum())
    scale = len(misfit) * np.sqrt(size)
    own = (remainder**2).sum(axis=0)
    is_open = np.ones(len(near), dtype=bool)
    for count in np.diff(np.linspace(0, size, min(ROUNDS, size) + 1).round().astype(int)):
        value = gain - (2 * _products(error, remainder) + own) / scale
        order = np.argsort(np.where(is_open, -value, np.inf), kind="stable")[: int(is_open.sum())]
        fits = members_in_order(of_cell[order]) < left[of_cell[order]]
        taken = order[fits][:count]
        is_open[taken] = False
        np.subtract.at(left, of_cell[taken], 1)
        error += remainder[:, taken].sum(axis=1)
        chosen.append(near[taken])
    return np.sort(np.concatenate(chosen)) if chosen else near[:0]


def _products(error: FloatArray, remainder: FloatArray) -> FloatArray:
    """Multiply without BLAS, whose sums depend on the number of threads."""
    return np.asarray(np.einsum("m,mn->n", error, remainder))
