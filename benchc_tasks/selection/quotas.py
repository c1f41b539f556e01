"""Quotas: how many places of a subset each group of samples gets, in the pool's proportions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, eye_array, hstack, vstack

from benchc_tasks.selection.diversity import members_in_order
from benchc_tasks.selection.pool import Pool

__all__ = ["STRATA", "Cells", "Stratum", "cells_of", "places_of_cells", "targets_of_cells"]

Stratum = Literal["letter", "category", "text"]
STRATA: tuple[Stratum, ...] = get_args(Stratum)

TOLERANCE = 1e-9
"""A target this close to a whole number is that number."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """The groups in which quotas hold, for each of n samples.

    Attributes
    ----------
    cell : ndarray of int64, shape (n,)
        The finest group: of the same letter, category and (where asked for) text of the right option.
    letter : ndarray of int64, shape (n,)
        Index of the right option; all 0 where letters are not a stratum.
    groupings : tuple of ndarray of int64, shape (n,)
        Coarser groups in which quotas hold as well: categories, texts, and both by letter.
    """

    cell: IntArray
    letter: IntArray
    groupings: tuple[IntArray, ...]


def cells_of(strata: Sequence[Stratum], pool: Pool, kinds: IntArray, size: int) -> Cells:
    """Group a pool's samples.

    Parameters
    ----------
    strata : sequence of {"letter", "category", "text"}
    pool : Pool of n samples
    kinds : ndarray of int64, shape (n,)
        Each sample's category, or its topic where it has none.
    size : int
        Of the subset. Texts that would get less than one place are one group.
    """
    letter = pool.answers if "letter" in strata else np.zeros(len(pool), dtype=np.int64)
    others = []
    if "category" in strata:
        others.append(kinds)
    if "text" in strata:
        others.append(_frequent(pool.right_text_codes, len(pool) / size))
    groupings = [crossed for other in others for crossed in (other, _crossed(letter, other))]
    return Cells(_crossed(letter, *others), letter, tuple(groupings))


def places_of_cells(cells: Cells, candidates: BoolArray, score: FloatArray, size: int) -> IntArray:
    """Give each cell its places: its share of the pool, rounded up or down so that the scores' sum is largest.

    Every letter, every category, and every cell gets its share rounded up or down. Which way is decided by the scores
    of the samples next in line (controlled rounding, Cox 1987). What a cell lacks in candidates goes to the other cells
    of its letter, then to other letters.

    Parameters
    ----------
    cells : Cells of n samples
    candidates : ndarray of bool, shape (n,)
    score : ndarray of float64, shape (n,)
        Higher is better.
    size : int
        At most the number of candidates.

    Returns
    -------
    ndarray of int64, shape (cells,)
        Sums to `size`.

    Raises
    ------
    ValueError
        If there are fewer candidates than places.
    """
    targets = targets_of_cells(cells, candidates, size)
    places = np.floor(targets + TOLERANCE).astype(np.int64)
    is_split = targets - places > TOLERANCE
    best_first = np.flatnonzero(candidates)
    best_first = best_first[np.argsort(-score[best_first], kind="stable")]
    of_cell = cells.cell[best_first]
    next_in_line = best_first[is_split[of_cell] & (members_in_order(of_cell) == places[of_cell])]
    if len(next_in_line):
        places[cells.cell[_rounded_up(cells, next_in_line, targets, score)]] += 1
    return places


def targets_of_cells(cells: Cells, candidates: BoolArray, size: int) -> FloatArray:
    """Compute each cell's share of the places, at most its candidates.

    Returns
    -------
    ndarray of float64, shape (cells,)
        Sums to `size`.
    """
    in_pool, available = (_counts(cells.cell[rows], cells.cell) for rows in (slice(None), candidates))
    letter_of_cell = _group_of_cell(cells, cells.letter)
    room = _counts(cells.letter[candidates], cells.letter)
    if size > room.sum():
        raise ValueError(f"{size} places cannot be filled with {int(room.sum())} candidates")
    targets = np.zeros(len(in_pool))
    for letter, places in enumerate(_shares(_counts(cells.letter, cells.letter), room, size).tolist()):
        own = letter_of_cell == letter
        targets[own] = _shares(in_pool[own], available[own], places)
    return targets


def _rounded_up(cells: Cells, next_in_line: IntArray, targets: FloatArray, score: FloatArray) -> IntArray:
    """Choose the samples whose cells are rounded up.

    The bounds of letters and of one other grouping form a network, so that a choice exists that keeps all of them. With
    a third stratum it may not: then a group may miss its bounds, by as little as possible.
    """
    whole = np.floor(targets + TOLERANCE)
    rows, least, most = [csr_array(np.ones((1, len(next_in_line))))], [], []
    for groups in (cells.letter, *cells.groupings):
        of_cell = _group_of_cell(cells, groups)
        share, given = (np.bincount(of_cell, values, minlength=int(groups.max()) + 1) for values in (targets, whole))
        rows.append(_membership(groups, next_in_line))
        least.append(np.floor(share + TOLERANCE) - given)
        most.append(np.ceil(share - TOLERANCE) - given)
    missing = np.array([round(float((targets - whole).sum()))])
    bounds = (np.concatenate([missing, *ends]) for ends in (least, most))
    return next_in_line[_best_choice(score[next_in_line], csr_array(vstack(rows)), *bounds)]


def _best_choice(values: FloatArray, rows: csr_array, least: FloatArray, most: FloatArray) -> BoolArray:
    """Choose items of the largest total value between bounds; all but the first bound may be missed, at a cost."""
    count, soft = len(values), rows.shape[0] - 1
    # A bound missed by one costs more than any choice can gain.
    cost = np.concatenate([-values, np.full(2 * soft, 2 * np.abs(values).sum() + 1)])
    miss = vstack([csr_array((1, soft)), eye_array(soft)])
    found = milp(
        cost,
        constraints=LinearConstraint(csr_array(hstack([rows, miss, -miss])), least, most),
        bounds=Bounds(0, np.concatenate([np.ones(count), np.full(2 * soft, np.inf)])),
        integrality=np.concatenate([np.ones(count), np.zeros(2 * soft)]),
    )
    if found.x is None:
        raise RuntimeError(f"the quotas could not be rounded: {found.message}")
    return np.asarray(found.x[:count] > 0.5)


def _membership(groups: IntArray, samples: IntArray) -> csr_array:
    """Mark which samples are in which group, shape (groups, samples)."""
    ones = np.ones(len(samples))
    return csr_array((ones, (groups[samples], np.arange(len(samples)))), shape=(int(groups.max()) + 1, len(samples)))


def _group_of_cell(cells: Cells, groups: IntArray) -> IntArray:
    found = np.zeros(int(cells.cell.max()) + 1, dtype=np.int64)
    found[cells.cell] = groups
    return found


def _shares(weights: IntArray, room: IntArray, places: float) -> FloatArray:
    """Share places out in proportion to weights, none above its room; what is above it goes to the others."""
    shares, is_open = np.zeros(len(weights)), np.ones(len(weights), dtype=bool)
    while is_open.any():
        left = places - shares[~is_open].sum()
        shares[is_open] = left * weights[is_open] / weights[is_open].sum()
        is_over = is_open & (shares > room)
        if not is_over.any():
            break
        shares[is_over] = room[is_over]
        is_open &= ~is_over
    return shares


def _counts(groups: IntArray, all_groups: IntArray) -> IntArray:
    return np.bincount(groups, minlength=int(all_groups.max()) + 1)


def _crossed(*labels: IntArray) -> IntArray:
    """Give each combination of labels a number, from 0."""
    _, found = np.unique(np.stack(labels), axis=1, return_inverse=True)
    return np.asarray(found.reshape(-1), dtype=np.int64)


def _frequent(codes: IntArray, least: float) -> IntArray:
    """Put the groups with fewer than `least` members together, as group 0."""
    sizes = np.bincount(codes)
    return np.where(sizes[codes] >= least, codes + 1, 0)
