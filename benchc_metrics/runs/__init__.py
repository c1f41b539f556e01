"""Read a run from the files of any stack, and find cautions for its reader."""

from benchc_metrics.runs.metadata import RunMetadata
from benchc_metrics.runs.reading import read_run, read_runs, run_of_log_likelihoods, run_of_records
from benchc_metrics.runs.run import GivenPredictions, Run, part_of_run, with_control_apart

__all__ = [
    "GivenPredictions",
    "Run",
    "RunMetadata",
    "part_of_run",
    "read_run",
    "read_runs",
    "run_of_log_likelihoods",
    "run_of_records",
    "with_control_apart",
]
