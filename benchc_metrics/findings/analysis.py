"""Compute once what the report shows of runs: metrics with intervals, and which of them differ.

Every interval is a bootstrap over samples, see `benchc_metrics.statistics.resampling`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.metrics.calibration import CalibrationBins
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading, confidence, correctness
from benchc_metrics.metrics.registry import METRICS, headline_metrics
from benchc_metrics.metrics.views import condition_views, corruption_views, severity_views
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import (
    ComparedRuns,
    Estimate,
    EstimatedRun,
    check_comparable,
    compare,
    estimate,
)
from benchc_metrics.statistics.floor import EstimatedFloor, estimate_floor
from benchc_metrics.statistics.resampling import Intervals, bootstrap_intervals, holm

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

_SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class FloorAnalysis:
    """The floor of a run that has the control, and the distance of its parts from it.

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
    """One run with everything that is shown of it.

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


def check_all_comparable(runs: Sequence[Run]) -> tuple[str, ...]:
    """Refuse runs that do not belong on one page: over other samples, images or prompts.

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
    values: NDArray[np.float64], valid: NDArray[np.bool_], *, resamples: int, level: float = 0.95
) -> Intervals:
    """Estimate means over samples with their intervals, many at once.

    Parameters
    ----------
    values : ndarray of float64, shape (samples, ...)
    valid : ndarray of bool, the shape of `values`
        Which values count.
    resamples : int
    level : float

    Returns
    -------
    Intervals
        Arrays of shape (...).
    """
    terms = np.stack([np.where(valid, values, 0.0), valid.astype(np.float64)], axis=-1)

    def mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(sums[..., :1] / sums[..., 1:])

    found = bootstrap_intervals(terms, mean, resamples=resamples, level=level)
    return Intervals(*(each[..., 0] for each in found))


def _cell_intervals(pairs: PairValues, name: str) -> Intervals:
    return mean_intervals(pairs.values[name], pairs.valid, resamples=DETAIL_RESAMPLES)


def _calibration_bins(
    run: Run, distributions: NDArray[np.float64], valid: NDArray[np.bool_] | None = None
) -> CalibrationBins:
    sure, right = confidence(distributions), correctness(distributions, run.answers)
    counted = ~np.isnan(sure) if valid is None else valid & ~np.isnan(sure)
    return CalibrationBins.from_answers(sure[counted], right[counted])


@dataclass
class Contest:
    """The contest of several runs: the best in a metric, where that can be said.

    Comparisons are made when they are first asked for: a run that does not beat its closest rival needs no other.

    Attributes
    ----------
    entrants : sequence of RunAnalysis
    """

    entrants: Sequence[RunAnalysis]
    _compared: dict[tuple[int, int], ComparedRuns] = field(default_factory=dict)

    def between(self, first: int, second: int) -> ComparedRuns:
        """Compare two runs, first less second."""
        if (first, second) not in self._compared:
            self._compared[first, second] = compare(self.entrants[first].pairs, self.entrants[second].pairs)
        return self._compared[first, second]

    def ranking(self, metric: str) -> list[int]:
        """Return the places of the runs from best to worst, without those that have no such metric."""
        sign = -1.0 if METRICS[metric].higher_is_better else 1.0
        values = [sign * entrant.headline(metric).value for entrant in self.entrants]
        return sorted((place for place, value in enumerate(values) if not np.isnan(value)), key=values.__getitem__)

    def winner(self, metric: str) -> int | None:
        """Return the place of the run that is significantly better than every other, None if none is.

        Parameters
        ----------
        metric : str

        Returns
        -------
        int or None
            Sign-flip tests against all others, Holm-corrected over them, all at most 0.05.
        """
        ranking = self.ranking(metric)
        if len(ranking) < 2:
            return None
        p_values: list[float] = []
        for p_value in self._p_values(metric, ranking):
            p_values.append(p_value)
            # No correction makes a p-value smaller, so that one is enough to say no.
            if not p_value <= _SIGNIFICANT:
                return None
        return ranking[0] if bool(np.all(holm(p_values) <= _SIGNIFICANT)) else None

    def winners(self) -> dict[str, int | None]:
        """Return the winner of each headline metric."""
        return {metric: self.winner(metric) for metric in headline_metrics()}

    def _p_values(self, metric: str, ranking: Sequence[int]) -> Iterator[float]:
        for rival in ranking[1:]:
            yield self.between(ranking[0], rival).of(metric).p_value
