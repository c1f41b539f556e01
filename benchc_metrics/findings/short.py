"""The answer in short: how robust a model is, and where it breaks, in numbers with intervals and without claims."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, isnan

from benchc_metrics.findings.analysis import RunAnalysis
from benchc_metrics.metrics.registry import EVERY_METRIC
from benchc_metrics.wording import joined, number, percent, with_interval

__all__ = ["in_short"]

WORST = 3
"""Corruptions that are named."""


def in_short(analysis: RunAnalysis) -> list[tuple[str, str]]:
    """Say how robust a model is, and where it breaks.

    Parameters
    ----------
    analysis : RunAnalysis

    Returns
    -------
    list of (str, str)
        A question and the sentences that answer it.
    """
    answers = [("How robust is it?", " ".join(_how_robust(analysis)))]
    where = " ".join(_where(analysis))
    return [*answers, ("Where does it break?", where)] if where else answers


def _how_robust(analysis: RunAnalysis) -> Iterator[str]:
    clean, corrupted = analysis.headline("acc_clean"), analysis.headline("acc_corrupted")
    if isfinite(clean.value) and isfinite(corrupted.value):
        yield (
            f"{analysis.name} answers {percent(clean.value)} of the questions right on clean pictures and "
            f"{percent(corrupted.value)} under corruption."
        )
    if not EVERY_METRIC["ras"].is_defined_for(analysis.run):
        return
    ras = analysis.headline("ras")
    if isnan(ras.value):
        return
    if analysis.doubt:
        yield analysis.doubt
    told = f"Its RAS is {with_interval(ras)}"
    if analysis.floor is None or "ras" not in analysis.floor.whole.metrics:
        yield f"{told}; without the control it is not known how much of that is due to the corruptions."
        return
    distance = analysis.floor.whole.distance("ras")
    yield f"{told}, {with_interval(distance)} away from its RAS under changes that no person sees."


def _where(analysis: RunAnalysis) -> Iterator[str]:
    metric = "ras" if EVERY_METRIC["ras"].is_defined_for(analysis.run) else "acc_corrupted"
    values = analysis.corruptions.values(metric)
    known = [(value, name) for value, name in zip(values.tolist(), analysis.run.corruptions, strict=True)]
    lowest = sorted((value, name) for value, name in known if isfinite(value))[:WORST]
    if len(lowest) > 1:
        named = joined([f"{name.replace('_', ' ')} ({number(value, 2)})" for value, name in lowest])
        yield f"Its {'RAS' if metric == 'ras' else 'accuracy'} is lowest under {named}."
    first = analysis.run.severities[0]
    mildest = analysis.severities.of("acc_corrupted", f"severity {first}")
    clean = analysis.headline("acc_clean")
    if isfinite(mildest.value) and isfinite(clean.value):
        yield (
            f"From clean pictures to severity {first} its accuracy goes from {percent(clean.value)} to "
            f"{percent(mildest.value)}."
        )
