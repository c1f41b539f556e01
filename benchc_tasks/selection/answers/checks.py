"""Check that values fit their samples: one for each option, probabilities that sum to 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.selection.answers.batches import AnswerBatch
from benchc_tasks.selection.answers.values import fit_width
from benchc_tasks.selection.pool import Pool

__all__ = ["checked_values"]

SUM_TOLERANCE = 1e-3
"""Largest difference of a sample's sum of probabilities from 1: that of three decimals."""


def checked_values(
    batch: AnswerBatch, values: NDArray[np.float64], lengths: NDArray[np.int64], pool: Pool
) -> AnswerBatch:
    """Give a batch its values, one for each option.

    Parameters
    ----------
    batch : AnswerBatch of n answers
        Its own values do not count.
    values : ndarray of float64, shape (n, any width)
        nan beyond a row's options.
    lengths : ndarray of int64, shape (n,)
        How many options each row has; 0 where a model gave no answer at all.
    pool : Pool
        Says how many there are to be.

    Returns
    -------
    AnswerBatch
        With values of shape (n, width of the pool). A row whose values are not a distribution is nan throughout.

    Raises
    ------
    ValueError
        If a row has another number of options than its sample, or probabilities that are negative or do not sum to 1;
        one sentence that names model, sample and condition.
    """
    known = batch.sample >= 0
    wanted = np.where(known, pool.option_counts[batch.sample], lengths)
    for row in np.flatnonzero((lengths != wanted) & (lengths > 0))[:1].tolist():
        raise ValueError(
            f"{batch.describe(row, pool)} has values for {lengths[row]} options where the pool has {wanted[row]}; "
            "give one value for each of the sample's options"
        )
    is_option = np.arange(pool.width) < wanted[:, np.newaxis]
    fitted = np.where(is_option, fit_width(values, pool.width, np.nan), 0.0)
    if batch.kind == "probabilities":
        _check_probabilities(batch, fitted, known, pool)
        return replace(batch, values=fitted)
    return replace(batch, values=np.where(is_option, fitted, -np.inf))


def _check_probabilities(batch: AnswerBatch, fitted: NDArray[np.float64], known: NDArray[np.bool_], pool: Pool) -> None:
    sums = fitted.sum(axis=1)
    wrong = known & np.isfinite(sums) & ((np.abs(sums - 1) > SUM_TOLERANCE) | (fitted.min(axis=1) < 0))
    for row in np.flatnonzero(wrong)[:1].tolist():
        raise ValueError(
            f"{batch.describe(row, pool)} has probabilities that sum to {sums[row]:.4g}, the least of them "
            f"{fitted[row].min():.4g}; give numbers of at least 0 that sum to 1, or name the columns logits"
        )
