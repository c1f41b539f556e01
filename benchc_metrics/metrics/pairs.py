"""The pairs of a run as arrays: what metrics are computed from.

A pair is valid if both its conditions are. Arrays of pairs have the shape (samples, corruptions, severities).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.metrics import ras
from benchc_metrics.metrics.ras import Reading
from benchc_metrics.metrics.registry import EVERY_METRIC, metrics_of_kind
from benchc_metrics.metrics.views import View
from benchc_metrics.metrics.votes import RasOfVotes, ras_of_votes
from benchc_metrics.responses import option_distribution
from benchc_metrics.responses.tempering import nll_slopes
from benchc_metrics.runs import Run

__all__ = ["PairValues", "ViewedPairs"]

# Of the logarithm of the temperature, on both sides; the error of the derivative is of the order of its square.
_STEP = 1e-3


@dataclass(frozen=True, eq=False)
class PairValues:
    """The responses of a run, paired, and the value of each metric for each pair.

    Attributes
    ----------
    run : Run
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS, see `benchc_metrics.metrics.ras.READINGS`.
    """

    run: Run
    reading: Reading = ras.DEFAULT_READING

    @classmethod
    def of_run(cls, run: Run, reading: Reading = ras.DEFAULT_READING) -> PairValues:
        """Pair the responses of a run."""
        return cls(run, reading)

    @cached_property
    def clean(self) -> NDArray[np.float64]:
        """Option distributions on the clean images, shape (samples, 1, 1, options); nan where invalid."""
        return self.run.clean_distributions()[:, np.newaxis, np.newaxis]

    @cached_property
    def corrupted(self) -> NDArray[np.float64]:
        """Option distributions under corruption, shape (samples, corruptions, severities, options)."""
        return self.run.corrupted_distributions()

    @cached_property
    def tempered_ras(self) -> NDArray[np.float64]:
        """RAS of each pair after division of all log-likelihoods by the run's temperature; nan where invalid."""
        return self._ras_at(self.run.temperature.value)

    @cached_property
    def slope_of_tempered_ras(self) -> NDArray[np.float64]:
        """Derivative of `tempered_ras` by the logarithm of the temperature."""
        value = self.run.temperature.value
        above, below = (self._ras_at(value * np.exp(step)) for step in (_STEP, -_STEP))
        return np.asarray((above - below) / (2 * _STEP))

    @cached_property
    def temperature_slopes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How each sample's clean answer pulls at the temperature, see `nll_slopes`; two arrays of shape (samples,)."""
        return nll_slopes(self.run.clean, self.run.answers, self.run.temperature)

    @property
    def log_temperature(self) -> NDArray[np.float64]:
        """Logarithm of the run's temperature where the clean response is valid, else 0; shape (samples,)."""
        return np.where(self.clean_valid > 0, np.log(self.run.temperature.value), 0.0)

    def _ras_at(self, temperature: float) -> NDArray[np.float64]:
        run = self.run
        clean, corrupted = (
            option_distribution(scores / temperature, run.option_counts)
            for scores in (run.clean[:, np.newaxis, np.newaxis], run.corrupted)
        )
        return ras.robustness_alignment_score(clean, corrupted, run.answers, run.option_counts, self.reading)

    @property
    def clean_predictions(self) -> NDArray[np.int64]:
        """Index of the option chosen on the clean image, shape (samples, 1, 1); -1 where invalid."""
        return self.run.clean_predictions[:, np.newaxis, np.newaxis]

    @cached_property
    def clean_valid(self) -> NDArray[np.float64]:
        """1 where the clean response is valid, else 0; shape (samples,)."""
        return (self.run.clean_predictions >= 0).astype(np.float64)

    @cached_property
    def clean_right(self) -> NDArray[np.float64]:
        """1 where the clean response is valid and right, else 0; shape (samples,)."""
        return np.asarray(self.run.clean_predictions == self.run.answers, dtype=np.float64)

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Mark the valid pairs."""
        return (self.run.corrupted_predictions >= 0) & (self.clean_predictions >= 0)

    @cached_property
    def right(self) -> NDArray[np.float64]:
        """1 where the response under corruption is right, else 0."""
        return np.asarray(
            self.run.corrupted_predictions == self.run.answers[:, np.newaxis, np.newaxis], dtype=np.float64
        )

    @cached_property
    def clean_confidence(self) -> NDArray[np.float64]:
        """Confidence on the clean images, shape (samples,); 0 where invalid."""
        return np.nan_to_num(ras.confidence(self.clean[:, 0, 0]))

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """Confidence under corruption; 0 where the pair is invalid."""
        return np.where(self.valid, ras.confidence(self.corrupted), 0.0)

    @cached_property
    def clean_gap(self) -> NDArray[np.float64]:
        """Correctness less confidence on the clean images, shape (samples,); 0 where invalid."""
        return np.where(self.clean_valid, self.clean_right - self.clean_confidence, 0.0)

    @cached_property
    def gap(self) -> NDArray[np.float64]:
        """Correctness less confidence under corruption; 0 where the pair is invalid."""
        return np.where(self.valid, self.right - self.confidence, 0.0)

    @cached_property
    def of_votes(self) -> RasOfVotes:
        """RAS of each pair from votes, and its bias.

        Raises
        ------
        ValueError
            If the run has no votes.
        """
        if self.run.votes is None:
            raise ValueError(f"{self.run.name} has no votes")
        return ras_of_votes(self.run.votes, self.run.answers, self.run.option_counts, self.reading)

    @cached_property
    def values(self) -> Mapping[str, NDArray[np.float64]]:
        """The metrics that are means over pairs, by name: the value of each pair, 0 where it is invalid."""
        return _ValuesOfPairs(self)

    def all_pairs(self) -> ViewedPairs:
        """Take all pairs, of a run without corrupted conditions too."""
        return ViewedPairs(self, np.ix_(*map(range, self.valid.shape)))

    def viewed(self, view: View) -> ViewedPairs:
        """Take the pairs of a view.

        Raises
        ------
        ValueError
            If the view names a corruption that was not run.
        """
        unknown = [name for name in view.corruptions if name not in self.run.corruptions]
        if unknown or not view.corruptions or not view.severities:
            raise ValueError(f"{self.run.name} was not run under {', '.join(unknown) or 'any condition of the view'}")
        corruptions = [self.run.corruptions.index(name) for name in view.corruptions]
        severities = [self.run.severities.index(severity) for severity in view.severities]
        return ViewedPairs(self, np.ix_(range(len(self.valid)), corruptions, severities))


class _ValuesOfPairs(Mapping[str, NDArray[np.float64]]):
    """The value of each pair by the metric's name, computed when it is first asked for."""

    def __init__(self, pairs: PairValues) -> None:
        self._pairs = pairs
        self._found: dict[str, NDArray[np.float64]] = {}
        self._names = tuple(
            metric.name for metric in metrics_of_kind(pairs.run) if metric.computed.of_pairs is not None
        )

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        of_pairs = EVERY_METRIC[name].computed.of_pairs if name in self._names else None
        if of_pairs is None:
            raise KeyError(name)
        if name not in self._found:
            self._found[name] = np.where(self._pairs.valid, of_pairs(self._pairs), 0.0)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, eq=False)
class ViewedPairs:
    """The pairs of a run that belong to a view; all samples, some conditions.

    Attributes
    ----------
    pairs : PairValues
    cells : tuple of ndarray
        Indexes an array of pairs.
    """

    pairs: PairValues
    cells: tuple[NDArray[np.intp], ...]

    def of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take the pairs of the view from an array of pairs, shape (samples, pairs)."""
        return values[self.cells].reshape(len(values), -1)

    @cached_property
    def number(self) -> NDArray[np.float64]:
        """Number of valid pairs of each sample."""
        return np.asarray(np.count_nonzero(self.pairs.valid[self.cells], axis=(1, 2)), dtype=np.float64)

    @cached_property
    def asked(self) -> NDArray[np.float64]:
        """Number of pairs of each sample that were asked."""
        return np.asarray(np.count_nonzero(self.pairs.run.asked[self.cells], axis=(1, 2)), dtype=np.float64)

    @cached_property
    def paired(self) -> NDArray[np.float64]:
        """1 for each sample with a valid pair, else 0."""
        return (self.number > 0).astype(np.float64)

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean over each sample's valid pairs of an array of pairs that is 0 where invalid; 0 without a valid pair."""
        return np.asarray(self.of(values).sum(axis=1) / np.maximum(self.number, 1))
