"""The figures of generated answers, from the options that they name; their definitions are those of choice scoring.

A pair is valid if both its conditions are, as in `benchc_metrics.metrics.sample_metrics`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchc_metrics.records import SampleRecord
from benchc_tasks.stacks.lmms_eval.generation_aggregators import RAS_NOT_DEFINED, PairedCounts, SampleShare

__all__ = ["GENERATION_METRICS", "FiguresOfPredictions", "figures_of_predictions", "generation_figures"]

GENERATION_METRICS = (
    "acc_clean",
    "acc_corrupted",
    "acc_drop",
    "flip",
    "destroyed",
    "corrected",
    "invalid_pairs",
    "ras",
)
"""Names of what a `benchc-gen` task reports; `ras` is there to say that it is not defined."""


class FiguresOfPredictions(NamedTuple):
    """What each sample contributes to a run's figures; every field is an array of shape (samples,).

    Attributes
    ----------
    acc_clean : ndarray of float64
        1 if the clean answer is right, 0 if not, nan if it is invalid.
    acc_corrupted, flip, destroyed, corrected : ndarray of float64
        Shares of the sample's valid pairs; nan if it has none.
    pairs, invalid_pairs : ndarray of int64
        Numbers of its valid and of its invalid pairs.
    """

    acc_clean: NDArray[np.float64]
    acc_corrupted: NDArray[np.float64]
    flip: NDArray[np.float64]
    destroyed: NDArray[np.float64]
    corrected: NDArray[np.float64]
    pairs: NDArray[np.int64]
    invalid_pairs: NDArray[np.int64]


def figures_of_predictions(predictions: ArrayLike, answer: ArrayLike) -> FiguresOfPredictions:
    """Per-sample figures of one model's predictions.

    Parameters
    ----------
    predictions : array_like of int, shape (samples, conditions)
        Indices of the options that the answers name, -1 where an answer is invalid; the first condition is the clean
        one.
    answer : array_like of int, shape (samples,)
        Index of the right option.

    Returns
    -------
    FiguresOfPredictions

    Raises
    ------
    ValueError
        If the predictions have not two axes or no condition, or the answers are not one for each sample.
    """
    predicted = np.asarray(predictions, dtype=np.int64)
    right_option = np.asarray(answer, dtype=np.int64)
    if predicted.ndim != 2 or predicted.shape[1] < 1:
        raise ValueError(f"predictions of shape {predicted.shape} are not (samples, conditions), clean first")
    if right_option.shape != predicted.shape[:1]:
        raise ValueError(f"answers of shape {right_option.shape} are not one for each of {predicted.shape[0]} samples")
    clean, corrupted = predicted[:, :1], predicted[:, 1:]
    valid = (clean >= 0) & (corrupted >= 0)
    clean_right, corrupted_right = (part == right_option[:, np.newaxis] for part in (clean, corrupted))
    return FiguresOfPredictions(
        acc_clean=_share(clean_right, clean >= 0),
        acc_corrupted=_share(corrupted_right, valid),
        flip=_share(clean != corrupted, valid),
        destroyed=_share(clean_right & ~corrupted_right, valid),
        corrected=_share(~clean_right & corrupted_right, valid),
        pairs=np.count_nonzero(valid, axis=1),
        invalid_pairs=np.count_nonzero(~valid, axis=1),
    )


def generation_figures(record: SampleRecord) -> dict[str, Any]:
    """Make what one sample gives to each aggregator: the metrics that `process_results` returns to lmms-eval.

    Parameters
    ----------
    record : SampleRecord

    Returns
    -------
    dict
        For each of `GENERATION_METRICS` the item that its aggregator takes: a `SampleShare` or None; for `acc_drop` a
        `PairedCounts` or None; for `invalid_pairs` the list of the numbers of invalid pairs and of all pairs; for
        `ras` a text.
    """
    figures = figures_of_predictions(
        [[-1 if option is None else option for option in record.predictions]], [record.answer]
    )
    pairs, invalid = int(figures.pairs[0]), int(figures.invalid_pairs[0])
    shares: dict[str, SampleShare | None] = {}
    for name in ("acc_clean", "acc_corrupted", "flip", "destroyed", "corrected"):
        share, answers = float(getattr(figures, name)[0]), 1 if name == "acc_clean" else pairs
        shares[name] = None if np.isnan(share) else SampleShare(record.sample, round(share * answers), answers)
    clean, corrupted = shares["acc_clean"], shares["acc_corrupted"]
    items = {
        **shares,
        "acc_drop": None
        if clean is None or corrupted is None
        else PairedCounts(record.sample, clean.having * pairs, corrupted.having, pairs),
        "invalid_pairs": [invalid, pairs + invalid],
        "ras": RAS_NOT_DEFINED,
    }
    return {name: items[name] for name in GENERATION_METRICS}


def _share(shown: NDArray[np.bool_], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of what is valid, over the last axis; nan where nothing is."""
    number = np.count_nonzero(valid, axis=1)
    share = np.count_nonzero(shown & valid, axis=1) / np.maximum(number, 1)
    return np.where(number > 0, share, np.nan)
