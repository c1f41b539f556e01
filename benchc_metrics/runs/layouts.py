"""Recognise the files of each stack by their names, so that runs of all stacks are read in the same way.

| stack | results file | samples log |
| --- | --- | --- |
| lmms-eval | `DATE_results.json` | `DATE_samples_TASK.jsonl` |
| lm-evaluation-harness | `results_DATE.json`, or `NAME_DATE.json` | `samples_TASK_DATE.jsonl` |
| inspect_ai | one `.eval` or `.json` file for both, see `benchc_metrics.runs.inspect_logs` | |

Samples logs may be compressed (`.gz`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["RESULTS_SUFFIX", "LogName", "date_of_results", "is_samples_log", "order_of_date", "split_log_name"]

RESULTS_SUFFIX = "_results.json"
"""The end of the names of lmms-eval's results files."""

LMMS_EVAL_RESULTS = re.compile(rf"(?P<date>.*){re.escape(RESULTS_SUFFIX)}")
LM_EVAL_DATE = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d+)?"
LM_EVAL_RESULTS = re.compile(rf".+_(?P<date>{LM_EVAL_DATE})\.json")
LMMS_EVAL_LOG = re.compile(r"(?P<date>.*?)_samples_(?P<task>.*)")
LM_EVAL_LOG = re.compile(rf"samples_(?P<task>.+)_(?P<date>{LM_EVAL_DATE})")
LOG_SUFFIX = re.compile(r"\.jsonl(\.gz)?$")


class LogName(NamedTuple):
    """Date and task in the name of a samples log.

    Attributes
    ----------
    date : str
        The date of its results file; empty if the name has none.
    task : str
    """

    date: str
    task: str


def date_of_results(path: Path) -> str | None:
    """Return the date in the name of a results file; None for any other name."""
    found = LMMS_EVAL_RESULTS.fullmatch(path.name) or LM_EVAL_RESULTS.fullmatch(path.name)
    return found["date"] if found is not None else None


def order_of_date(date: str) -> str:
    """Return a sort key for the dates of all stacks, from year to second."""
    return re.sub(r"\D", "", date)[:14]


def is_samples_log(path: Path) -> bool:
    """Check by its name if a file may be a samples log."""
    return LOG_SUFFIX.search(path.name) is not None


def split_log_name(path: Path) -> LogName:
    """Return date and task of a samples log; if no stack uses such names, the name is the task."""
    name = LOG_SUFFIX.sub("", path.name)
    found = LM_EVAL_LOG.fullmatch(name) or LMMS_EVAL_LOG.fullmatch(name)
    return LogName(found["date"], found["task"]) if found is not None else LogName("", name)
