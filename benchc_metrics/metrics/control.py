"""The control of a run: what a model does under changes that no person sees, and how far the corruptions are from it.

A perturbation without any effect does not have a RAS of 0: `-abs(U(q) - U(p))` is negative for every change, however
harmless. What a run has under the control is its floor. The distance of a corruption from the floor is 0 on average
where it does no more than the control.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.metrics.pairs import PairValues, ViewedPairs
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.metrics.views import View

__all__ = ["ControlView", "SampleValues", "control_of"]


class SampleValues(NamedTuple):
    """Values of samples, and which of them count.

    Attributes
    ----------
    values : ndarray of float64, shape (samples, ...)
        0 where they do not count.
    valid : ndarray of bool, the shape of `values`
    """

    values: NDArray[np.float64]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ControlView:
    """The pairs of a run beside those of the same samples under the control.

    Every method takes the name of a metric that is a mean over pairs, such as `ras` or `acc_corrupted`. A distance is
    paired: that of a sample is its value under corruption less its own floor. It counts where the sample has both.

    Attributes
    ----------
    pairs : PairValues
        Under corruption.
    control : PairValues
        Under the control: one corruption, whose severities are five changes that do not rise from mild to strong.
    """

    pairs: PairValues
    control: PairValues

    def floor(self, metric: str) -> SampleValues:
        """Mean of each sample over its valid pairs under the control, shape (samples,)."""
        return _means(self._of_control, metric)

    def changes(self, metric: str) -> SampleValues:
        """Value of each sample under each change of the control, shape (samples, 5)."""
        return SampleValues(self.control.values[metric][:, 0], self.control.valid[:, 0])

    def distances(self, metric: str) -> SampleValues:
        """Value of each pair less its sample's floor, shape (samples, corruptions, severities)."""
        floor = self.floor(metric)
        valid = self.pairs.valid & floor.valid[:, np.newaxis, np.newaxis]
        distances = self.pairs.values[metric] - floor.values[:, np.newaxis, np.newaxis]
        return SampleValues(np.where(valid, distances, 0.0), valid)

    def distance(self, metric: str, view: View | None = None) -> SampleValues:
        """Mean of each sample over its valid pairs less its floor, shape (samples,).

        Parameters
        ----------
        metric : str
        view : View, optional
            Which pairs, and of which category of samples; all by default.

        Raises
        ------
        ValueError
            If the view names a corruption that was not run.
        """
        under, has_pair = self.under(metric, view)
        floor, has_floor = self.floor(metric)
        valid = has_pair & has_floor
        return SampleValues(np.where(valid, under - floor, 0.0), valid)

    def under(self, metric: str, view: View | None = None) -> SampleValues:
        """Mean of each sample over its valid pairs under corruption, shape (samples,); see `distance`."""
        found = _means(self.pairs.all_pairs() if view is None else self.pairs.viewed(view), metric)
        if view is None or view.category is None:
            return found
        valid = found.valid & np.array([category == view.category for category in self.pairs.run.categories])
        return SampleValues(np.where(valid, found.values, 0.0), valid)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that have a floor: the means over pairs that are defined for the run."""
        return tuple(name for name in METRICS if name in self.pairs.values)

    @cached_property
    def _of_control(self) -> ViewedPairs:
        return self.control.all_pairs()


def control_of(pairs: PairValues) -> ControlView | None:
    """Return a run's view of its control.

    Parameters
    ----------
    pairs : PairValues
        Of the run.

    Returns
    -------
    ControlView or None
        None where the control was not run, or no sample has a usable answer under it. The control's pairs have the
        reading of `pairs`.
    """
    if pairs.run.control is None:
        return None
    control = PairValues.of_run(pairs.run.control, pairs.reading)
    return ControlView(pairs, control) if control.valid.any() else None


def _means(viewed: ViewedPairs, metric: str) -> SampleValues:
    valid = viewed.number > 0
    return SampleValues(np.where(valid, viewed.mean(viewed.pairs.values[metric]), 0.0), valid)
