"""Compute exchange contrasts: a quantity of a pair less the same with clean and corrupted answers exchanged.

For any f of a clean distribution p and a corrupted one q, `f(p, q) - f(q, p)` has the mean 0 if corruption has no
effect. The sign of f alone says nothing: any noise makes `-|U(q) - U(p)|` negative.

The contrast of a sample is its mean over the sample's pairs. `benchc_metrics.statistics.contrasts` tests it against the
same contrast with each other condition in the place of the clean one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.benchmark import CONTROL
from benchc_metrics.metrics import ras
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.statistics.contrasts import Contrast

__all__ = ["Exchange", "corrupted_places"]

Array = NDArray[np.float64]
_Kind = TypeVar("_Kind", np.bool_, np.float64)

_BEYOND = 4.0
"""Larger than any uncertainty or confidence; keeps the samples apart in one sorted array."""


def corrupted_places(corruptions: Sequence[str]) -> list[int]:
    """Return the places of the corruptions, without the control."""
    return [place for place, name in enumerate(corruptions) if name != CONTROL]


@dataclass(frozen=True, eq=False)
class Exchange:
    """Hold the conditions of a run's samples side by side, the clean one first.

    Attributes
    ----------
    pairs : PairValues
        Of a run with distributions.
    """

    pairs: PairValues

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Mark the usable conditions of the samples with a valid pair, shape (samples, 1 + pairs)."""
        return self._beside(self.pairs.run.clean_predictions >= 0, self.pairs.valid)[self._paired]

    @cached_property
    def right(self) -> Array:
        """1 where the response is right, else 0; the shape of `valid`, as for all that follow."""
        return self._beside(self.pairs.clean_right, self.pairs.right)[self._paired]

    @cached_property
    def confidence(self) -> Array:
        """Confidence, 0 where invalid."""
        return self._beside(self.pairs.clean_confidence, self.pairs.confidence)[self._paired]

    @cached_property
    def uncertainty(self) -> Array:
        """Uncertainty, 0 where invalid."""
        return self._of_distributions(lambda p: ras.uncertainty(p, self.pairs.run.option_counts))

    @cached_property
    def alignment(self) -> Array:
        """Calibration alignment in the reading of the run, 0 where invalid."""
        run, reading = self.pairs.run, self.pairs.reading
        return self._of_distributions(lambda p: ras.calibration_alignment(p, run.answers, run.option_counts, reading))

    def rise(self, values: Array, places: NDArray[np.bool_] | None = None, *, is_rate: bool = False) -> Contrast:
        """Contrast a quantity of one response: its mean under corruption less that on the clean image.

        Parameters
        ----------
        values : ndarray of float64, the shape of `valid`
        places : ndarray of bool, shape (1 + pairs,), optional
            The conditions that count, with the clean one; all by default.
        is_rate : bool

        Returns
        -------
        Contrast
        """
        chosen = np.ones(values.shape[1], dtype=bool) if places is None else places
        valid = self.valid[:, chosen]
        kept = valid[:, 1:].any(axis=1)
        shown = np.where(valid, values[:, chosen], 0.0)[kept]
        valid = valid[kept]

        def relabelled() -> Array:
            others = np.count_nonzero(valid, axis=1)[:, np.newaxis] - 1
            return np.where(valid, (shown.sum(axis=1, keepdims=True) - shown) / others - shown, np.nan)

        observed = shown[:, 1:].sum(axis=1) / np.count_nonzero(valid[:, 1:], axis=1) - shown[:, 0]
        return Contrast(observed, relabelled, is_rate)

    def erroneous_confidence(self) -> Contrast:
        """Contrast the rate of erroneous confidence."""
        wrong = np.where(self.valid, 1 - self.right, 0.0)
        usable = self.valid.astype(np.float64)

        def sums() -> Array:
            # Each condition is no less sure than itself, which is not counted.
            no_less_sure = self._sums_above(self.confidence, wrong, -ras.SAME) - wrong
            no_surer = self._others - self._sums_above(self.confidence, usable, ras.SAME)
            return np.asarray(no_less_sure - wrong * no_surer)

        return self._contrast(sums, is_rate=True)

    def less_sure(self) -> Contrast:
        """Contrast the rate of hesitation: right, with uncertainty risen."""
        right = np.where(self.valid, self.right, 0.0)
        usable = self.valid.astype(np.float64)

        def sums() -> Array:
            surer = self._others + 1 - self._sums_above(self.uncertainty, usable, -ras.SAME)
            return self._sums_above(self.uncertainty, right, ras.SAME) - right * surer

        return self._contrast(sums, is_rate=True)

    def part_of_ras(self, *, is_right: bool) -> Contrast:
        """Contrast what the pairs that are right when clean add to RAS, or those that are wrong."""
        side = np.where(self.valid, self.right if is_right else 1 - self.right, 0.0)
        alignment = np.where(self.valid, self.alignment, 0.0)

        def sums() -> Array:
            # f(p, q) - f(q, p) = (A_q - A_p) (s_p + s_q) - |U_q - U_p| (s_p - s_q), with s the side
            sides, alignments = side.sum(axis=1, keepdims=True), alignment.sum(axis=1, keepdims=True)
            both = (side * alignment).sum(axis=1, keepdims=True)
            number = self._others + 1
            aligned = side * alignments + both - alignment * (side * number + sides)
            to_all = self._distances(self.valid.astype(np.float64))
            to_side = self._distances(side)
            return np.asarray(aligned - (side * to_all - to_side))

        return self._contrast(sums)

    @cached_property
    def _places(self) -> list[int]:
        return corrupted_places(self.pairs.run.corruptions)

    @cached_property
    def _paired(self) -> NDArray[np.bool_]:
        return np.asarray(self.pairs.valid[:, self._places].any(axis=(1, 2)))

    @cached_property
    def _others(self) -> Array:
        """Number of the sample's other usable conditions, shape (samples, 1)."""
        return np.asarray(np.count_nonzero(self.valid, axis=1)[:, np.newaxis] - 1, dtype=np.float64)

    def _beside(self, clean: NDArray[_Kind], corrupted: NDArray[_Kind]) -> NDArray[_Kind]:
        flat = corrupted[:, self._places].reshape(len(clean), -1)
        return np.concatenate([clean[:, np.newaxis], flat], axis=1)

    def _of_distributions(self, quantity: Callable[[Array], Array]) -> Array:
        clean, corrupted = quantity(self.pairs.clean), quantity(self.pairs.corrupted)
        return np.where(self.valid, self._beside(clean[:, 0, 0], corrupted)[self._paired], 0.0)

    def _contrast(self, sums: Callable[[], Array], *, is_rate: bool = False) -> Contrast:
        """Make a contrast of its sums over each condition's others."""
        relabelled = np.where(self.valid, sums() / self._others, np.nan)
        return Contrast(relabelled[:, 0], lambda: relabelled, is_rate)

    def _sums_above(self, values: Array, weights: Array, offset: float) -> Array:
        """Sum, for each condition, the weights of the sample's values that are at least its own plus `offset`."""
        rows = _BEYOND * np.arange(len(values))[:, np.newaxis]
        keys = rows + np.where(self.valid, values, _BEYOND / 2)
        order = np.argsort(keys, axis=None, kind="stable")
        running = np.concatenate([[0.0], np.cumsum(weights.ravel()[order])])
        up_to_sample = np.concatenate([[0.0], np.cumsum(weights.sum(axis=1))])[1:, np.newaxis]
        first = np.searchsorted(keys.ravel()[order], (keys + offset).ravel(), side="left").reshape(keys.shape)
        return np.asarray(up_to_sample - running[first])

    def _distances(self, weights: Array) -> Array:
        """Sum, for each condition, the weighted distances of its uncertainty to the sample's others."""
        own = self.uncertainty
        above = self._sums_above(own, weights * own, 0.0) - own * self._sums_above(own, weights, 0.0)
        all_of_them = (weights * own).sum(axis=1, keepdims=True) - own * weights.sum(axis=1, keepdims=True)
        return np.asarray(2 * above - all_of_them)
