"""The floor of a run with its interval, and how far each part of the run is from it.

A difference is paired over samples: what a sample has under corruption less what the same sample has under the control.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.metrics.control import SampleValues, control_of
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading
from benchc_metrics.metrics.registry import EVERY_METRIC, METRICS
from benchc_metrics.metrics.views import View, whole_run
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import Difference, Estimate, contradictions_of
from benchc_metrics.statistics.resampling import (
    CONFIDENCE_LEVEL,
    RESAMPLES,
    SEED,
    Comparison,
    Intervals,
    bootstrap_intervals,
    holm,
    paired_comparison,
)

__all__ = ["FLOOR_METRICS", "SIGNIFICANT", "EstimatedFloor", "estimate_floor"]

FLOOR_METRICS: Mapping[str, str] = MappingProxyType({name: name for name in ("ras", "ras_tempered", "acc_corrupted")})
"""Metrics whose floor is shown, where they are defined for the run; what each is called beside the control."""

SIGNIFICANT = 0.05
"""From an adjusted p-value above this on, a part of a run cannot be told from the floor."""


@dataclass(frozen=True, eq=False)
class EstimatedFloor:
    """The floor of a run, and the distance of some views from it.

    Attributes
    ----------
    run : Run
    views : tuple of View
    metrics : tuple of str
    floor : Intervals
        Over all changes of the control together; arrays of shape (metrics,).
    changes : Intervals
        Change by change; arrays of shape (5, metrics).
    distances : Comparison
        Under corruption less floor; arrays of shape (views, metrics).
    p_adjusted : ndarray of float64, shape (views, metrics)
        Holm over the views, metric by metric.
    level : float
        Of the intervals.
    """

    run: Run
    views: tuple[View, ...]
    metrics: tuple[str, ...]
    floor: Intervals
    changes: Intervals
    distances: Comparison
    p_adjusted: NDArray[np.float64]
    level: float = CONFIDENCE_LEVEL

    def of(self, metric: str) -> Estimate:
        """Return the floor of a metric."""
        return Estimate(*(float(values[self.metrics.index(metric)]) for values in self.floor))

    def of_change(self, metric: str, change: int) -> Estimate:
        """Return a metric under one change of the control, numbered from 1 to 5."""
        return Estimate(*(float(values[change - 1, self.metrics.index(metric)]) for values in self.changes))

    def distance(self, metric: str, view: str | None = None) -> Difference:
        """Return the distance of the view of this name from the floor, of the first view by default."""
        row = 0 if view is None else [each.name for each in self.views].index(view)
        column = self.metrics.index(metric)
        return Difference(*(float(values[row, column]) for values in (*self.distances, self.p_adjusted)))

    def contradictions(self) -> tuple[str, ...]:
        """Say for which distances interval and p-value do not agree, as `contradictions_of` does."""
        return contradictions_of(
            (
                (f"{EVERY_METRIC[metric].label}: distance", view.name, self.distance(metric, view.name))
                for metric in self.metrics
                for view in self.views
            ),
            "exchanging corruption and control",
            self.level,
        )

    def is_told(self, metric: str) -> NDArray[np.bool_]:
        """Tell which views differ from the floor, shape (views,): adjusted p-value at most `SIGNIFICANT`."""
        # A comparison with nan, where nothing could be compared, is False.
        return np.asarray(self.p_adjusted[:, self.metrics.index(metric)] <= SIGNIFICANT)


def estimate_floor(
    run: Run | PairValues,
    views: Sequence[View] | None = None,
    *,
    metrics: Iterable[str] = FLOOR_METRICS,
    reading: Reading = DEFAULT_READING,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = CONFIDENCE_LEVEL,
) -> EstimatedFloor | None:
    """Estimate the floor of a run and the distances from it.

    Parameters
    ----------
    run : Run or PairValues
    views : sequence of View, optional
        The whole run by default; views given together are one family for Holm's correction.
    metrics : iterable of str
        Means over pairs; those that are not defined for the run are left out.
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS; pairs bring their own.
    resamples, seed, level
        As in `benchc_metrics.statistics.resampling.paired_comparison`.

    Returns
    -------
    EstimatedFloor or None
        None for a run without the control, with no usable answer under it, or without one of the metrics.

    Raises
    ------
    ValueError
        If a view names a corruption that was not run.
    """
    pairs = run if isinstance(run, PairValues) else PairValues.of_run(run, reading)
    control = control_of(pairs)
    shown = tuple(name for name in metrics if control is not None and name in control.metrics)
    if control is None or not shown:
        return None
    chosen = tuple(views) if views is not None else (whole_run(pairs.run),)
    methods = tuple(METRICS[name].interval for name in shown)
    floors = [control.floor(name) for name in shown]
    paired = [
        [_both(control.under(name, view), floor) for name, floor in zip(shown, floors, strict=True)] for view in chosen
    ]
    distances = paired_comparison(
        np.stack([_terms([under for under, _ in of_view]) for of_view in paired], axis=1),
        np.stack([_terms([floor for _, floor in of_view]) for of_view in paired], axis=1),
        _means,
        methods=methods,
        largest=[METRICS[name].maximum - METRICS[name].minimum for name in shown],
        resamples=resamples,
        seed=seed,
        level=level,
    )

    def intervals(values: Sequence[SampleValues]) -> Intervals:
        bounds = [METRICS[name].minimum for name in shown], [METRICS[name].maximum for name in shown]
        return bootstrap_intervals(
            _terms(values), _means, methods=methods, bounds=bounds, resamples=resamples, seed=seed, level=level
        )

    return EstimatedFloor(
        run=pairs.run,
        views=chosen,
        metrics=shown,
        floor=intervals(floors),
        changes=intervals([control.changes(name) for name in shown]),
        distances=distances,
        p_adjusted=holm(distances.p_value),
        level=level,
    )


def _both(under: SampleValues, floor: SampleValues) -> tuple[SampleValues, SampleValues]:
    """Keep the samples that count in both."""
    valid = under.valid & floor.valid
    return SampleValues(np.where(valid, under.values, 0.0), valid), SampleValues(
        np.where(valid, floor.values, 0.0), valid
    )


def _terms(of_metrics: Sequence[SampleValues]) -> NDArray[np.float64]:
    """Put values and counts of each sample side by side, shape (samples, ..., 2 x metrics)."""
    values = [each.values for each in of_metrics]
    return np.stack([*values, *(each.valid.astype(np.float64) for each in of_metrics)], axis=-1)


def _means(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    metrics = sums.shape[-1] // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums[..., :metrics] / sums[..., metrics:])
