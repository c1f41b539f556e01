"""Process a model's responses: distributions, RAS, calibration, records, runs, reports.

The names below are the front door. Each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchc_metrics.metrics.calibration import brier_score, negative_log_likelihood
    from benchc_metrics.metrics.ras import robustness_alignment_score
    from benchc_metrics.records import SampleRecord, read_samples_log
    from benchc_metrics.responses import option_distribution, option_log_likelihoods
    from benchc_metrics.runs import Run, read_run, read_runs
    from benchc_metrics.statistics.estimates import compare, estimate
    from benchc_metrics.statistics.floor import estimate_floor

__all__ = [
    "Run",
    "SampleRecord",
    "brier_score",
    "compare",
    "estimate",
    "estimate_floor",
    "negative_log_likelihood",
    "option_distribution",
    "option_log_likelihoods",
    "read_run",
    "read_runs",
    "read_samples_log",
    "robustness_alignment_score",
]

_ROOMS = {
    "Run": "runs",
    "SampleRecord": "records",
    "brier_score": "metrics.calibration",
    "compare": "statistics.estimates",
    "estimate": "statistics.estimates",
    "estimate_floor": "statistics.floor",
    "negative_log_likelihood": "metrics.calibration",
    "option_distribution": "responses",
    "option_log_likelihoods": "responses",
    "read_run": "runs",
    "read_runs": "runs",
    "read_samples_log": "records",
    "robustness_alignment_score": "metrics.ras",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
