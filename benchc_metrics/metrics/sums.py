"""The figures of a run as functions of sums over its samples, so that all resamples can be computed at once.

The same figures as `benchc_metrics.metrics.sample_metrics.run_figures`, which says what each is, for any view of a
run: all of it, a corruption, a severity, a condition, a category of samples. Here they are split into what each sample
adds to some sums (`PairValues.terms`) and a function of the sums (`figures_of_sums`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import inf
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.benchmark import Condition
from benchc_metrics.metrics import ras
from benchc_metrics.metrics.calibration import DEFAULT_BINS, brier_score, negative_log_likelihood
from benchc_metrics.metrics.sample_metrics import METRICS
from benchc_metrics.runs import Run
from benchc_metrics.statistics.resampling import IntervalMethod

__all__ = [
    "FIGURES",
    "HEADLINE",
    "TERMS",
    "Figure",
    "PairValues",
    "View",
    "calibration_noise",
    "category_views",
    "condition_views",
    "corruption_views",
    "figures_of_sums",
    "severity_views",
    "whole_run",
]


@dataclass(frozen=True)
class Figure:
    """What is known about a figure without any data.

    Attributes
    ----------
    name : str
        As in results, logs and reports.
    title : str
        For the head of a column.
    meaning : str
        In a sentence.
    higher_is_better : bool
    minimum, maximum : float
        Its possible range; infinite where there is no limit.
    interval : {"bca", "basic"}
        Which bootstrap interval it gets.
    """

    name: str
    title: str
    meaning: str
    higher_is_better: bool
    minimum: float
    maximum: float
    interval: IntervalMethod = "bca"


def _figures(*figures: Figure) -> Mapping[str, Figure]:
    return MappingProxyType({figure.name: figure for figure in figures})


FIGURES = _figures(
    Figure("acc_clean", "acc clean", "Accuracy on the clean images.", True, 0, 1),
    Figure("acc_corrupted", "acc corrupted", "Accuracy under corruption.", True, 0, 1),
    Figure("acc_drop", "acc drop", "Share of the clean accuracy that corruption costs.", False, -inf, 1),
    Figure("ras", "RAS", "Robustness Alignment Score: shift of calibration less shift of uncertainty.", True, -2, 1),
    Figure("ras_destructive", "RAS destructive", "RAS over the samples whose clean answer is right.", True, -2, 1),
    Figure("ras_corrective", "RAS corrective", "RAS over the samples whose clean answer is wrong.", True, -2, 1),
    Figure(
        "erroneous_confidence",
        "erroneous confidence",
        "Share of pairs that are wrong under corruption with confidence risen or equal.",
        False,
        0,
        1,
    ),
    Figure("hesitation", "hesitation", "Share of pairs right under corruption with uncertainty risen.", False, 0, 1),
    Figure("flip", "flip", "Share of pairs whose prediction changed.", False, 0, 1),
    Figure("destroyed", "destroyed", "Share of pairs that went from right to wrong.", False, 0, 1),
    Figure("corrected", "corrected", "Share of pairs that went from wrong to right.", True, 0, 1),
    Figure("brier_clean", "Brier clean", "Brier score on the clean images.", False, 0, 2),
    Figure("brier_corrupted", "Brier corrupted", "Brier score under corruption.", False, 0, 2),
    Figure("nll_clean", "NLL clean", "Negative log-likelihood of the right option, clean, in nats.", False, 0, inf),
    Figure("nll_corrupted", "NLL corrupted", "The same under corruption.", False, 0, inf),
    Figure("ece_clean", "ECE clean", "Expected calibration error on the clean images.", False, 0, 1, "basic"),
    Figure("ece_corrupted", "ECE corrupted", "Expected calibration error under corruption.", False, 0, 1, "basic"),
    Figure("invalid_pairs", "invalid pairs", "Number of pairs without a usable answer.", False, 0, inf),
)
"""All figures by name, in the order of `benchc_metrics.metrics.sample_metrics.METRICS`."""

HEADLINE = (
    "acc_clean",
    "acc_corrupted",
    "acc_drop",
    "ras",
    "ras_destructive",
    "ras_corrective",
    "ece_clean",
    "ece_corrupted",
)
"""The figures of the headline table."""


class _Term(IntEnum):
    """What a sample adds to each sum; means are over the sample's valid pairs in the view."""

    CLEAN = 0  # 1 if the clean answer is valid
    CLEAN_RIGHT = 1
    PAIRED = 2  # 1 if there is a valid pair
    PAIRED_RIGHT = 3  # 1 if there is one and the clean answer is right
    PAIRED_WRONG = 4
    ANSWERS = 5  # number of valid pairs
    INVALID = 6
    RAS = 7
    RAS_RIGHT = 8  # RAS if the clean answer is right
    RAS_WRONG = 9
    BRIER_CLEAN = 10
    NLL_CLEAN = 11
    ACC_CORRUPTED = 12
    BRIER_CORRUPTED = 13
    NLL_CORRUPTED = 14
    ERRONEOUS_CONFIDENCE = 15
    HESITATION = 16
    FLIP = 17
    DESTROYED = 18
    CORRECTED = 19


_GAP_CLEAN = slice(len(_Term), len(_Term) + DEFAULT_BINS)
_GAP_CORRUPTED = slice(_GAP_CLEAN.stop, _GAP_CLEAN.stop + DEFAULT_BINS)

TERMS = _GAP_CORRUPTED.stop
"""Number of sums from which all figures are computed."""

_MEANS_OF_PAIRS = {
    "acc_corrupted": _Term.ACC_CORRUPTED,
    "ras": _Term.RAS,
    "erroneous_confidence": _Term.ERRONEOUS_CONFIDENCE,
    "hesitation": _Term.HESITATION,
    "flip": _Term.FLIP,
    "destroyed": _Term.DESTROYED,
    "corrected": _Term.CORRECTED,
    "brier_corrupted": _Term.BRIER_CORRUPTED,
    "nll_corrupted": _Term.NLL_CORRUPTED,
}


@dataclass(frozen=True)
class View:
    """A part of a run: some samples under some conditions.

    Attributes
    ----------
    name : str
        `all`, a corruption, `severity 3`, a condition as `fog@3`, or a category.
    corruptions : tuple of str
    severities : tuple of int
    category : str or None
        Only samples of this category; None for all samples.
    """

    name: str
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    category: str | None = None


def whole_run(run: Run) -> View:
    """All samples under all conditions."""
    return View("all", run.corruptions, run.severities)


def corruption_views(run: Run) -> tuple[View, ...]:
    """One view a corruption, all severities together."""
    return tuple(View(name, (name,), run.severities) for name in run.corruptions)


def severity_views(run: Run) -> tuple[View, ...]:
    """One view a severity, all corruptions together."""
    return tuple(View(f"severity {severity}", run.corruptions, (severity,)) for severity in run.severities)


def condition_views(run: Run) -> tuple[View, ...]:
    """One view a corruption and severity, corruption by corruption."""
    return tuple(
        View(str(Condition(name, severity)), (name,), (severity,))
        for name in run.corruptions
        for severity in run.severities
    )


def category_views(run: Run) -> tuple[View, ...]:
    """One view a category of samples, in the order of the alphabet; none where the dataset names no categories."""
    categories = sorted({category for category in run.categories if category is not None})
    return tuple(View(category, run.corruptions, run.severities, category) for category in categories)


@dataclass(frozen=True, eq=False)
class PairValues:
    """Every figure of every pair of a run.

    Attributes
    ----------
    run : Run
    clean_valid, clean_right, brier_clean, nll_clean, clean_gap : ndarray of float64, shape (samples,)
        0 where the clean answer is invalid. A gap is correctness less confidence.
    clean_bin : ndarray of int64, shape (samples,)
        The bin of the clean confidence.
    valid : ndarray of bool, shape (samples, corruptions, severities)
        Whether both answers of the pair are valid.
    values : dict of str to ndarray of float64, shape (samples, corruptions, severities)
        The figures that are means over pairs, by name; 0 where the pair is invalid.
    gap : ndarray of float64, shape (samples, corruptions, severities)
    bin : ndarray of int64, shape (samples, corruptions, severities)
    """

    run: Run
    clean_valid: NDArray[np.float64]
    clean_right: NDArray[np.float64]
    brier_clean: NDArray[np.float64]
    nll_clean: NDArray[np.float64]
    clean_gap: NDArray[np.float64]
    clean_bin: NDArray[np.int64]
    valid: NDArray[np.bool_]
    values: Mapping[str, NDArray[np.float64]]
    gap: NDArray[np.float64]
    bin: NDArray[np.int64]

    @classmethod
    def of_run(cls, run: Run) -> PairValues:
        """Compute all pairs of a run."""
        clean, corrupted = run.clean_distributions(), run.corrupted_distributions()
        clean_valid = ~np.isnan(clean[:, 0])
        valid = ~np.isnan(corrupted[..., 0]) & clean_valid[:, np.newaxis, np.newaxis]
        before, answers, counts = clean[:, np.newaxis, np.newaxis], run.answers, run.option_counts
        right, clean_right = ras.correctness(corrupted, answers), ras.correctness(clean, answers)
        confidence, clean_confidence = ras.confidence(corrupted), ras.confidence(clean)
        values: dict[str, NDArray[np.float64]] = {
            "acc_corrupted": right,
            "ras": ras.robustness_alignment_score(before, corrupted, answers, counts),
            "brier_corrupted": brier_score(corrupted, answers),
            "nll_corrupted": negative_log_likelihood(corrupted, answers),
        }
        for name, shown in ras.patterns(before, corrupted, answers, counts)._asdict().items():
            values[name] = shown.astype(np.float64)
        return cls(
            run=run,
            clean_valid=clean_valid.astype(np.float64),
            clean_right=np.where(clean_valid, clean_right, 0.0),
            brier_clean=np.where(clean_valid, brier_score(clean, answers), 0.0),
            nll_clean=np.where(clean_valid, negative_log_likelihood(clean, answers), 0.0),
            clean_gap=np.where(clean_valid, clean_right - clean_confidence, 0.0),
            clean_bin=_confidence_bins(np.where(clean_valid, clean_confidence, 0.0)),
            valid=valid,
            values={name: np.where(valid, of_pairs, 0.0) for name, of_pairs in values.items()},
            gap=np.where(valid, right - confidence, 0.0),
            bin=_confidence_bins(np.where(valid, confidence, 0.0)),
        )

    def terms(self, view: View) -> NDArray[np.float64]:
        """Compute what each sample adds to each sum of a view.

        Parameters
        ----------
        view : View

        Returns
        -------
        ndarray of float64, shape (samples, TERMS)
            Zeros for samples that are not in the view.

        Raises
        ------
        ValueError
            If the view names a corruption that was not run.
        """
        cells = self._cells(view)
        valid = self.valid[cells]
        pairs = np.count_nonzero(valid, axis=(1, 2))
        paired = (pairs > 0).astype(np.float64)
        terms = np.zeros((len(valid), TERMS))
        terms[:, _Term.CLEAN] = self.clean_valid
        terms[:, _Term.CLEAN_RIGHT] = self.clean_right
        terms[:, _Term.PAIRED] = paired
        terms[:, _Term.PAIRED_RIGHT] = paired * self.clean_right
        terms[:, _Term.PAIRED_WRONG] = paired * (1 - self.clean_right)
        terms[:, _Term.ANSWERS] = pairs
        terms[:, _Term.INVALID] = valid[0].size - pairs
        terms[:, _Term.BRIER_CLEAN] = self.brier_clean
        terms[:, _Term.NLL_CLEAN] = self.nll_clean
        for name, term in _MEANS_OF_PAIRS.items():
            terms[:, term] = self.values[name][cells].sum(axis=(1, 2)) / np.maximum(pairs, 1)
        terms[:, _Term.RAS_RIGHT] = terms[:, _Term.RAS] * self.clean_right
        terms[:, _Term.RAS_WRONG] = terms[:, _Term.RAS] * (1 - self.clean_right)
        terms[:, _GAP_CLEAN] = _sums_by_bin(self.clean_bin[:, np.newaxis], self.clean_gap[:, np.newaxis])
        terms[:, _GAP_CORRUPTED] = _sums_by_bin(
            self.bin[cells].reshape(len(valid), -1), self.gap[cells].reshape(len(valid), -1)
        )
        if view.category is not None:
            terms[[category != view.category for category in self.run.categories]] = 0
        return terms

    def stacked_terms(self, views: Sequence[View]) -> NDArray[np.float64]:
        """`terms` of several views, shape (samples, views, TERMS)."""
        return np.stack([self.terms(view) for view in views], axis=1)

    def _cells(self, view: View) -> tuple[NDArray[np.intp], ...]:
        unknown = [name for name in view.corruptions if name not in self.run.corruptions]
        if unknown or not view.corruptions or not view.severities:
            raise ValueError(f"{self.run.name} was not run under {', '.join(unknown) or 'any condition of the view'}")
        corruptions = [self.run.corruptions.index(name) for name in view.corruptions]
        severities = [self.run.severities.index(severity) for severity in view.severities]
        return np.ix_(range(len(self.valid)), corruptions, severities)


def figures_of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute all figures from sums over samples.

    Parameters
    ----------
    sums : ndarray of float64, shape (..., TERMS)
        Sums of `PairValues.terms`, each sample as often as it stands in a resample.

    Returns
    -------
    ndarray of float64, shape (..., figures)
        In the order of `FIGURES`; nan where a figure is undefined.
    """
    figures = np.empty((*sums.shape[:-1], len(FIGURES)))
    column = {name: number for number, name in enumerate(FIGURES)}

    def term(name: _Term) -> NDArray[np.float64]:
        return np.asarray(sums[..., name])

    with np.errstate(divide="ignore", invalid="ignore"):
        for name, mean in _MEANS_OF_PAIRS.items():
            figures[..., column[name]] = term(mean) / term(_Term.PAIRED)
        figures[..., column["acc_clean"]] = term(_Term.CLEAN_RIGHT) / term(_Term.CLEAN)
        figures[..., column["brier_clean"]] = term(_Term.BRIER_CLEAN) / term(_Term.CLEAN)
        figures[..., column["nll_clean"]] = term(_Term.NLL_CLEAN) / term(_Term.CLEAN)
        lost = term(_Term.PAIRED_RIGHT) - term(_Term.ACC_CORRUPTED)
        figures[..., column["acc_drop"]] = np.where(
            term(_Term.PAIRED_RIGHT) > 0, lost / term(_Term.PAIRED_RIGHT), np.nan
        )
        figures[..., column["ras_destructive"]] = term(_Term.RAS_RIGHT) / term(_Term.PAIRED_RIGHT)
        figures[..., column["ras_corrective"]] = term(_Term.RAS_WRONG) / term(_Term.PAIRED_WRONG)
        figures[..., column["ece_clean"]] = np.abs(sums[..., _GAP_CLEAN]).sum(axis=-1) / term(_Term.CLEAN)
        figures[..., column["ece_corrupted"]] = np.abs(sums[..., _GAP_CORRUPTED]).sum(axis=-1) / term(_Term.ANSWERS)
    figures[..., column["invalid_pairs"]] = term(_Term.INVALID)
    return figures


def calibration_noise(sums: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute what both ECEs would be on resamples of a perfectly calibrated model.

    Parameters
    ----------
    sums : ndarray of float64, shape (resamples, ..., TERMS)
        Of the resamples.
    total : ndarray of float64, shape (..., TERMS)
        Of the samples as they are.

    Returns
    -------
    ndarray of float64, shape (resamples, ..., 2)
        Of `ece_clean` and `ece_corrupted`: the gaps of the bins less those of the samples as they are.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        clean = np.abs(sums[..., _GAP_CLEAN] - total[..., _GAP_CLEAN]).sum(axis=-1) / sums[..., _Term.CLEAN]
        corrupted = np.abs(sums[..., _GAP_CORRUPTED] - total[..., _GAP_CORRUPTED]).sum(axis=-1)
        return np.stack([clean, corrupted / sums[..., _Term.ANSWERS]], axis=-1)


def _confidence_bins(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the bin of each confidence, cut as `CalibrationBins.from_answers` cuts."""
    return np.searchsorted(np.arange(1, DEFAULT_BINS) / DEFAULT_BINS, confidence, side="right").astype(np.int64)


def _sums_by_bin(bins: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum each row's values by bin: shape (rows, DEFAULT_BINS)."""
    rows = len(bins)
    places = bins + DEFAULT_BINS * np.arange(rows)[:, np.newaxis]
    sums = np.bincount(places.ravel(), weights=values.ravel(), minlength=rows * DEFAULT_BINS)
    return np.asarray(sums.reshape(rows, DEFAULT_BINS), dtype=np.float64)


if tuple(FIGURES) != METRICS:
    raise AssertionError("FIGURES and METRICS name different figures")
