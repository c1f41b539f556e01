"""What the report shows of runs, computed once: figures with intervals, and which of them differ.

Every interval is a bootstrap over samples, see `benchc_metrics.statistics.resampling`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.metrics.calibration import CalibrationBins
from benchc_metrics.metrics.ras import confidence, correctness
from benchc_metrics.metrics.sums import FIGURES, HEADLINE, PairValues, corruption_views, severity_views
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import (
    ComparedRuns,
    Estimate,
    EstimatedRun,
    check_comparable,
    compare,
    estimate,
)
from benchc_metrics.statistics.resampling import Intervals, bootstrap_intervals, holm

__all__ = [
    "CELL_FIGURES",
    "DETAIL_RESAMPLES",
    "Contest",
    "RunAnalysis",
    "analyse",
    "check_all_comparable",
    "mean_intervals",
]

DETAIL_RESAMPLES = 2_000
"""Resamples for the figures of corruptions, severities and conditions, of which there are hundreds a run."""

CELL_FIGURES = ("ras", "acc_corrupted")
"""What the heat maps show."""

_SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class RunAnalysis:
    """One run with everything that is shown of it.

    Attributes
    ----------
    run : Run
    pairs : PairValues
    whole, corruptions, severities : EstimatedRun
        All figures of the run, and of its corruptions and severities.
    cells : dict of str to Intervals
        For each of `CELL_FIGURES` arrays of shape (corruptions, severities).
    clean_bins, corrupted_bins : CalibrationBins
        For the reliability diagrams.
    """

    run: Run
    pairs: PairValues
    whole: EstimatedRun
    corruptions: EstimatedRun
    severities: EstimatedRun
    cells: dict[str, Intervals]
    clean_bins: CalibrationBins
    corrupted_bins: CalibrationBins

    @property
    def name(self) -> str:
        """How tables and charts call the run."""
        return self.run.name

    def headline(self, figure: str) -> Estimate:
        """Return a figure of the whole run."""
        return self.whole.of(figure)


def analyse(run: Run) -> RunAnalysis:
    """Compute everything that is shown of a run.

    Parameters
    ----------
    run : Run

    Returns
    -------
    RunAnalysis
    """
    pairs = PairValues.of_run(run)
    return RunAnalysis(
        run=run,
        pairs=pairs,
        whole=estimate(pairs),
        corruptions=estimate(pairs, corruption_views(run), resamples=DETAIL_RESAMPLES),
        severities=estimate(pairs, severity_views(run), resamples=DETAIL_RESAMPLES),
        cells={name: _cell_intervals(pairs, name) for name in CELL_FIGURES},
        clean_bins=_calibration_bins(run, run.clean_distributions()),
        corrupted_bins=_calibration_bins(run, run.corrupted_distributions(), pairs.valid),
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
    counted = ~np.isnan(sure) if valid is None else valid
    return CalibrationBins.from_answers(sure[counted], right[counted])


@dataclass
class Contest:
    """Which of several runs is best in a figure, where that can be said.

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

    def ranking(self, figure: str) -> list[int]:
        """Return the places of the runs from best to worst, without those that have no such figure."""
        sign = -1.0 if FIGURES[figure].higher_is_better else 1.0
        values = [sign * entrant.headline(figure).value for entrant in self.entrants]
        return sorted((place for place, value in enumerate(values) if not np.isnan(value)), key=values.__getitem__)

    def winner(self, figure: str) -> int | None:
        """Return the place of the run that is significantly better than every other, None if none is.

        Parameters
        ----------
        figure : str

        Returns
        -------
        int or None
            Sign-flip tests against all others, Holm-corrected over them, all at most 0.05.
        """
        ranking = self.ranking(figure)
        if len(ranking) < 2:
            return None
        p_values: list[float] = []
        for p_value in self._p_values(figure, ranking):
            p_values.append(p_value)
            # No correction makes a p-value smaller, so that one is enough to say no.
            if not p_value <= _SIGNIFICANT:
                return None
        return ranking[0] if bool(np.all(holm(p_values) <= _SIGNIFICANT)) else None

    def winners(self) -> dict[str, int | None]:
        """Return the winner of each headline figure."""
        return {figure: self.winner(figure) for figure in HEADLINE}

    def _p_values(self, figure: str, ranking: Sequence[int]) -> Iterator[float]:
        for rival in ranking[1:]:
            yield self.between(ranking[0], rival).of(figure).p_value
