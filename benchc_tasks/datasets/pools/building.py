"""Build a pool from rows: a dataset, and a report of the rows that were left out, with reasons."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchc_metrics.files import replace_file
from benchc_metrics.messages import quoted, shortened
from benchc_tasks.datasets.images import HEAD_BYTES, head_problem
from benchc_tasks.datasets.loading import load_dataset, write_dataset
from benchc_tasks.datasets.options import unlettered
from benchc_tasks.datasets.pools.mapping import Benchmark, NotASampleError, Row, Sample
from benchc_tasks.datasets.schema import DatasetError

__all__ = ["DATASET_FILE", "REPORT_FILE", "PoolReport", "build_pool", "samples_of"]

DATASET_FILE, REPORT_FILE = "data.parquet", "pool.json"

LETTERS_TAKEN_OFF = "the options already had letters, which were removed"


@dataclass
class PoolReport:
    """Count the rows that became samples and those that did not.

    Attributes
    ----------
    source : str
        The source of the rows.
    rows, samples : int
        The number of rows read, and the number that became samples.
    left_out : dict of str to list of str
        The rows left out, by reason.
    changed : dict of str to list of str
        The ids of changed samples, by change.
    fingerprint : str
        The pool's fingerprint.
    """

    source: str
    rows: int = 0
    samples: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)
    changed: dict[str, list[str]] = field(default_factory=dict)
    fingerprint: str = ""

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        replace_file(path, json.dumps(vars(self), indent=2, ensure_ascii=False) + "\n")


def samples_of(benchmark: Benchmark, rows: Iterable[Row], report: PoolReport) -> Iterator[Sample]:
    """Map a benchmark's rows, and report those that are left out.

    Yields
    ------
    dict
        A sample with a unique id and an image whose head is readable.
    """
    seen: set[str] = set()
    for number, row in enumerate(rows):
        report.rows += 1
        try:
            sample = benchmark.to_sample(row, number)
            if sample["id"] in seen:
                raise NotASampleError("an earlier row has the same id")
            if head_problem(sample["image"][:HEAD_BYTES]):
                raise NotASampleError("the image cannot be decoded")
        except NotASampleError as reason:
            report.left_out.setdefault(str(reason), []).append(f"row {number + 1}")
            continue
        seen.add(sample["id"])
        yield sample


def build_pool(
    samples: Iterable[Sample], report: PoolReport, output: Path, progress: Callable[[], Any] = lambda: None
) -> PoolReport:
    """Write a pool and its report.

    Parameters
    ----------
    samples : iterable of dict
        The samples; `report` is filled while they are read.
    report : PoolReport
    output : Path
        A folder, new or empty.
    progress : callable, optional
        Called for each sample.

    Returns
    -------
    PoolReport
        The same report, with the pool's fingerprint.

    Raises
    ------
    DatasetError
        If no row is a sample, or the folder is not empty; then nothing is written.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DatasetError(
            f"the output {quoted(str(output))} already exists and is not empty; name another folder with -o"
        )

    def counted() -> Iterator[Sample]:
        for sample in samples:
            report.samples += 1
            progress()
            yield _without_letters(sample, report)

    remaining = counted()
    first = next(remaining, None)
    if first is None:
        reasons = "; ".join(f"{reason}: {len(rows)}" for reason, rows in report.left_out.items())
        raise DatasetError(
            f"none of the {report.rows} rows of {shortened(report.source)} is a sample: "
            f"{reasons or 'there are no rows'}"
        )

    def chained() -> Iterator[Sample]:
        yield first
        yield from remaining

    output.mkdir(parents=True, exist_ok=True)
    write_dataset(output / DATASET_FILE, chained())
    report.fingerprint = load_dataset(output).fingerprint
    report.write(output / REPORT_FILE)
    return report


def _without_letters(sample: Sample, report: PoolReport) -> Sample:
    options = sample["options"]
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        return sample
    texts = unlettered(options)
    if texts is None:
        return sample
    report.changed.setdefault(LETTERS_TAKEN_OFF, []).append(str(sample["id"]))
    return {**sample, "options": texts}
