"""Say what a run of few conditions can be used for, with the widths of its own intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchc_metrics.designs import FULL, describe_design
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading
from benchc_metrics.metrics.registry import METRICS
from benchc_metrics.metrics.views import corruption_views, whole_run
from benchc_metrics.runs import Run
from benchc_metrics.statistics.estimates import EstimatedRun, estimate
from benchc_metrics.wording import joined, number

__all__ = ["note_on_design", "note_on_designs", "note_on_run"]

RESAMPLES = 2_000
"""Enough for the width of an interval to two digits."""


def note_on_run(run: Run, reading: Reading = DEFAULT_READING) -> str | None:
    """Say what a run of few conditions can be used for; None for a run of all.

    Parameters
    ----------
    run : Run
    reading : {"brier", "probability", "confidence", "certainty"}
        Of RAS.
    """
    if run.metadata.design == FULL:
        return None
    pairs = PairValues.of_run(run, reading)
    whole = estimate(pairs, (whole_run(run),), resamples=RESAMPLES)
    return note_on_design(whole, estimate(pairs, corruption_views(run), resamples=RESAMPLES))


def note_on_design(whole: EstimatedRun, corruptions: EstimatedRun) -> str | None:
    """Say what a run of few conditions can be used for; None for a run of all.

    Parameters
    ----------
    whole, corruptions : EstimatedRun
        The run, and its corruptions one by one.
    """
    run = whole.run
    if run.metadata.design == FULL:
        return None
    metric = "ras" if run.has_distributions else "acc_corrupted"
    label = METRICS[metric].label
    sentences = [
        f"Design {describe_design(run.metadata.design)}: it is good for "
        f"{'RAS, ' if run.has_distributions else ''}accuracy, their parts, families and severities.",
        f"The 95 % interval of {label} is {_width(whole, metric)} wide over all corruptions, and for a single one "
        f"{_width(corruptions, metric)} (median of {len(corruptions.views)}).",
    ]
    if run.has_distributions:
        sentences.append(
            f"That of the ECE under corruption is {_width(whole, 'ece_corrupted')} wide, and ECE comes out too high "
            "where answers are few."
        )
    return " ".join(sentences)


def note_on_designs(runs: Sequence[Run]) -> str | None:
    """Say that runs have different designs; None if all have the same."""
    designs = {run.metadata.design for run in runs}
    if len(designs) < 2:
        return None
    of_runs = joined([f"{run.metadata.design} ({run.name})" for run in runs])
    return (
        f"The runs have different designs: {of_runs}. Metrics use each run's own conditions, comparisons only the "
        "conditions that both have."
    )


def _width(estimated: EstimatedRun, metric: str) -> str:
    widths = [found.high - found.low for found in (estimated.of(metric, view.name) for view in estimated.views)]
    known = [width for width in widths if not np.isnan(width)]
    return number(float(np.median(known))) if known else "of unknown width"
