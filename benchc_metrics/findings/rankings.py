"""Rank models under each reading of RAS, raw and tempered, to show whether the ranking depends on the reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.findings.analysis import RunAnalysis
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import READINGS, Reading

__all__ = ["Ranking", "rankings"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The ranks of models by one reading of RAS.

    Attributes
    ----------
    reading : {"brier", "probability", "confidence", "certainty"}
    is_tempered : bool
    values : ndarray of float64, shape (models,)
        RAS; nan where it is not defined.
    ranks : tuple of (int or None)
        1 for the highest value; equal values share the better rank. None where there is no value, and for a model that
        cannot be told from one that ignores the picture.
    tau : float
        Kendall's rank correlation (tau-b) with the ranking that the page goes by, in [-1, 1]; nan where every ranked
        model has the same rank.
    """

    reading: Reading
    is_tempered: bool
    values: NDArray[np.float64]
    ranks: tuple[int | None, ...]
    tau: float

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return "ras_tempered" if self.is_tempered else "ras"


def rankings(analyses: Sequence[RunAnalysis]) -> list[Ranking]:
    """Rank models under every reading, raw and tempered.

    Parameters
    ----------
    analyses : sequence of RunAnalysis
        Of one reading, by which the page goes, tempered.

    Returns
    -------
    list of Ranking
        The tempered rankings first; empty for one model, and where RAS is not defined.
    """
    if len(analyses) < 2 or not all(analysis.run.has_distributions for analysis in analyses):
        return []
    of_models = [_values(analysis) for analysis in analyses]
    kinds = [(reading, is_tempered) for is_tempered in (True, False) for reading in READINGS]
    columns = {kind: np.array([of_model[kind] for of_model in of_models]) for kind in kinds}
    is_ranked = np.array([not analysis.doubt for analysis in analyses])
    ranked = {kind: np.where(is_ranked, values, np.nan) for kind, values in columns.items()}
    own = ranked[analyses[0].pairs.reading, True]
    return [Ranking(*kind, columns[kind], _ranks(ranked[kind]), _tau(ranked[kind], own)) for kind in kinds]


def _values(analysis: RunAnalysis) -> dict[tuple[Reading, bool], float]:
    found: dict[tuple[Reading, bool], float] = {}
    for reading in READINGS:
        pairs = analysis.pairs if reading == analysis.pairs.reading else PairValues.of_run(analysis.run, reading)
        viewed = pairs.all_pairs()
        for is_tempered in (True, False):
            sums = viewed.mean(pairs.values["ras_tempered" if is_tempered else "ras"]).sum()
            samples = viewed.paired.sum()
            found[reading, is_tempered] = float(sums / samples) if samples else float("nan")
    return found


def _ranks(values: NDArray[np.float64]) -> tuple[int | None, ...]:
    # Models that are told apart by rounding only share a rank.
    rounded = np.round(values, 12)
    return tuple(None if np.isnan(value) else 1 + int(np.count_nonzero(rounded > value)) for value in rounded.tolist())


def _tau(values: NDArray[np.float64], own: NDArray[np.float64]) -> float:
    # Not at import, where most commands need no correlation.
    from scipy.stats import kendalltau

    both = ~np.isnan(values) & ~np.isnan(own)
    if np.count_nonzero(both) < 2:
        return float("nan")
    return float(kendalltau(np.round(values[both], 12), np.round(own[both], 12)).statistic)
