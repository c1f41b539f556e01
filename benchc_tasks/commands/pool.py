"""`benchc pool`: bring the questions of a benchmark, or one's own, into the form of a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from benchc_metrics.escaping import for_terminal

if TYPE_CHECKING:
    from benchc_tasks.datasets.pools import PoolReport

__all__ = ["add_parser", "run"]

LOCAL, TSV = "local", "tsv"
BENCHMARK_NAMES = ("mmbench", "mmstar", "seedbench", "scienceqa", "ai2d", "realworldqa", "mmmu", "blink")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser(
        "pool",
        help="bring the multiple-choice questions of a benchmark, or one's own, into a dataset to select from",
        description="Write a dataset of a benchmark's multiple-choice questions about single images, or of your own.",
    )
    parser.add_argument(
        "name",
        choices=(*BENCHMARK_NAMES, LOCAL, TSV),
        help="the benchmark, local for one's own questions, or tsv for a file of VLMEvalKit",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder to write; new, or empty")
    parser.add_argument("--from", dest="copy", type=Path, help="a local copy in the benchmark's columns, not the hub")
    parser.add_argument("--revision", help="of the benchmark's dataset on the hub")
    parser.add_argument("--jsonl", type=Path, help="one's own questions: id, image, question, options, answer a line")
    parser.add_argument(
        "--images", type=Path, help="the folder of their images (default: that of the JSONL file; VLMEvalKit's own)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write a pool and tell what became of the rows."""
    from benchc_tasks.datasets.pools import (
        BENCHMARKS,
        PoolReport,
        build_pool,
        hub_rows,
        local_rows,
        own_samples,
        samples_of,
        tsv_benchmark,
        tsv_images,
        tsv_rows,
    )

    _check(arguments)
    if arguments.name == LOCAL:
        report = PoolReport(str(arguments.jsonl))
        samples = own_samples(arguments.jsonl, arguments.images or arguments.jsonl.parent, report)
    elif arguments.name == TSV:
        report = PoolReport(str(arguments.copy))
        images = arguments.images or tsv_images(arguments.copy)
        samples = samples_of(tsv_benchmark(arguments.copy, images), tsv_rows(arguments.copy), report)
    else:
        benchmark = BENCHMARKS[arguments.name]
        report = PoolReport(str(arguments.copy or benchmark.hub_id))
        rows = (
            local_rows(arguments.copy, benchmark.columns) if arguments.copy else hub_rows(benchmark, arguments.revision)
        )
        samples = samples_of(benchmark, rows, report)
    columns = (SpinnerColumn(), TextColumn("{task.completed} samples"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None)
        build_pool(samples, report, arguments.output, lambda: progress.advance(task))
    console = Console(soft_wrap=True, highlight=False)
    console.print(_table(report))
    console.print(
        f"wrote {report.samples} samples to {arguments.output} (fingerprint {report.fingerprint[:16]})", markup=False
    )
    return 0


def _check(arguments: argparse.Namespace) -> None:
    name = arguments.name
    if name == LOCAL and arguments.jsonl is None:
        raise ValueError("benchc pool local needs --jsonl FILE, and --images FOLDER where they lie elsewhere")
    if name == LOCAL and (arguments.copy or arguments.revision):
        raise ValueError("--from and --revision are for benchmarks; one's own questions come with --jsonl and --images")
    if name == TSV and (arguments.copy is None or arguments.jsonl or arguments.revision):
        raise ValueError(
            "benchc pool tsv needs --from FILE.tsv, takes --images FOLDER, and neither --jsonl nor --revision"
        )
    if name not in (LOCAL, TSV) and (arguments.jsonl or arguments.images):
        raise ValueError(f"--jsonl and --images are for `benchc pool local`; give a copy of {name} with --from")
    if arguments.copy and arguments.revision:
        raise ValueError("--revision names a state of the hub's dataset, and --from a local copy: give one of them")


def _table(report: PoolReport) -> Table:
    table = Table("rows", "number", title=Text(f"What became of the rows of {for_terminal(report.source)}"))
    table.add_row("read", f"{report.rows:,}")
    for reason, rows in sorted(report.left_out.items()):
        table.add_row(Text(f"left out: {for_terminal(reason)}"), f"{len(rows):,}")
    for change, samples in sorted(report.changed.items()):
        table.add_row(f"changed: {change}", f"{len(samples):,}")
    table.add_row("samples", f"{report.samples:,}")
    return table
