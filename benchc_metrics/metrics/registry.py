"""All metrics, one entry each: everything that is known about a metric stands here and nowhere else.

lmms-eval's tables, `benchc summary`, reports, submissions and the table in docs/metrics.md come from these entries. A
metric is a function of sums over samples, so that all resamples of all metrics are computed at once; an entry names
the sums, and the function.

A sample whose clean response is invalid has no valid pair: it counts in `invalid_pairs` and is left out of every
other metric. Metrics "of pairs" are a sample's means over its valid pairs, averaged over the samples that have one, so
that each sample weighs the same; where no pair is invalid that is the mean over all pairs.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.messages import quoted
from benchc_metrics.metrics import ras
from benchc_metrics.metrics.calibration import DEFAULT_BINS, brier_score, negative_log_likelihood
from benchc_metrics.metrics.votes import UNCERTAIN_SHARE
from benchc_metrics.responses.tempering import log_temperature_step

if TYPE_CHECKING:
    from benchc_metrics.metrics.pairs import PairValues, ViewedPairs
    from benchc_metrics.runs import Run
    from benchc_metrics.runs.vote_counts import VoteCounts

__all__ = [
    "CLEAN",
    "EVERY_METRIC",
    "METRICS",
    "METRICS_OF_VOTES",
    "NOT_DEFINED",
    "PAIRED",
    "PAIRED_RIGHT",
    "PAIRED_WRONG",
    "Computation",
    "IntervalMethod",
    "Metric",
    "SampleSum",
    "headline_metrics",
    "mean_over_clean",
    "mean_over_pairs",
    "metrics_of_kind",
    "register",
    "unregister",
]

Array: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = "NDArray[np.int64] | NDArray[np.bool_]"

IntervalMethod: TypeAlias = Literal["bca", "bca-student", "bca-wilson", "basic", "basic-stretched"]
"""The bootstrap interval of a metric; see `benchc_metrics.statistics.resampling`."""

NOT_DEFINED = "not defined"
"""Stands in place of a metric that needs probabilities where a run has predictions only."""


@dataclass(frozen=True)
class SampleSum:
    """A sum over samples.

    Attributes
    ----------
    name : str
        Sums of one name are one sum, which several metrics can share.
    terms : callable
        From the pairs of a view to what each sample adds, shape (samples,), or (samples, width) for several sums at
        once. Finite, and 0 where a sample has nothing to add.
    width : int
        Number of sums; 1 for a single one.
    of_run : bool
        Whether all samples of the run count in every view, one of a category too.
    """

    name: str
    terms: Callable[[ViewedPairs], Array]
    width: int = 1
    of_run: bool = False


@dataclass(frozen=True)
class Computation:
    """The computation of a metric from sums over samples.

    Attributes
    ----------
    sums : tuple of SampleSum
    of_sums : callable
        From the sums, in their order and each of shape (...) or (..., width), to the metric, shape (...). Division by
        zero makes the nan of an undefined metric.
    of_pairs : callable, optional
        From the pairs of a run to the value of each pair, shape (samples, corruptions, severities), for a metric that
        is a mean over pairs.
    is_mean : bool
        Whether the metric is the mean, over the samples for which it is defined, of the metric of each sample alone.
    of_whole_run : bool
        Whether the value of a pair depends on the other samples of its run, so that a sample alone has none.
    margin : callable, optional
        From the sums to how much further its interval reaches on both sides than resampling says, for an error that
        all samples share.
    noise : callable, optional
        From the sums of resamples, followed by those of the samples as they are, to what the metric would be if it
        were resampling noise alone. With it the metric gets a stretched basic interval, else BCa; see
        `benchc_metrics.statistics.resampling`.
    """

    sums: tuple[SampleSum, ...]
    of_sums: Callable[..., Array]
    of_pairs: Callable[[PairValues], Array] | None = None
    is_mean: bool = False
    of_whole_run: bool = False
    margin: Callable[..., Array] | None = None
    noise: Callable[..., Array] | None = None


@dataclass(frozen=True)
class Metric:
    """The facts about a metric that need no data.

    Attributes
    ----------
    name : str
        As in results, logs and options.
    label : str
        For the head of a column. Those of the benchmark's metrics are their names, so that a metric is spelt the same
        in lmms-eval's table, in options, tables, reports and files.
    meaning : str
        In a sentence.
    formula : str
        In Markdown, for the docs; p is the clean distribution of a pair, q the corrupted one.
    higher_is_better : bool or None
        None where neither is.
    minimum, maximum : float
        Its possible range; infinite where it has no limit.
    computed : Computation
    needs_distribution : bool
        Whether it is defined only for runs with probabilities of the options.
    is_headline : bool
        Whether tables show it unless others are asked for.
    needs_votes : bool
        Whether it is defined only for runs whose predictions are from votes.
    """

    name: str
    label: str
    meaning: str
    formula: str
    higher_is_better: bool | None
    minimum: float
    maximum: float
    computed: Computation
    needs_distribution: bool = True
    is_headline: bool = False
    needs_votes: bool = False

    @property
    def interval(self) -> IntervalMethod:
        """Kind of its bootstrap interval."""
        if self.computed.noise is not None:
            return "basic-stretched"
        return "bca-wilson" if self.is_rate else "bca-student"

    @property
    def is_rate(self) -> bool:
        """Whether it is a share: a mean over samples of values between 0 and 1."""
        return self.computed.is_mean and (self.minimum, self.maximum) == (0, 1)

    def is_defined_for(self, run: Run) -> bool:
        """Say whether a run has the probabilities, or the votes, that the metric may need."""
        if self.needs_votes:
            return run.votes is not None
        return run.has_distributions or not self.needs_distribution


_METRICS: dict[str, Metric] = {}

METRICS: Mapping[str, Metric] = MappingProxyType(_METRICS)
"""All metrics by name, in the order in which tables show them; added ones follow."""


_BY_NAME: dict[str, Metric] = {}

METRICS_OF_VOTES: Mapping[str, Metric] = MappingProxyType(_BY_NAME)
"""The metrics of runs whose predictions are from votes, by name; they follow the others there and stand only there."""

EVERY_METRIC: Mapping[str, Metric] = ChainMap(_METRICS, _BY_NAME)
"""All metrics of every kind of run, to look a name up."""


def metrics_of_kind(run: Run) -> tuple[Metric, ...]:
    """List the metrics that are defined for a kind of run, in the order in which tables show them."""
    return tuple(metric for metric in (*METRICS.values(), *METRICS_OF_VOTES.values()) if metric.is_defined_for(run))


def register(metric: Metric) -> Metric:
    """Add a metric to `METRICS`: to lmms-eval's tables, summaries, reports and submissions.

    Parameters
    ----------
    metric : Metric
        Its name must be new.

    Returns
    -------
    Metric
        `metric`.

    Raises
    ------
    ValueError
        If the name is taken.
    """
    if metric.name in EVERY_METRIC:
        raise ValueError(f"there is a metric named {quoted(metric.name)} already: choose another name")
    _METRICS[metric.name] = metric
    return metric


def unregister(name: str) -> None:
    """Remove a metric from `METRICS`."""
    del _METRICS[name]


def headline_metrics(run: Run | None = None) -> tuple[str, ...]:
    """List the metrics that tables show unless others are asked for.

    Parameters
    ----------
    run : Run, optional
        One of the runs of a table. Of votes, RAS and calibration are left out and the metrics of votes stand there;
        they never stand beside those of probabilities.
    """
    if run is None or run.votes is None:
        return tuple(name for name, metric in METRICS.items() if metric.is_headline)
    return tuple(metric.name for metric in metrics_of_kind(run) if metric.is_headline)


CLEAN = SampleSum("clean", lambda viewed: viewed.pairs.clean_valid)
"""Samples with a valid clean response."""

PAIRED = SampleSum("paired", lambda viewed: viewed.paired)
"""Samples with a valid pair."""

PAIRED_RIGHT = SampleSum("paired_right", lambda viewed: viewed.paired * viewed.pairs.clean_right)
"""Samples with a valid pair and a right clean response."""

PAIRED_WRONG = SampleSum("paired_wrong", lambda viewed: viewed.paired * (1 - viewed.pairs.clean_right))
"""Samples with a valid pair and a wrong clean response."""

_SLOPE = SampleSum("temperature_slope", lambda viewed: viewed.pairs.temperature_slopes[0], of_run=True)
_CURVATURE = SampleSum("temperature_curvature", lambda viewed: viewed.pairs.temperature_slopes[1], of_run=True)
_LOG_TEMPERATURE = SampleSum("log_temperature", lambda viewed: viewed.pairs.log_temperature, of_run=True)
_CLEAN_OF_RUN = SampleSum("clean_of_run", lambda viewed: viewed.pairs.clean_valid, of_run=True)

VALID_PAIRS = SampleSum("valid_pairs", lambda viewed: viewed.number)
ASKED_PAIRS = SampleSum("asked_pairs", lambda viewed: viewed.asked)


def mean_over_clean(name: str, value: Callable[[PairValues], Array]) -> Computation:
    """Compute a metric as the mean over samples of a value of their clean responses.

    Parameters
    ----------
    name : str
        The metric's.
    value : callable
        From the pairs of a run to the value of each sample, shape (samples,); it does not count where the clean
        response is invalid.
    """
    return Computation(
        sums=(SampleSum(name, lambda viewed: np.where(viewed.pairs.clean_valid, value(viewed.pairs), 0.0)), CLEAN),
        of_sums=np.divide,
        is_mean=True,
    )


def mean_over_pairs(name: str, value: Callable[[PairValues], Array]) -> Computation:
    """Compute a metric as the mean over samples of their means over valid pairs.

    Parameters
    ----------
    name : str
        The metric's.
    value : callable
        From the pairs of a run to the value of each pair, shape (samples, corruptions, severities); it does not count
        where the pair is invalid.
    """
    return Computation(sums=(_pair_mean(name), PAIRED), of_sums=np.divide, of_pairs=value, is_mean=True)


def _pair_mean(name: str) -> SampleSum:
    return SampleSum(name, lambda viewed: viewed.mean(viewed.pairs.values[name]))


def _part_of_ras(name: str, of_samples: SampleSum, is_right: bool) -> Computation:
    def terms(viewed: ViewedPairs) -> Array:
        right = viewed.pairs.clean_right
        return viewed.mean(viewed.pairs.values["ras"]) * (right if is_right else 1 - right)

    return Computation(sums=(SampleSum(name, terms), of_samples), of_sums=np.divide, is_mean=True)


def _tempered_ras() -> Computation:
    """Mean of tempered RAS; a resample has its own temperature, and RAS follows it to first order."""
    slope = SampleSum(
        "ras_tempered_slope",
        lambda viewed: viewed.mean(np.where(viewed.pairs.valid, viewed.pairs.slope_of_tempered_ras, 0.0)),
    )

    def of_sums(total: Array, samples: Array, slopes: Array, first: Array, second: Array) -> Array:
        return np.asarray((total + slopes * log_temperature_step(first, second)) / samples)

    return Computation(
        sums=(_pair_mean("ras_tempered"), PAIRED, slope, _SLOPE, _CURVATURE),
        of_sums=of_sums,
        of_pairs=lambda pairs: pairs.tempered_ras,
        of_whole_run=True,
    )


def _temperature(logarithms: Array, samples: Array, first: Array, second: Array) -> Array:
    return np.asarray(np.exp(logarithms / samples + log_temperature_step(first, second)))


def _relative_drop(clean_right: Array, corrupted_right: Array) -> Array:
    return np.where(clean_right > 0, (clean_right - corrupted_right) / clean_right, np.nan)


def _calibration_error(name: str, gaps: Callable[[ViewedPairs], tuple[Array, Array]], number: SampleSum) -> Computation:
    """Compute an expected calibration error from gaps (correctness less confidence) and confidences of responses."""

    def terms(viewed: ViewedPairs) -> Array:
        gap, confidence = gaps(viewed)
        return _sums_by_bin(confidence_bins(confidence), gap)

    def error(of_bins: Array, responses: Array) -> Array:
        return np.asarray(np.abs(of_bins).sum(axis=-1) / responses)

    def noise(of_bins: Array, responses: Array, total_of_bins: Array, _: Array) -> Array:
        return error(of_bins - total_of_bins, responses)

    return Computation(sums=(SampleSum(name, terms, DEFAULT_BINS), number), of_sums=error, noise=noise)


def confidence_bins(confidence: Array) -> NDArray[np.int64]:
    """Find the bin of each confidence, cut as `CalibrationBins.from_answers` cuts."""
    return np.searchsorted(np.arange(1, DEFAULT_BINS) / DEFAULT_BINS, confidence, side="right").astype(np.int64)


def _sums_by_bin(bins: NDArray[np.int64], values: Array) -> Array:
    """Sum each row's values by bin: shape (rows, DEFAULT_BINS)."""
    rows = len(bins)
    places = bins + DEFAULT_BINS * np.arange(rows)[:, np.newaxis]
    sums = np.bincount(places.ravel(), weights=values.ravel(), minlength=rows * DEFAULT_BINS)
    return np.asarray(sums.reshape(rows, DEFAULT_BINS), dtype=np.float64)


def _clean_gaps(viewed: ViewedPairs) -> tuple[Array, Array]:
    return viewed.pairs.clean_gap[:, np.newaxis], viewed.pairs.clean_confidence[:, np.newaxis]


def _corrupted_gaps(viewed: ViewedPairs) -> tuple[Array, Array]:
    return viewed.of(viewed.pairs.gap), viewed.of(viewed.pairs.confidence)


def _ras(pairs: PairValues) -> Array:
    run = pairs.run
    return ras.robustness_alignment_score(pairs.clean, pairs.corrupted, run.answers, run.option_counts, pairs.reading)


def _erroneous_confidence(pairs: PairValues) -> Array:
    return ras.erroneous_confidence(pairs.clean, pairs.corrupted, pairs.run.answers).astype(np.float64)


def _hesitation(pairs: PairValues) -> Array:
    run = pairs.run
    return ras.hesitation(pairs.clean, pairs.corrupted, run.answers, run.option_counts).astype(np.float64)


BIAS_OF_VOTES = SampleSum(
    "bias_of_votes", lambda viewed: viewed.mean(np.where(viewed.pairs.valid, viewed.pairs.of_votes.bias, 0.0))
)


def _of_generations(name: str, numbers: Callable[[VoteCounts], tuple[Counts, Counts]]) -> SampleSum:
    """Sum numbers of generations over a view's conditions, the clean one with them."""

    def terms(viewed: ViewedPairs) -> Array:
        votes = viewed.pairs.run.votes
        if votes is None:
            return np.zeros(len(viewed.pairs.valid))
        clean, corrupted = (np.asarray(each, dtype=np.float64) for each in numbers(votes))
        return np.asarray(clean + viewed.of(corrupted).sum(axis=1))

    return SampleSum(name, terms)


GENERATIONS = _of_generations("generations", lambda votes: (votes.clean_number, votes.corrupted_number))
CONDITIONS_WITH_GENERATIONS = _of_generations(
    "conditions_with_generations", lambda votes: (votes.clean_number > 0, votes.corrupted_number > 0)
)
UNPARSED = _of_generations("unparsed", lambda votes: (votes.clean_unparsed, votes.corrupted_unparsed))
UNFINISHED = _of_generations("unfinished", lambda votes: (votes.clean_unfinished, votes.corrupted_unfinished))


def _flip(pairs: PairValues) -> Array:
    return ras.flip(pairs.clean_predictions, pairs.run.corrupted_predictions).astype(np.float64)


def _destroyed(pairs: PairValues) -> Array:
    before, after = pairs.clean_predictions, pairs.run.corrupted_predictions
    return ras.destroyed(before, after, pairs.run.answers).astype(np.float64)


def _corrected(pairs: PairValues) -> Array:
    before, after = pairs.clean_predictions, pairs.run.corrupted_predictions
    return ras.destroyed(after, before, pairs.run.answers).astype(np.float64)


for _metric in (
    Metric(
        "acc_clean",
        "acc_clean",
        "Accuracy on the clean images.",
        "mean of a(p) over samples",
        True,
        0,
        1,
        mean_over_clean("acc_clean", lambda pairs: pairs.clean_right),
        needs_distribution=False,
        is_headline=True,
    ),
    Metric(
        "acc_corrupted",
        "acc_corrupted",
        "Accuracy under corruption.",
        "mean of a(q) over pairs",
        True,
        0,
        1,
        mean_over_pairs("acc_corrupted", lambda pairs: pairs.right),
        needs_distribution=False,
        is_headline=True,
    ),
    Metric(
        "acc_drop",
        "acc_drop",
        "Share of the clean accuracy that corruption costs.",
        "`(acc_clean - acc_corrupted) / acc_clean` over the samples that have a valid pair",
        False,
        -inf,
        1,
        Computation((PAIRED_RIGHT, _pair_mean("acc_corrupted")), _relative_drop),
        needs_distribution=False,
        is_headline=True,
    ),
    Metric(
        "ras",
        "ras",
        "Robustness Alignment Score: shift of calibration less shift of uncertainty.",
        "mean over pairs of `(A(q) - A(p)) - abs(U(q) - U(p))`",
        True,
        -2,
        1,
        mean_over_pairs("ras", _ras),
        is_headline=True,
    ),
    Metric(
        "ras_destructive",
        "ras_destructive",
        "RAS over the samples whose clean answer is right.",
        "`ras` over pairs with a(p) = 1",
        True,
        -2,
        1,
        _part_of_ras("ras_destructive", PAIRED_RIGHT, is_right=True),
        is_headline=True,
    ),
    Metric(
        "ras_corrective",
        "ras_corrective",
        "RAS over the samples whose clean answer is wrong.",
        "`ras` over pairs with a(p) = 0",
        True,
        -2,
        1,
        _part_of_ras("ras_corrective", PAIRED_WRONG, is_right=False),
        is_headline=True,
    ),
    Metric(
        "ras_tempered",
        "ras_tempered",
        "RAS after division of the log-likelihoods by the run's temperature; rankings go by it.",
        "`ras` of the softmax of log-likelihoods / `temperature`",
        True,
        -2,
        1,
        _tempered_ras(),
        is_headline=True,
    ),
    Metric(
        "temperature",
        "temperature",
        "What the log-likelihoods are divided by: above 1 for a model that is surer than its clean answers warrant.",
        "T of the smallest mean of `-ln p_y` over clean samples, p the softmax of log-likelihoods / T",
        None,
        0,
        inf,
        Computation((_LOG_TEMPERATURE, _CLEAN_OF_RUN, _SLOPE, _CURVATURE), _temperature, of_whole_run=True),
        is_headline=True,
    ),
    Metric(
        "erroneous_confidence",
        "erroneous_confidence",
        "Share of pairs that are wrong under corruption with confidence risen or equal.",
        "share of pairs with a(q) = 0 and c(q) >= c(p)",
        False,
        0,
        1,
        mean_over_pairs("erroneous_confidence", _erroneous_confidence),
    ),
    Metric(
        "hesitation",
        "hesitation",
        "Share of pairs right under corruption with uncertainty risen.",
        "share of pairs with a(q) = 1 and U(q) > U(p)",
        False,
        0,
        1,
        mean_over_pairs("hesitation", _hesitation),
    ),
    Metric(
        "flip",
        "flip",
        "Share of pairs whose prediction changed.",
        "share of pairs",
        False,
        0,
        1,
        mean_over_pairs("flip", _flip),
        needs_distribution=False,
    ),
    Metric(
        "destroyed",
        "destroyed",
        "Share of pairs that went from right to wrong.",
        "share of pairs with a(p) = 1 and a(q) = 0",
        False,
        0,
        1,
        mean_over_pairs("destroyed", _destroyed),
        needs_distribution=False,
    ),
    Metric(
        "corrected",
        "corrected",
        "Share of pairs that went from wrong to right.",
        "share of pairs with a(p) = 0 and a(q) = 1",
        True,
        0,
        1,
        mean_over_pairs("corrected", _corrected),
        needs_distribution=False,
    ),
    Metric(
        "brier_clean",
        "brier_clean",
        "Brier score on the clean images.",
        "mean of `sum_k (p_k - [k = y])^2`, multi-class",
        False,
        0,
        2,
        mean_over_clean("brier_clean", lambda pairs: brier_score(pairs.clean[:, 0, 0], pairs.run.answers)),
    ),
    Metric(
        "brier_corrupted",
        "brier_corrupted",
        "Brier score under corruption.",
        "the same over pairs, of q",
        False,
        0,
        2,
        mean_over_pairs("brier_corrupted", lambda pairs: brier_score(pairs.corrupted, pairs.run.answers)),
    ),
    Metric(
        "nll_clean",
        "nll_clean",
        "Negative log-likelihood of the right option, clean, in nats.",
        "mean of `-ln max(p_y, 2.2e-308)`",
        False,
        0,
        inf,
        mean_over_clean("nll_clean", lambda pairs: negative_log_likelihood(pairs.clean[:, 0, 0], pairs.run.answers)),
    ),
    Metric(
        "nll_corrupted",
        "nll_corrupted",
        "The same under corruption.",
        "the same over pairs, of q",
        False,
        0,
        inf,
        mean_over_pairs("nll_corrupted", lambda pairs: negative_log_likelihood(pairs.corrupted, pairs.run.answers)),
    ),
    Metric(
        "ece_clean",
        "ece_clean",
        "Expected calibration error on the clean images.",
        "`sum_b n_b / N abs(accuracy_b - confidence_b)` over 15 bins of equal width",
        False,
        0,
        1,
        _calibration_error("ece_clean", _clean_gaps, CLEAN),
        is_headline=True,
    ),
    Metric(
        "ece_corrupted",
        "ece_corrupted",
        "Expected calibration error under corruption.",
        "the same over the corrupted answers of all valid pairs",
        False,
        0,
        1,
        _calibration_error("ece_corrupted", _corrupted_gaps, VALID_PAIRS),
        is_headline=True,
    ),
    Metric(
        "invalid_pairs",
        "invalid_pairs",
        "Number of pairs without a usable answer.",
        "count",
        False,
        0,
        inf,
        Computation((ASKED_PAIRS, VALID_PAIRS), np.subtract),
        needs_distribution=False,
    ),
):
    register(_metric)

_METRICS_OF_VOTES = (
    Metric(
        "ras_votes",
        "ras_votes",
        "RAS from votes, less the bias that few votes have; not comparable with RAS from log-likelihoods.",
        "mean over pairs of RAS of the shares of votes less its bias",
        True,
        -2,
        1,
        Computation(
            sums=(_pair_mean("ras_votes"), PAIRED, BIAS_OF_VOTES),
            of_sums=lambda total, samples, _: total / samples,
            of_pairs=lambda pairs: pairs.of_votes.values,
            of_whole_run=True,
            margin=lambda _, samples, bias: UNCERTAIN_SHARE * np.abs(bias) / samples,
        ),
        needs_distribution=False,
        is_headline=True,
        needs_votes=True,
    ),
    Metric(
        "votes",
        "votes",
        "Sampled answers a condition.",
        "mean over conditions",
        True,
        0,
        inf,
        Computation((GENERATIONS, CONDITIONS_WITH_GENERATIONS), np.divide),
        needs_distribution=False,
        is_headline=True,
        needs_votes=True,
    ),
    Metric(
        "unparsed_votes",
        "unparsed_votes",
        "Share of the sampled answers that name no option.",
        "share of all sampled answers",
        False,
        0,
        1,
        Computation((UNPARSED, GENERATIONS), np.divide),
        needs_distribution=False,
        is_headline=True,
        needs_votes=True,
    ),
    Metric(
        "unfinished_thinking",
        "unfinished_thinking",
        "Share of the sampled answers that end within their thinking; they are among the unparsed ones.",
        "share of all sampled answers",
        False,
        0,
        1,
        Computation((UNFINISHED, GENERATIONS), np.divide),
        needs_distribution=False,
        is_headline=True,
        needs_votes=True,
    ),
)
_BY_NAME.update((metric.name, metric) for metric in _METRICS_OF_VOTES)
