"""The figures of a sample and of a run, from option log-likelihoods, under the names that all outputs use.

A pair is valid if both its conditions are. A sample whose clean condition is invalid has no valid pair: it counts in
`invalid_pairs` with all its pairs and is left out of every other figure. Figures "of the pairs" are a sample's means
over its valid pairs, averaged over the samples that have one, so that each sample weighs the same; where no pair is
invalid that is the mean over all pairs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchc_metrics.metrics import ras
from benchc_metrics.metrics.calibration import DEFAULT_BINS, CalibrationBins, brier_score, negative_log_likelihood
from benchc_metrics.records import SampleRecord
from benchc_metrics.responses import answer_indices, option_counts, option_distribution, valid_conditions

__all__ = [
    "METRICS",
    "FiguresOfSamples",
    "figures_of_samples",
    "relative_drop",
    "run_figures",
    "sample_figures",
]

METRICS = (
    "acc_clean",
    "acc_corrupted",
    "acc_drop",
    "ras",
    "ras_destructive",
    "ras_corrective",
    "erroneous_confidence",
    "hesitation",
    "flip",
    "destroyed",
    "corrected",
    "brier_clean",
    "brier_corrupted",
    "nll_clean",
    "nll_corrupted",
    "ece_clean",
    "ece_corrupted",
    "invalid_pairs",
)
"""Names of the figures of a run, in the order in which reports show them."""


class FiguresOfSamples(NamedTuple):
    """What each sample contributes to a run's figures.

    Attributes
    ----------
    figures : dict of str to ndarray of float64, shape (samples,)
        All of `METRICS` that one sample has; nan where the sample has no such answer or pair. `ras_destructive` is the
        sample's `ras` if its clean answer is right and nan if not, `ras_corrective` the other way round.
    confidence, correct : ndarray of float64, shape (samples, conditions)
        Of each answer, clean first; nan where it is left out.
    """

    figures: dict[str, NDArray[np.float64]]
    confidence: NDArray[np.float64]
    correct: NDArray[np.float64]


def figures_of_samples(
    log_likelihoods: ArrayLike, answer: ArrayLike, option_count: ArrayLike | None = None
) -> FiguresOfSamples:
    """Per-sample figures of one model's answers.

    Parameters
    ----------
    log_likelihoods : array_like of float, shape (samples, conditions, options)
        In nats; the first condition is the clean one. nan marks an invalid condition, -inf pads samples with fewer
        options.
    answer : array_like of int, shape (samples,)
        Index of the right option.
    option_count : array_like of int, shape (samples,), optional
        Each sample's own number of options; the width of the options axis where it is not given.

    Returns
    -------
    FiguresOfSamples

    Raises
    ------
    ValueError
        If the array has not three axes or no condition, an answer is none of its sample's options, or an option count
        is impossible.
    """
    logits = np.asarray(log_likelihoods, dtype=np.float64)
    if logits.ndim != 3 or logits.shape[1] < 1:
        raise ValueError(f"log-likelihoods of shape {logits.shape} are not (samples, conditions, options), clean first")
    counts = option_counts(logits.shape, option_count)
    answers = answer_indices(logits.shape, answer, option_count)
    valid = valid_conditions(logits, counts)
    valid &= valid[:, :1]
    p = option_distribution(np.where(valid[..., np.newaxis], logits, np.nan), counts)
    clean, corrupted = p[:, :1], p[:, 1:]
    correct = ras.correctness(p, answers)
    brier, nll = brier_score(p, answers), negative_log_likelihood(p, answers)
    figures = {
        "acc_clean": correct[:, 0],
        "acc_corrupted": _mean_of_valid(correct[:, 1:]),
        "ras": _mean_of_valid(ras.robustness_alignment_score(clean, corrupted, answers, counts)),
        "brier_clean": brier[:, 0],
        "brier_corrupted": _mean_of_valid(brier[:, 1:]),
        "nll_clean": nll[:, 0],
        "nll_corrupted": _mean_of_valid(nll[:, 1:]),
        "invalid_pairs": np.count_nonzero(~valid[:, 1:], axis=1).astype(np.float64),
    }
    figures["ras_destructive"] = np.where(figures["acc_clean"] == 1, figures["ras"], np.nan)
    figures["ras_corrective"] = np.where(figures["acc_clean"] == 0, figures["ras"], np.nan)
    for name, shown in ras.patterns(clean, corrupted, answers, counts)._asdict().items():
        figures[name] = _mean_of_valid(np.where(valid[:, 1:], shown, np.nan))
    return FiguresOfSamples(figures, ras.confidence(p), correct)


def run_figures(
    log_likelihoods: ArrayLike, answer: ArrayLike, option_count: ArrayLike | None = None, bins: int = DEFAULT_BINS
) -> dict[str, float]:
    """All figures of a run of one model, by their names in `METRICS` and in that order.

    Parameters
    ----------
    log_likelihoods, answer, option_count
        As in `figures_of_samples`.
    bins : int, default 15
        Number of equal-width bins of the two ECEs.

    Returns
    -------
    dict of str to float
        nan for a figure that no sample has; `invalid_pairs` is a count.

    Raises
    ------
    ValueError
        As in `figures_of_samples`.
    """
    of_samples = figures_of_samples(log_likelihoods, answer, option_count)
    run = {name: float(_mean_of_valid(values)) for name, values in of_samples.figures.items()}
    run["invalid_pairs"] = float(of_samples.figures["invalid_pairs"].sum())
    has_pair = ~np.isnan(of_samples.figures["acc_corrupted"])
    run["acc_drop"] = relative_drop(
        float(_mean_of_valid(of_samples.figures["acc_clean"][has_pair])), run["acc_corrupted"]
    )
    for name, conditions in (("ece_clean", slice(0, 1)), ("ece_corrupted", slice(1, None))):
        confidences, corrects = of_samples.confidence[:, conditions], of_samples.correct[:, conditions]
        kept = ~np.isnan(confidences)
        answers = CalibrationBins.from_answers(confidences[kept], corrects[kept], bins)
        run[name] = answers.error() if answers.answers else np.nan
    return {name: run[name] for name in METRICS}


def relative_drop(clean: float, corrupted: float) -> float:
    """Relative drop of accuracy, `(clean - corrupted) / clean`.

    Returns
    -------
    float
        At most 1; negative where corruption helped; nan where nothing was right to begin with.
    """
    return (clean - corrupted) / clean if clean > 0 else float("nan")


def sample_figures(record: SampleRecord) -> dict[str, Any]:
    """Make what one sample gives to each aggregator: the metrics that `process_results` returns to lmms-eval.

    lmms-eval computes a standard error from all items that are plain numbers, which is right for a mean; the other
    items are made so that it writes "N/A" there.

    Parameters
    ----------
    record : SampleRecord

    Returns
    -------
    dict
        For each of `METRICS` the item that the aggregator of this name (or `mean`) takes: a float or None for a mean;
        for `acc_drop` the list of clean and corrupted accuracy, or None; for `ece_clean` and `ece_corrupted` a list of
        `[confidence, correctness]`; for `invalid_pairs` the list of the numbers of invalid pairs and of all pairs.
    """
    figures, confidences, corrects = _figures_of_record(record)
    items: dict[str, Any] = {name: _plain(values[0]) for name, values in figures.items()}
    has_pair = items["acc_corrupted"] is not None
    items["acc_drop"] = [items["acc_clean"], items["acc_corrupted"]] if has_pair else None
    answers = [
        None if np.isnan(confidence) else [confidence, correct]
        for confidence, correct in zip(confidences[0].tolist(), corrects[0].tolist(), strict=True)
    ]
    items["ece_clean"] = [answer for answer in answers[:1] if answer]
    items["ece_corrupted"] = [answer for answer in answers[1:] if answer]
    items["invalid_pairs"] = [int(items["invalid_pairs"]), len(record.conditions) - 1]
    return {name: items[name] for name in METRICS}


def _figures_of_record(record: SampleRecord) -> FiguresOfSamples:
    width = record.option_count or record.answer + 2
    nothing = (np.nan,) * width
    log_likelihoods = [nothing if options is None else options for options in record.log_likelihoods or ()]
    return figures_of_samples([log_likelihoods], [record.answer])


def _mean_of_valid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis of what is not nan, and nan where nothing is left (without numpy's warning)."""
    valid = ~np.isnan(values)
    number = np.count_nonzero(valid, axis=-1)
    total = np.where(valid, values, 0.0).sum(axis=-1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _plain(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
