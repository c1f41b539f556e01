"""The answer in short: how robust a model is, where it breaks and how, in numbers and without claims."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, isnan

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, FAMILIES
from benchc_metrics.findings.analysis import RunAnalysis
from benchc_metrics.metrics.registry import EVERY_METRIC
from benchc_metrics.wording import joined, number, percent, with_interval

__all__ = ["in_short"]

WORST = 3
"""Corruptions that are named."""


def in_short(analysis: RunAnalysis) -> list[tuple[str, str]]:
    """Say how robust a model is, where it breaks, and how.

    Parameters
    ----------
    analysis : RunAnalysis

    Returns
    -------
    list of (str, str)
        A question and the sentences that answer it.
    """
    answers = (
        ("How robust is it?", _how_robust(analysis)),
        ("Where does it break?", _where(analysis)),
        ("How does it break?", _how(analysis)),
    )
    written = ((question, " ".join(sentences)) for question, sentences in answers)
    return [(question, sentences) for question, sentences in written if sentences]


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
    said = "RAS" if metric == "ras" else "accuracy"
    values = analysis.corruptions.values(metric)
    known = [
        (value, name) for value, name in zip(values.tolist(), analysis.run.corruptions, strict=True) if isfinite(value)
    ]
    lowest = sorted(known)[:WORST]
    if len(lowest) > 1:
        yield f"Its {said} is lowest under {_named(lowest)}."
    families = [
        (sum(of_family) / len(of_family), family)
        for family in FAMILIES
        if (of_family := [value for value, name in known if CORRUPTION_FAMILIES.get(name) == family])
    ]
    if len(families) > 1:
        yield f"Averaged over the corruptions of a family: {_named(sorted(families))}."
    first = analysis.run.severities[0]
    mildest = analysis.severities.of("acc_corrupted", f"severity {first}")
    clean = analysis.headline("acc_clean")
    if isfinite(mildest.value) and isfinite(clean.value):
        yield (
            f"From clean pictures to severity {first} its accuracy goes from {percent(clean.value)} to "
            f"{percent(mildest.value)}."
        )
    if first_loss := _first_loss(analysis):
        yield first_loss


def _named(values: list[tuple[float, str]]) -> str:
    return joined([f"{name.replace('_', ' ')} ({number(value, 2)})" for value, name in values])


def _first_loss(analysis: RunAnalysis) -> str:
    """Say from which severity on the interval of the accuracy drop leaves out 0."""
    severities = analysis.run.severities
    drops = [analysis.severities.of("acc_drop", f"severity {severity}") for severity in severities]
    if not all(isfinite(drop.value) for drop in drops):
        return ""
    within = [place for place, drop in enumerate(drops) if not drop.low > 0]
    if within and within[-1] == len(severities) - 1:
        return "At the strongest severity the 95 % interval of its accuracy drop holds 0."
    first = severities[within[-1] + 1 if within else 0]
    return f"From severity {first} on the 95 % interval of its accuracy drop leaves out 0."


def _how(analysis: RunAnalysis) -> Iterator[str]:
    lost, won = analysis.headline("destroyed").value, analysis.headline("corrected").value
    if isfinite(lost) and isfinite(won):
        yield f"Of all answers {percent(lost)} go from right to wrong and {percent(won)} from wrong to right."
    if not all(EVERY_METRIC[name].is_defined_for(analysis.run) for name in ("erroneous_confidence", "hesitation")):
        return
    confident, hesitant = analysis.headline("erroneous_confidence").value, analysis.headline("hesitation").value
    if isfinite(confident) and isfinite(hesitant):
        yield (
            f"Under corruption {percent(confident)} are wrong and no less sure than clean, and {percent(hesitant)} are "
            "right and less sure."
        )
