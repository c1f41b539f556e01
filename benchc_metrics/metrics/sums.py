"""Metrics as functions of sums over samples, so that all resamples can be computed at once.

`MetricSums` lays the sums of some metrics out side by side: `terms` says what each sample adds to them, `metrics` goes
from the sums to the metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.metrics.pairs import PairValues, ViewedPairs
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading
from benchc_metrics.metrics.registry import METRICS, Metric, SampleSum, metrics_of_kind
from benchc_metrics.metrics.views import View
from benchc_metrics.runs import Run

__all__ = ["MetricSums", "metrics_of_run", "metrics_of_views"]


@dataclass(frozen=True, eq=False)
class MetricSums:
    """The sums behind some metrics, as columns.

    Attributes
    ----------
    of : tuple of Metric
    """

    of: tuple[Metric, ...]

    @classmethod
    def of_run(cls, run: Run) -> MetricSums:
        """Take all metrics that are defined for a run, in the order of tables."""
        return cls(metrics_of_kind(run))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(metric.name for metric in self.of)

    @cached_property
    def sums(self) -> tuple[SampleSum, ...]:
        """The sums, each once."""
        return tuple({each.name: each for metric in self.of for each in metric.computed.sums}.values())

    @cached_property
    def width(self) -> int:
        """Number of columns."""
        return sum(each.width for each in self.sums)

    @cached_property
    def columns(self) -> dict[str, int | slice]:
        """Place of each sum by name: a column, or a slice of columns."""
        columns: dict[str, int | slice] = {}
        start = 0
        for each in self.sums:
            columns[each.name] = start if each.width == 1 else slice(start, start + each.width)
            start += each.width
        return columns

    @cached_property
    def _is_of_run(self) -> NDArray[np.bool_]:
        return np.repeat([each.of_run for each in self.sums], [each.width for each in self.sums])

    def terms(self, pairs: PairValues, view: View) -> NDArray[np.float64]:
        """Compute what each sample adds to each sum of a view.

        Parameters
        ----------
        pairs : PairValues
        view : View

        Returns
        -------
        ndarray of float64, shape (samples, width)
            Zeros for samples that are not in the view, but for sums of the whole run.

        Raises
        ------
        ValueError
            If the view names a corruption that was not run.
        """
        terms = self.viewed_terms(pairs.viewed(view))
        if view.category is not None:
            others = np.array([category != view.category for category in pairs.run.categories])
            terms[np.ix_(others, ~self._is_of_run)] = 0
        return terms

    def viewed_terms(self, viewed: ViewedPairs) -> NDArray[np.float64]:
        """Compute `terms` of chosen pairs, of all samples."""
        terms = np.zeros((len(viewed.pairs.valid), self.width))
        for each in self.sums:
            terms[:, self.columns[each.name]] = each.terms(viewed)
        return terms

    def stacked_terms(self, pairs: PairValues, views: Sequence[View]) -> NDArray[np.float64]:
        """Compute `terms` of several views, shape (samples, views, width)."""
        return np.stack([self.terms(pairs, view) for view in views], axis=1)

    def metrics(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the metrics from sums over samples.

        Parameters
        ----------
        sums : ndarray of float64, shape (..., width)
            Sums of `terms`, each sample as often as it stands in a resample.

        Returns
        -------
        ndarray of float64, shape (..., metrics)
            nan where a metric is undefined.
        """
        metrics = np.empty((*sums.shape[:-1], len(self.of)))
        with np.errstate(divide="ignore", invalid="ignore"):
            for place, metric in enumerate(self.of):
                metrics[..., place] = metric.computed.of_sums(*self._of(metric, sums))
        return metrics

    def margins(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute how much further the intervals reach than resampling says; shape (..., metrics), mostly zeros."""
        margins = np.zeros((*sums.shape[:-1], len(self.of)))
        with np.errstate(divide="ignore", invalid="ignore"):
            for place, metric in enumerate(self.of):
                if metric.computed.margin is not None:
                    margins[..., place] = metric.computed.margin(*self._of(metric, sums))
        return margins

    def pseudo_values(self, terms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the jackknife's pseudo-values: what each sample adds to a mean that is, to first order, the metric.

        Parameters
        ----------
        terms : ndarray of float64, shape (samples, width)

        Returns
        -------
        ndarray of float64, shape (samples, metrics)
            nan for a metric that is undefined, or is so without one of the samples.
        """
        total, samples = terms.sum(axis=0), len(terms)
        return samples * self.metrics(total) - (samples - 1) * self.metrics(total - terms)

    def of_metric(self, metric: Metric, sums: NDArray[np.float64]) -> list[float]:
        """Take the sums behind one metric from one row of columns, in the order of the metric's sums."""
        return [float(value) for part in self._of(metric, sums) for value in np.atleast_1d(part)]

    def noise(self, sums: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute what the metrics with a basic interval would be if they were resampling noise alone.

        Parameters
        ----------
        sums : ndarray of float64, shape (resamples, ..., width)
            Of the resamples.
        total : ndarray of float64, shape (..., width)
            Of the samples as they are.

        Returns
        -------
        ndarray of float64, shape (resamples, ..., metrics with a basic interval)
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            found = [
                metric.computed.noise(*self._of(metric, sums), *self._of(metric, total))
                for metric in self.of
                if metric.computed.noise is not None
            ]
        return np.stack(found, axis=-1) if found else np.empty((*sums.shape[:-1], 0))

    def _of(self, metric: Metric, sums: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        return [sums[..., self.columns[each.name]] for each in metric.computed.sums]


def metrics_of_views(
    run: Run, views: Sequence[View], reading: Reading = DEFAULT_READING
) -> dict[str, dict[str, float]]:
    """Compute all metrics of a run in some views, without intervals.

    Parameters
    ----------
    run : Run
    views : sequence of View
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.

    Returns
    -------
    dict of str to (dict of str to float)
        By the name of the view, then by that of the metric; only metrics that the run defines.
    """
    sums = MetricSums.of_run(run)
    pairs = PairValues.of_run(run, reading)
    return {
        view.name: dict(zip(sums.names, sums.metrics(sums.terms(pairs, view).sum(axis=0)).tolist(), strict=True))
        for view in views
    }


def metrics_of_run(run: Run, reading: Reading = DEFAULT_READING) -> dict[str, float]:
    """Compute all metrics of a run, without intervals.

    Parameters
    ----------
    run : Run
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.

    Returns
    -------
    dict of str to float
        By the names in `METRICS` and in their order, those of votes behind them where there are any; nan for a metric
        that is undefined, or needs probabilities that the run does not have.
    """
    sums = MetricSums.of_run(run)
    pairs = PairValues.of_run(run, reading)
    found = sums.metrics(sums.viewed_terms(pairs.all_pairs()).sum(axis=0)).tolist()
    return dict.fromkeys(METRICS, nan) | dict(zip(sums.names, found, strict=True))
