"""Sum up a comparison of two runs in two sentences."""

from __future__ import annotations

import numpy as np

from benchc_metrics.findings.doubts import doubt_about
from benchc_metrics.metrics.registry import EVERY_METRIC
from benchc_metrics.statistics.estimates import ComparedRuns, Difference
from benchc_metrics.wording import number, percent, signed

__all__ = ["LEVEL", "is_shown", "ranking_metric", "verdict"]

LEVEL = 0.05
"""A difference is shown if its p-value is at most this and its interval leaves out 0."""

ACCURACY = "acc_corrupted"
_RANKING = ("ras_tempered", "ras", "ras_votes")
"""What models are ranked by, the first that a run defines."""


def ranking_metric(compared: ComparedRuns) -> str:
    """Return the metric that says which model is more robust; accuracy where there are no probabilities."""
    for name in _RANKING:
        if name in EVERY_METRIC and EVERY_METRIC[name].is_defined_for(compared.first):
            return name
    return ACCURACY


def is_shown(found: Difference) -> bool:
    """Tell whether a difference is shown: its interval leaves out 0, and p agrees."""
    return _leaves_out_zero(found) and found.p_value <= LEVEL


def verdict(overall: ComparedRuns, by_corruption: ComparedRuns) -> tuple[str, str]:
    """Say whether one of two models is more robust, and which of them answers better under corruption.

    Parameters
    ----------
    overall : ComparedRuns
        Over all conditions.
    by_corruption : ComparedRuns
        The same runs, corruption by corruption.

    Returns
    -------
    tuple of (str, str)
        A sentence on the metric that models are ranked by (or on why a model is not ranked), and one on accuracy and on
        single corruptions.
    """
    metric = ranking_metric(overall)
    return _on_robustness(overall, metric), _on_accuracy(overall, by_corruption, metric)


def _on_robustness(overall: ComparedRuns, metric: str) -> str:
    found = overall.of(metric)
    first, second = overall.first.name, overall.second.name
    if not np.isfinite([found.value, found.p_value]).all():
        return f"{metric} of {first} and {second} cannot be compared: it is not defined for one of them."
    doubts = [doubt_about(run) for run in (overall.first, overall.second)]
    if metric != ACCURACY and any(doubts):
        return " ".join(dict.fromkeys(doubt for doubt in doubts if doubt))
    said = _numbers(found)
    if is_shown(found):
        better, other = (first, second) if _is_better(metric, found.value) else (second, first)
        return f"{better} is more robust than {other} by {metric}: A - B is {said}."
    return f"{_doubt(found)} {first} and {second} in {metric}: A - B is {said}."


def _on_accuracy(overall: ComparedRuns, by_corruption: ComparedRuns, metric: str) -> str:
    found = overall.of(ACCURACY)
    first, second = overall.first.name, overall.second.name
    if not np.isfinite([found.value, found.p_value]).all():
        said = "Their accuracy under corruption cannot be compared"
    else:
        points = f"{signed(100 * found.value, 1)} points, p = {number(found.p_value, 4)}"
        if is_shown(found):
            better, other = (first, second) if found.value > 0 else (second, first)
            said = f"Under corruption {better} answers {percent(abs(found.value))} more questions right than {other}"
            said += f" ({points})"
        else:
            said = f"Under corruption their accuracy may be the same ({points})"
    shown = sum(by_corruption.of(metric, view.name).p_adjusted <= LEVEL for view in by_corruption.views)
    return f"{said}; {metric} differs under {shown} of {len(by_corruption.views)} corruptions (Holm's correction)."


def _numbers(found: Difference) -> str:
    interval = f"[{number(found.low)}, {number(found.high)}]"
    return f"{signed(found.value)} {interval}, p = {number(found.p_value, 4)}"


def _doubt(found: Difference) -> str:
    if _leaves_out_zero(found):
        return "The interval leaves out 0 but p is above 0.05, so that the data do not decide between"
    if found.p_value <= LEVEL:
        return "p is at most 0.05 but the interval holds 0, so that the data do not decide between"
    return "No difference is shown between"


def _leaves_out_zero(found: Difference) -> bool:
    return found.low > 0 or found.high < 0


def _is_better(metric: str, difference: float) -> bool:
    return (difference > 0) == EVERY_METRIC[metric].higher_is_better
