"""Findings in sentences, computed from the runs; each with its interval, and none whose interval includes no effect.

Where a sentence is the choice among many candidates (a corruption out of nineteen, a pair out of all models), its
interval is widened for their number after Bonferroni, so that the choice itself does not make a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchc_metrics.findings.analysis import Contest, RunAnalysis, mean_intervals
from benchc_metrics.statistics.estimates import Estimate
from benchc_metrics.statistics.resampling import CONFIDENCE_LEVEL, RESAMPLES, bootstrap_intervals
from benchc_metrics.wording import number, percent, signed

__all__ = ["MILD", "Finding", "Statement", "find_all"]

MILD = (1, 2)
"""The severities that are called mild."""

_MOST_CORRUPTIONS = 3

Direction = Literal["better", "worse", "neutral"]


@dataclass(frozen=True)
class Statement:
    """One sentence of a finding.

    Attributes
    ----------
    text : str
        Written out, with its intervals.
    effects : tuple of Estimate
        What the sentence claims to be above or below zero; none of the intervals holds zero.
    """

    text: str
    effects: tuple[Estimate, ...]


@dataclass(frozen=True)
class Finding:
    """A finding, as one sentence or as one a model.

    Attributes
    ----------
    title : str
        In a few words.
    direction : {"better", "worse", "neutral"}
        Whether it speaks for the models.
    statements : tuple of Statement
        At least one.
    """

    title: str
    direction: Direction
    statements: tuple[Statement, ...]


class _Margins(NamedTuple):
    """Means over the samples of one model on which several sentences rest.

    Attributes
    ----------
    confident_errors : Estimate
        Rate of erroneous confidence less that of hesitation.
    excess, growth : Estimate
        Confidence less accuracy under corruption, and by how much that is more than on clean images.
    mild_gain, mild_ras : Estimate
        Accuracy under mild corruption less that on clean images, and RAS there.
    """

    confident_errors: Estimate
    excess: Estimate
    growth: Estimate
    mild_gain: Estimate
    mild_ras: Estimate


def find_all(analyses: Sequence[RunAnalysis], contest: Contest) -> list[Finding]:
    """Find everything that there is to say about runs.

    Parameters
    ----------
    analyses : sequence of RunAnalysis
        Over the same samples and conditions.
    contest : Contest
        Between these.

    Returns
    -------
    list of Finding
        Those that are sure enough to be said; possibly none.
    """
    if not all(analysis.run.has_distributions for analysis in analyses):
        # Each sentence rests on probabilities.
        return []
    models = [(analysis, _margins(analysis)) for analysis in analyses]

    def each(find: Callable[[RunAnalysis, _Margins], Iterator[Statement]]) -> Iterator[Statement]:
        for analysis, margins in models:
            yield from find(analysis, margins)

    sentences: tuple[tuple[str, Direction, Iterator[Statement]], ...] = (
        ("Most robust", "neutral", _most_robust(analyses, contest)),
        ("Accuracy and robustness disagree", "neutral", _disagreement(analyses)),
        ("Accuracy rose under mild corruption while RAS fell", "worse", each(_hidden_loss)),
        ("Fails by erroneous confidence", "worse", each(_erroneous_confidence)),
        ("Fails by hesitation", "worse", each(_hesitation)),
        ("Loses by destruction", "worse", each(_destruction)),
        ("Gains from correction", "better", each(_correction)),
        ("Hardest corruptions", "worse", _hardest(analyses)),
        ("Overconfident under corruption", "worse", each(_overconfidence)),
    )
    found = ((title, direction, tuple(statements)) for title, direction, statements in sentences)
    return [Finding(title, direction, statements) for title, direction, statements in found if statements]


def is_effect(estimate: Estimate) -> bool:
    """Tell whether an interval lies wholly on one side of zero.

    Parameters
    ----------
    estimate : Estimate

    Returns
    -------
    bool
        False too where there is no interval.
    """
    return estimate.low > 0 or estimate.high < 0


def _interval(estimate: Estimate, digits: int = 3) -> str:
    return f"[{signed(estimate.low, digits)}, {signed(estimate.high, digits)}]"


def _points(estimate: Estimate) -> str:
    """Write a difference of shares in percentage points."""
    low, high = signed(100 * estimate.low, 1), signed(100 * estimate.high, 1)
    return f"{signed(100 * estimate.value, 1)} points [{low}, {high}]"


def _level(candidates: int) -> float:
    return 1 - (1 - CONFIDENCE_LEVEL) / candidates


def _said(corruption: str) -> str:
    return corruption.replace("_", " ")


def _sample_means(
    values: NDArray[np.float64], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean of each sample over its valid pairs, and whether it has one; from (samples, ..., severities) arrays."""
    axes = tuple(range(1, values.ndim))
    counts = np.count_nonzero(valid, axis=axes)
    return np.where(valid, values, 0.0).sum(axis=axes) / np.maximum(counts, 1), counts > 0


def _estimates(columns: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]], candidates: int = 1) -> list[Estimate]:
    """Estimate means over samples of several columns at once; each is values and which of them count."""
    values, valid = (np.stack(arrays, axis=1) for arrays in zip(*columns, strict=True))
    found = mean_intervals(values, valid, resamples=RESAMPLES, level=_level(candidates))
    return [Estimate(*map(float, each)) for each in zip(*found, strict=True)]


def _margins(analysis: RunAnalysis) -> _Margins:
    pairs = analysis.pairs
    confident_errors = pairs.values["erroneous_confidence"] - pairs.values["hesitation"]
    gap, paired = _sample_means(pairs.gap, pairs.valid)
    columns = [
        _sample_means(confident_errors, pairs.valid),
        (-gap, paired),
        (pairs.clean_gap - gap, paired),
        *_gain_and_ras(analysis, range(len(analysis.run.corruptions))),
    ]
    return _Margins(*_estimates(columns))


def _most_robust(analyses: Sequence[RunAnalysis], contest: Contest) -> Iterator[Statement]:
    winner = contest.winner("ras")
    if winner is None:
        return
    second = contest.ranking("ras")[1]
    difference = contest.between(winner, second).of("ras")
    lead = Estimate(difference.value, difference.low, difference.high)
    if is_effect(lead):
        best, ras = analyses[winner], analyses[winner].headline("ras")
        yield Statement(
            f"{best.name} has the highest RAS, {number(ras.value)} [{number(ras.low)}, {number(ras.high)}], "
            f"{number(lead.value)} {_interval(lead)} above {analyses[second].name}, the next.",
            (lead,),
        )


def _disagreement(analyses: Sequence[RunAnalysis]) -> Iterator[Statement]:
    """Two models of which one is ahead by clean accuracy and the other by RAS: the widest such pair."""
    pairs = list(permutations(range(len(analyses)), 2))
    if not pairs:
        return
    accuracy, robustness = _pairwise_differences(analyses, pairs)
    split = [place for place in range(len(pairs)) if accuracy[place].low > 0 and robustness[place].high < 0]
    if split:
        widest = max(split, key=lambda place: -accuracy[place].value * robustness[place].value)
        accurate, robust = (analyses[place].name for place in pairs[widest])
        yield Statement(
            f"On clean images {accurate} is more accurate than {robust}, by {_points(accuracy[widest])}; by RAS it is "
            f"the other way round, by {signed(robustness[widest].value)} {_interval(robustness[widest])}.",
            (accuracy[widest], robustness[widest]),
        )


def _pairwise_differences(
    analyses: Sequence[RunAnalysis], pairs: Sequence[tuple[int, int]]
) -> tuple[list[Estimate], list[Estimate]]:
    """Differences of clean accuracy and of RAS for each pair of models, first less second."""
    columns = []
    for analysis in analyses:
        ras, paired = _sample_means(analysis.pairs.values["ras"], analysis.pairs.valid)
        columns.append(np.stack([analysis.pairs.clean_right, analysis.pairs.clean_valid, ras, paired], axis=-1))
    first, second = (np.array([pair[side] for pair in pairs]) for side in (0, 1))

    def differences(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(divide="ignore", invalid="ignore"):
            means = sums[..., 0::2] / sums[..., 1::2]
        accuracy, robustness = means[..., 0::2], means[..., 1::2]
        return np.concatenate(
            [accuracy[..., first] - accuracy[..., second], robustness[..., first] - robustness[..., second]], axis=-1
        )

    # Each unordered pair is asked in both directions, which is one question; each asks two.
    found = bootstrap_intervals(np.concatenate(columns, axis=-1), differences, level=_level(max(1, len(pairs))))
    estimates = [Estimate(*map(float, each)) for each in zip(*found, strict=True)]
    return estimates[: len(pairs)], estimates[len(pairs) :]


def _hidden_loss(analysis: RunAnalysis, margins: _Margins) -> Iterator[Statement]:
    """Accuracy above that on clean images, RAS below zero, at mild severities: all corruptions, and each."""
    if _is_hidden_loss(margins.mild_gain, margins.mild_ras):
        yield _hidden_loss_statement(analysis.name, "mild corruption of all kinds", margins.mild_gain, margins.mild_ras)
    corruptions = analysis.run.corruptions
    candidates = [place for place in range(len(corruptions)) if _may_be_hidden_loss(analysis, place)]
    if not candidates:
        return
    columns = [column for place in candidates for column in _gain_and_ras(analysis, [place])]
    found = _estimates(columns, len(corruptions))
    each = zip(candidates, found[0::2], found[1::2], strict=True)
    sure = [(corruptions[place], gain, ras) for place, gain, ras in each if _is_hidden_loss(gain, ras)]
    for name, gain, ras in sorted(sure, key=lambda found: -found[1].value)[:_MOST_CORRUPTIONS]:
        yield _hidden_loss_statement(analysis.name, f"mild {_said(name)}", gain, ras)


def _mild_places(analysis: RunAnalysis) -> list[int]:
    return [analysis.run.severities.index(severity) for severity in MILD]


def _may_be_hidden_loss(analysis: RunAnalysis, corruption: int) -> bool:
    """Look at the estimates alone: no interval is needed to say no."""
    mild = _mild_places(analysis)
    accuracy = analysis.cells["acc_corrupted"].estimate[corruption, mild].mean()
    ras = analysis.cells["ras"].estimate[corruption, mild].mean()
    return bool(accuracy > analysis.headline("acc_clean").value and ras < 0)


def _gain_and_ras(
    analysis: RunAnalysis, corruptions: Sequence[int] | range
) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Accuracy less that on clean images, and RAS, of each sample under mild corruptions."""
    cells = np.ix_(range(len(analysis.run.sample_ids)), corruptions, _mild_places(analysis))
    valid = analysis.pairs.valid[cells]
    accuracy, paired = _sample_means(analysis.pairs.values["acc_corrupted"][cells], valid)
    ras, _ = _sample_means(analysis.pairs.values["ras"][cells], valid)
    return [(accuracy - analysis.pairs.clean_right, paired), (ras, paired)]


def _is_hidden_loss(gain: Estimate, ras: Estimate) -> bool:
    return gain.low > 0 and ras.high < 0


def _hidden_loss_statement(model: str, under: str, gain: Estimate, ras: Estimate) -> Statement:
    return Statement(
        f"Under {under} the accuracy of {model} rose by {_points(gain)}, while its RAS is {number(ras.value)} "
        f"{_interval(ras)}.",
        (gain, ras),
    )


def _erroneous_confidence(analysis: RunAnalysis, margins: _Margins) -> Iterator[Statement]:
    difference = margins.confident_errors
    if difference.low > 0:
        wrong, hesitant = (percent(analysis.headline(name).value) for name in ("erroneous_confidence", "hesitation"))
        yield Statement(
            f"{analysis.name} fails by erroneous confidence ({wrong} of its answers) more often than by hesitation "
            f"({hesitant}): {_points(difference)}.",
            (difference,),
        )


def _hesitation(analysis: RunAnalysis, margins: _Margins) -> Iterator[Statement]:
    opposite = margins.confident_errors
    if opposite.high < 0:
        wrong, hesitant = (percent(analysis.headline(name).value) for name in ("erroneous_confidence", "hesitation"))
        difference = Estimate(-opposite.value, -opposite.high, -opposite.low)
        yield Statement(
            f"{analysis.name} fails by hesitation ({hesitant} of its answers) more often than by erroneous confidence "
            f"({wrong}): {_points(difference)}.",
            (difference,),
        )


def _destruction(analysis: RunAnalysis, margins: _Margins) -> Iterator[Statement]:
    destructive = analysis.headline("ras_destructive")
    if destructive.high < 0:
        rate = analysis.headline("destroyed")
        yield Statement(
            f"{analysis.name} loses by destruction: over samples that it answers right when clean, RAS is "
            f"{number(destructive.value)} {_interval(destructive)}; {percent(rate.value)} of all answers go from right "
            "to wrong.",
            (destructive,),
        )


def _correction(analysis: RunAnalysis, margins: _Margins) -> Iterator[Statement]:
    corrective = analysis.headline("ras_corrective")
    if corrective.low > 0:
        rate = analysis.headline("corrected")
        yield Statement(
            f"{analysis.name} gains from correction: over samples that it answers wrong when clean, RAS is "
            f"{signed(corrective.value)} {_interval(corrective)}; {percent(rate.value)} of all answers go from wrong "
            "to right.",
            (corrective,),
        )


def _hardest(analyses: Sequence[RunAnalysis]) -> Iterator[Statement]:
    """Corruptions whose RAS, averaged over the models, lies below the mean over all corruptions."""
    corruptions = analyses[0].run.corruptions
    if len(corruptions) < 2:
        return
    of_models = [
        [
            _sample_means(one.pairs.values["ras"][:, [place]], one.pairs.valid[:, [place]])
            for place in range(len(corruptions))
        ]
        for one in analyses
    ]
    values = np.mean([[mean for mean, _ in of_model] for of_model in of_models], axis=0)
    # A sample counts where every model has an answer under every corruption, so that the means are over the same ones.
    valid = np.all([[has_pair for _, has_pair in of_model] for of_model in of_models], axis=(0, 1))
    if not valid.any():
        return
    found = _estimates([(distance, valid) for distance in values - values.mean(axis=0)], len(corruptions))
    worst = [place for place in np.argsort([each.value for each in found]).tolist() if found[place].high < 0]
    whose = analyses[0].name if len(analyses) == 1 else f"the {len(analyses)} models on average"
    for place in worst[:_MOST_CORRUPTIONS]:
        effect = found[place]
        ras = float(values[place][valid].mean())
        yield Statement(
            f"{_said(corruptions[place]).capitalize()} is hard for {whose}: RAS {number(ras)}, {signed(effect.value)} "
            f"{_interval(effect)} against the mean over all corruptions.",
            (effect,),
        )


def _overconfidence(analysis: RunAnalysis, margins: _Margins) -> Iterator[Statement]:
    """Confidence above accuracy under corruption, and by more than on clean images."""
    if margins.growth.low > 0 and margins.excess.low > 0:
        yield Statement(
            f"Under corruption the confidence of {analysis.name} exceeds its accuracy by {_points(margins.excess)}, "
            f"{_points(margins.growth)} more than on clean images.",
            (margins.excess, margins.growth),
        )
