"""Compute what a report shows of runs: metrics with intervals, and which model is best.

Every interval is a bootstrap over samples, see `benchc_metrics.statistics.resampling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.findings.budget import holds, kind_level, possible_kinds
from benchc_metrics.findings.doubts import doubt_about, ignores_pictures
from benchc_metrics.findings.exchange import Exchange, corrupted_places
from benchc_metrics.metrics.calibration import CalibrationBins
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading, confidence, correctness
from benchc_metrics.metrics.registry import CLEAN, METRICS, IntervalMethod, headline_metrics
from benchc_metrics.metrics.sums import MetricSums
from benchc_metrics.metrics.views import condition_views, corruption_views, severity_views, whole_run
from benchc_metrics.runs import Run
from benchc_metrics.statistics.contrasts import Contrast
from benchc_metrics.statistics.estimates import Estimate, EstimatedRun, asked_of_both, check_comparable, estimate
from benchc_metrics.statistics.floor import EstimatedFloor, estimate_floor
from benchc_metrics.statistics.resampling import STRETCH, Intervals, bootstrap_intervals

__all__ = [
    "CELL_METRICS",
    "DETAIL_RESAMPLES",
    "Contest",
    "FloorAnalysis",
    "RunAnalysis",
    "analyse",
    "check_all_comparable",
    "mean_intervals",
]

DETAIL_RESAMPLES = 2_000
"""Resamples for the metrics of corruptions, severities and conditions, of which there are hundreds a run."""

CELL_METRICS = ("ras", "acc_corrupted")
"""What the heat maps show."""

ROBUSTNESS = "ras_tempered"
"""The metric by which models are called robust, where it is registered; else RAS."""


@dataclass(frozen=True, eq=False)
class FloorAnalysis:
    """Hold the floor of a run that has the control, and how far the run's parts are from it.

    Attributes
    ----------
    whole, corruptions, cells : EstimatedFloor
        Distances of the run, of its corruptions, and of its conditions; each is one family for Holm's correction.
    """

    whole: EstimatedFloor
    corruptions: EstimatedFloor
    cells: EstimatedFloor

    @classmethod
    def of_pairs(cls, pairs: PairValues) -> FloorAnalysis | None:
        """Estimate all of it; None where there is no floor."""
        run = pairs.run
        views = (None, corruption_views(run), condition_views(run))
        whole, corruptions, cells = (estimate_floor(pairs, each) for each in views)
        if whole is None or corruptions is None or cells is None:
            return None
        return cls(whole, corruptions, cells)

    def cells_at_floor(self, metric: str) -> NDArray[np.bool_]:
        """Mark the conditions that cannot be told from the floor, shape (corruptions, severities)."""
        run = self.cells.run
        return ~self.cells.is_told(metric).reshape(len(run.corruptions), len(run.severities))


@dataclass(frozen=True, eq=False)
class RunAnalysis:
    """Hold one run and everything that a report shows of it.

    Attributes
    ----------
    run : Run
    pairs : PairValues
    whole, corruptions, severities : EstimatedRun
        All metrics of the run, and of its corruptions and severities.
    cells : dict of str to Intervals
        For each of `CELL_METRICS` that is defined for the run arrays of shape (corruptions, severities).
    clean_bins, corrupted_bins : CalibrationBins
        For the reliability diagrams; empty for a run without probabilities.
    floor : FloorAnalysis or None
        None for a run without the control.
    """

    run: Run
    pairs: PairValues
    whole: EstimatedRun
    corruptions: EstimatedRun
    severities: EstimatedRun
    cells: dict[str, Intervals]
    clean_bins: CalibrationBins
    corrupted_bins: CalibrationBins
    floor: FloorAnalysis | None = None

    @property
    def name(self) -> str:
        """How tables and charts call the run."""
        return self.run.name

    @property
    def ignores_pictures(self) -> bool:
        """Whether no corruption moved the run's answers beyond noise."""
        return ignores_pictures(self.run)

    @cached_property
    def doubt(self) -> str:
        """Why the run cannot be told from one of a model that ignores the picture; empty where it can."""
        return doubt_about(self.run)

    @cached_property
    def exchange(self) -> Exchange:
        """The exchange contrasts of the run."""
        return Exchange(self.pairs)

    @cached_property
    def influences(self) -> dict[str, NDArray[np.float64]]:
        """Pseudo-values of the samples by metric, shape (samples,); their mean is the metric of the whole run."""
        return influences_of(self.pairs)

    def headline(self, metric: str) -> Estimate:
        """Return a metric of the whole run."""
        return self.whole.of(metric)


def analyse(run: Run, reading: Reading = DEFAULT_READING) -> RunAnalysis:
    """Compute everything that is shown of a run.

    Parameters
    ----------
    run : Run
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.

    Returns
    -------
    RunAnalysis
    """
    pairs = PairValues.of_run(run, reading)
    return RunAnalysis(
        run=run,
        pairs=pairs,
        whole=estimate(pairs),
        corruptions=estimate(pairs, corruption_views(run), resamples=DETAIL_RESAMPLES),
        severities=estimate(pairs, severity_views(run), resamples=DETAIL_RESAMPLES),
        cells={name: _cell_intervals(pairs, name) for name in CELL_METRICS if METRICS[name].is_defined_for(run)},
        clean_bins=_calibration_bins(run, run.clean_distributions()),
        corrupted_bins=_calibration_bins(run, run.corrupted_distributions(), pairs.valid),
        floor=FloorAnalysis.of_pairs(pairs),
    )


def influences_of(pairs: PairValues) -> dict[str, NDArray[np.float64]]:
    """Compute what each sample adds to each metric of a whole run, see `RunAnalysis.influences`."""
    sums = MetricSums.of_run(pairs.run)
    terms = sums.terms(pairs, whole_run(pairs.run))
    return dict(zip(sums.names, sums.pseudo_values(terms).T, strict=True))


def check_all_comparable(runs: Sequence[Run]) -> tuple[str, ...]:
    """Refuse runs that cannot be compared: of different samples, images or prompts.

    Returns
    -------
    tuple of str
        Sentences about what differs and does not forbid the comparison.

    Raises
    ------
    ValueError
        As `benchc_metrics.statistics.estimates.check_comparable`, or if there is no run.
    """
    if not runs:
        raise ValueError("there is no run to report on: name at least one folder that lmms-eval wrote for a model")
    notes = (check_comparable(runs[0], other) for other in runs[1:])
    return tuple(dict.fromkeys(note for of_pair in notes for note in of_pair))


def mean_intervals(
    values: NDArray[np.float64],
    valid: NDArray[np.bool_],
    *,
    resamples: int,
    level: float = 0.95,
    method: IntervalMethod = "bca",
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Intervals:
    """Estimate means over samples with their intervals, many at once.

    Parameters
    ----------
    values : ndarray of float64, shape (samples, ...)
    valid : ndarray of bool, the shape of `values`
        Which values count.
    resamples, level, method, bounds
        As in `benchc_metrics.statistics.resampling.bootstrap_intervals`.

    Returns
    -------
    Intervals
        Arrays of shape (...).
    """
    terms = np.stack([np.where(valid, values, 0.0), valid.astype(np.float64)], axis=-1)

    def mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(sums[..., :1] / sums[..., 1:])

    found = bootstrap_intervals(terms, mean, methods=method, bounds=bounds, resamples=resamples, level=level)
    return Intervals(*(each[..., 0] for each in found))


def _cell_intervals(pairs: PairValues, name: str) -> Intervals:
    metric = METRICS[name]
    return mean_intervals(
        pairs.values[name],
        pairs.valid,
        resamples=DETAIL_RESAMPLES,
        method=metric.interval,
        bounds=(metric.minimum, metric.maximum),
    )


def _calibration_bins(
    run: Run, distributions: NDArray[np.float64], valid: NDArray[np.bool_] | None = None
) -> CalibrationBins:
    sure, right = confidence(distributions), correctness(distributions, run.answers)
    counted = ~np.isnan(sure) if valid is None else valid & ~np.isnan(sure)
    return CalibrationBins.from_answers(sure[counted], right[counted])


@dataclass(eq=False)
class Contest:
    """Find the best of several runs in each metric, where one is significantly better than all others.

    The best has to beat each of the others in paired tests over samples; its p-value is the largest of them. Among
    equal models the chance of a p-value of at most alpha is at most alpha, whatever their number: to win, a model has
    to be ahead of the second too, and only two models can be first and second.
    Models that cannot be told from one that ignores the picture take part in metrics of clean answers only.

    Attributes
    ----------
    entrants : sequence of RunAnalysis
    """

    entrants: Sequence[RunAnalysis]

    @property
    def robustness(self) -> str:
        """Name of the metric by which models are called robust."""
        return robustness_metric()

    @property
    def level(self) -> float:
        """The largest chance of any false claim of one kind in a report on these runs."""
        runs = [entrant.run for entrant in self.entrants]
        corruptions = max((len(corrupted_places(run.corruptions)) for run in runs), default=0)
        has_distributions = all(run.has_distributions for run in runs)
        return kind_level(len(possible_kinds(len(runs), corruptions, has_distributions=has_distributions)))

    def ranking(self, metric: str) -> list[int]:
        """Return the places from best to worst of the runs that have the metric and take part in it."""
        sign = -1.0 if METRICS[metric].higher_is_better else 1.0
        values = {
            place: sign * entrant.headline(metric).value
            for place, entrant in enumerate(self.entrants)
            if CLEAN in METRICS[metric].computed.sums or not entrant.doubt
        }
        return sorted((place for place, value in values.items() if not np.isnan(value)), key=values.__getitem__)

    def between(self, metric: str, first: int, second: int) -> Contrast:
        """Contrast two runs in a metric, first less second."""
        one, other = self.entrants[first], self.entrants[second]
        *parts, note = asked_of_both(one.run, other.run)
        if note is None:
            differences = one.influences[metric] - other.influences[metric]
        else:
            readings = PairValues.of_run(parts[0], one.pairs.reading), PairValues.of_run(parts[1], other.pairs.reading)
            differences = np.subtract(*(influences_of(pairs)[metric] for pairs in readings))
        if np.isnan(differences).any():
            # A metric that one sample alone defines has no influence of samples, and no test.
            return Contrast(np.empty(0))
        if METRICS[metric].computed.noise is not None:
            # As the intervals of calibration errors: their noise is larger than that of a mean.
            differences = differences.mean() + STRETCH * (differences - differences.mean())
        return Contrast(differences)

    def winner(self, metric: str) -> int | None:
        """Return the place of the run that is significantly better than every other, None if none is."""
        return self.winners()[metric]

    def winners(self) -> dict[str, int | None]:
        """Return the winner of each headline metric and of the one for robustness.

        Returns
        -------
        dict of str to (int or None)
            The metric for robustness has a share of the report's level for itself; the others share another, after
            Holm. See `benchc_metrics.findings.budget`.
        """
        metrics = list(dict.fromkeys((self.robustness, *headline_metrics())))
        p_values = [self._p_value(metric) for metric in metrics]
        sure = [*holds(p_values[:1], self.level), *holds(p_values[1:], self.level)]
        return {
            metric: self.ranking(metric)[0] if is_sure else None for metric, is_sure in zip(metrics, sure, strict=True)
        }

    def _p_value(self, metric: str) -> float:
        """Return the largest two-sided p-value of the best against the others; nan without another, or a best."""
        if METRICS[metric].higher_is_better is None:
            return np.nan
        best, *rivals = self.ranking(metric) or [0]
        sign = 1 if METRICS[metric].higher_is_better else -1
        largest = 0.0
        for rival in rivals:
            largest = max(largest, 2 * self.between(metric, best, rival).tail(sign, self.level / 2))
            # The rest can only make it larger.
            if largest > self.level:
                break
        return min(largest, 1.0) if rivals else np.nan


def robustness_metric() -> str:
    """Return the name of the metric by which models are called robust."""
    return ROBUSTNESS if ROBUSTNESS in METRICS else "ras"
