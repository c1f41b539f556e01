"""Metrics of runs with their intervals, and runs compared: what tables, reports and submissions show.

`estimate` and `compare` are the two questions; both answer for as many views of a run as are asked for at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.designs import FULL
from benchc_metrics.messages import quoted
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading
from benchc_metrics.metrics.registry import EVERY_METRIC
from benchc_metrics.metrics.sums import MetricSums
from benchc_metrics.metrics.views import View, whole_run
from benchc_metrics.runs import Run, part_of_run
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
from benchc_metrics.wording import joined

__all__ = [
    "ComparedRuns",
    "Difference",
    "Estimate",
    "EstimatedRun",
    "asked_of_both",
    "check_comparable",
    "compare",
    "contradictions_of",
    "estimate",
    "kind_of_predictions",
]


class Estimate(NamedTuple):
    """A metric with its interval; nan where undefined."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """A difference of two runs' metrics, first less second; nan where undefined.

    Attributes
    ----------
    value, low, high : float
    p_value : float
        Of the sign-flip test, by itself.
    p_adjusted : float
        After Holm, over the views that were compared together.
    """

    value: float
    low: float
    high: float
    p_value: float
    p_adjusted: float


@dataclass(frozen=True, eq=False)
class EstimatedRun:
    """All metrics of a run in some views.

    Attributes
    ----------
    run : Run
    views : tuple of View
    metrics : tuple of str
        Names of the metrics that are defined for the run.
    intervals : Intervals
        Arrays of shape (views, metrics).
    resamples, seed, level
        How the intervals were made.
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.
    """

    run: Run
    views: tuple[View, ...]
    metrics: tuple[str, ...]
    intervals: Intervals
    resamples: int
    seed: int
    level: float
    reading: Reading

    def of(self, metric: str, view: str | None = None) -> Estimate:
        """Return a metric in the view of this name, the first view by default."""
        place = _place(self.views, view)
        return Estimate(*(_value(self.metrics, values[place], metric) for values in self.intervals))

    def values(self, metric: str) -> NDArray[np.float64]:
        """Return a metric in all views, shape (views,)."""
        return np.array([_value(self.metrics, row, metric) for row in self.intervals.estimate])


@dataclass(frozen=True, eq=False)
class ComparedRuns:
    """The differences of two runs in some views, first less second.

    Attributes
    ----------
    first, second : Run
        What was compared: of runs of different designs, what both were asked.
    views : tuple of View
    metrics : tuple of str
        Names of the metrics that are defined for both runs.
    comparison : Comparison
        Arrays of shape (views, metrics).
    p_adjusted : ndarray of float64, shape (views, metrics)
        Holm over the views, metric by metric.
    notes : tuple of str
        What a reader should be told, a sentence each.
    level : float
        Of the intervals.
    """

    first: Run
    second: Run
    views: tuple[View, ...]
    metrics: tuple[str, ...]
    comparison: Comparison
    p_adjusted: NDArray[np.float64]
    notes: tuple[str, ...]
    level: float = CONFIDENCE_LEVEL

    def of(self, metric: str, view: str | None = None) -> Difference:
        """Return a metric in the view of this name, the first view by default."""
        place = _place(self.views, view)
        arrays = (*self.comparison, self.p_adjusted)
        return Difference(*(_value(self.metrics, values[place], metric) for values in arrays))

    def contradictions(self, metrics: Sequence[str]) -> tuple[str, ...]:
        """Say for which of some metrics interval and p-value do not agree.

        Parameters
        ----------
        metrics : sequence of str

        Returns
        -------
        tuple of str
            As of `contradictions_of`.
        """
        return contradictions_of(
            (
                (EVERY_METRIC[metric].label, view.name, self.of(metric, view.name))
                for metric in metrics
                for view in self.views
            ),
            "exchanging the two models",
            self.level,
        )


def contradictions_of(
    named: Iterable[tuple[str, str, Difference]], exchange: str, level: float = CONFIDENCE_LEVEL
) -> tuple[str, ...]:
    """Say for which differences interval and p-value do not agree.

    Parameters
    ----------
    named : iterable of (str, str, Difference)
        Differences with their metric and view, as people read them.
    exchange : str
        What the p-value exchanges at random, such as `exchanging the two models`.
    level : float
        Of the intervals.

    Returns
    -------
    tuple of str
        One sentence, or none: it names each difference of which the interval leaves out 0 and p, uncorrected, is above
        1 less the level, or the other way round.
    """
    views: dict[str, list[str]] = {}
    for metric, view, difference in named:
        if _is_contradiction(difference, level):
            views.setdefault(metric, []).append(view)
    if not views:
        return ()
    found = [f"{metric} ({', '.join(of_metric)})" for metric, of_metric in views.items()]
    return (
        f"Interval and p-value do not agree for {joined(found)}: take these differences as undecided. The interval "
        f"says how the difference varies over samples, p how often {exchange} gives one as large.",
    )


def _is_contradiction(found: Difference, level: float) -> bool:
    if np.isnan([found.low, found.high, found.p_value]).any():
        return False
    return (found.low > 0 or found.high < 0) != (found.p_value <= 1 - level)


def _place(views: Sequence[View], name: str | None) -> int:
    return 0 if name is None else [each.name for each in views].index(name)


def _value(metrics: Sequence[str], row: NDArray[np.float64], metric: str) -> float:
    """Look a metric up; nan for one that the kind of run does not have."""
    if metric not in EVERY_METRIC:
        raise KeyError(metric)
    return float(row[metrics.index(metric)]) if metric in metrics else nan


def estimate(
    run: Run | PairValues,
    views: Sequence[View] | None = None,
    *,
    reading: Reading = DEFAULT_READING,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = CONFIDENCE_LEVEL,
) -> EstimatedRun:
    """Estimate all metrics of a run with their bootstrap intervals.

    Parameters
    ----------
    run : Run or PairValues
        The latter saves computing the pairs again.
    views : sequence of View, optional
        The whole run by default.
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS; pairs bring their own.
    resamples, seed, level
        As in `benchc_metrics.statistics.resampling.bootstrap_intervals`.

    Returns
    -------
    EstimatedRun

    Raises
    ------
    ValueError
        If a view names a corruption that was not run.
    """
    pairs = run if isinstance(run, PairValues) else PairValues.of_run(run, reading)
    chosen = tuple(views) if views is not None else (whole_run(pairs.run),)
    sums = MetricSums.of_run(pairs.run)
    terms = sums.stacked_terms(pairs, chosen)
    intervals = bootstrap_intervals(
        terms,
        sums.metrics,
        methods=tuple(metric.interval for metric in sums.of),
        bounds=([metric.minimum for metric in sums.of], [metric.maximum for metric in sums.of]),
        noise=sums.noise,
        resamples=resamples,
        seed=seed,
        level=level,
    )
    margins = sums.margins(terms.sum(axis=0))
    intervals = intervals._replace(low=intervals.low - margins, high=intervals.high + margins)
    return EstimatedRun(pairs.run, chosen, sums.names, intervals, resamples, seed, level, pairs.reading)


def compare(
    first: Run | PairValues,
    second: Run | PairValues,
    views: Sequence[View] | None = None,
    *,
    reading: Reading = DEFAULT_READING,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = CONFIDENCE_LEVEL,
) -> ComparedRuns:
    """Compare two runs over the same samples, first less second.

    Parameters
    ----------
    first, second : Run or PairValues
    views : sequence of View, optional
        The whole run by default; views given together are one family for Holm's correction.
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS; pairs bring their own.
    resamples, seed, level
        As in `benchc_metrics.statistics.resampling.paired_comparison`.

    Returns
    -------
    ComparedRuns
        Over the conditions that both runs were asked, sample by sample; a note says so where they are fewer.

    Raises
    ------
    ValueError
        As `check_comparable`, or if a view names a corruption that was not run.
    """
    one, other = (run if isinstance(run, PairValues) else PairValues.of_run(run, reading) for run in (first, second))
    if one.reading != other.reading:
        raise ValueError(
            f"{one.run.name} and {other.run.name} cannot be compared: RAS is read as {quoted(one.reading)} "
            f"in one and as {quoted(other.reading)} in the other"
        )
    notes = check_comparable(one.run, other.run)
    *parts, note = asked_of_both(one.run, other.run)
    if note is not None:
        one, other = (PairValues.of_run(part, one.reading) for part in parts)
        notes = (*notes, note)
    chosen = tuple(views) if views is not None else (whole_run(one.run),)
    sums = MetricSums.of_run(one.run)
    comparison = paired_comparison(
        sums.stacked_terms(one, chosen),
        sums.stacked_terms(other, chosen),
        sums.metrics,
        methods=tuple(metric.interval for metric in sums.of),
        largest=[metric.maximum - metric.minimum for metric in sums.of],
        resamples=resamples,
        seed=seed,
        level=level,
    )
    return ComparedRuns(one.run, other.run, chosen, sums.names, comparison, holm(comparison.p_value), notes, level)


def asked_of_both(first: Run, second: Run) -> tuple[Run, Run, str | None]:
    """Take of two runs the conditions that both were asked, so that their answers can be paired.

    Parameters
    ----------
    first, second : Run
        Over the same samples and corruptions.

    Returns
    -------
    first, second : Run
        Themselves where they were asked the same.
    note : str or None
        What was left out, in a sentence; None where nothing was.

    Raises
    ------
    ValueError
        If they have no condition in common.
    """
    if np.array_equal(first.asked, second.asked):
        return first, second, None
    both = first.asked & second.asked
    between = f"{first.name} and {second.name}"
    if not both.any():
        raise ValueError(
            f"{between} cannot be compared: no sample was asked under one condition in both; evaluate the same tasks"
        )
    names = [
        run.metadata.design if run.metadata.design != FULL or run.asked.all() else "a part" for run in (first, second)
    ]
    smaller = min((first, second), key=lambda run: int(run.asked.sum())).metadata.design
    note = (
        f"{between} were asked by different designs, {names[0]} and {names[1]}: compared are the {int(both.sum()):,} "
        "pairs that both have."
    )
    return part_of_run(first, both, smaller), part_of_run(second, both, smaller), note


def kind_of_predictions(run: Run) -> str:
    """Say which runs may stand in one column: those with probabilities, or those of one way to get letters."""
    return "probabilities" if run.has_distributions else run.obtained


def check_comparable(first: Run, second: Run) -> tuple[str, ...]:
    """Refuse runs whose answers cannot be paired.

    Returns
    -------
    tuple of str
        Sentences about what differs and does not forbid the comparison.

    Raises
    ------
    ValueError
        If the kind of predictions, dataset, engine version, prompt, samples or corruptions differ; names both runs and
        the reason.
    """
    between = f"{first.name} and {second.name} cannot be compared"
    if kind_of_predictions(first) != kind_of_predictions(second):
        raise ValueError(
            f"{between}: the predictions of one come from {first.obtained} and those of the other from "
            f"{second.obtained}, which are different quantities; evaluate both the same way"
        )
    for name, words in (
        ("dataset", "they are over different datasets, {} and {}"),
        ("engine", "their images are of different corruption engines, {} and {}"),
        ("prompt", "their prompts differ, {} and {}"),
    ):
        values = getattr(first.metadata, name), getattr(second.metadata, name)
        if values[0] != values[1]:
            raise ValueError(f"{between}: {words.format(*map(quoted, values))}; evaluate both the same way")
    alone = sorted(set(first.sample_ids) ^ set(second.sample_ids))
    if alone:
        raise ValueError(
            f"{between}: {len(alone)} samples are in one of them only, first {quoted(alone[0])}; evaluate "
            "without --limit"
        )
    if first.corruptions != second.corruptions:
        apart = sorted(set(first.corruptions) ^ set(second.corruptions))
        raise ValueError(f"{between}: {', '.join(apart)} was run in one of them only; evaluate the same tasks")
    notes: list[str] = []
    if first.metadata.length_normalised != second.metadata.length_normalised:
        losses = first if first.metadata.length_normalised else second
        notes.append(
            f"{losses.name} was scored by mean losses and the other by summed log-likelihoods: only their accuracies "
            "and flips can be compared."
        )
    if first.metadata.sampling != second.metadata.sampling:
        notes.append(
            f"Their votes were drawn in different ways ({first.metadata.sampling}; {second.metadata.sampling}): RAS of "
            "votes is corrected for their number, not for the temperature."
        )
    contexts = first.metadata.context, second.metadata.context
    if None not in contexts and contexts[0] != contexts[1]:
        notes.append("Their chat settings differ, such as enable_thinking: the difference is also one of the settings.")
    return tuple(notes)
