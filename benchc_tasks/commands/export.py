"""`benchc export`: write the corrupted pictures of a dataset for tools that read nothing but files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser(
        "export",
        help="write a dataset's questions with corrupted pictures as TSV files, one a condition",
        description="Write a dataset with its pictures under each condition, for tools that know nothing but files.",
    )
    parser.add_argument("form", choices=("tsv",), help="tab-separated files, as VLMEvalKit reads them")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder to write; new, or empty")
    parser.add_argument("--dataset", help="a folder, file, hub id or set by name (default: BENCHC_DATASET)")
    parser.add_argument("--corruption", action="append", help="one of the corruptions; may be repeated (default: all)")
    parser.add_argument("--severity", type=int, action="append", help="1 to 5; may be repeated (default: all)")
    parser.add_argument("--limit", type=int, help="only the first samples")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the files, and say before how large they will be."""
    from rich import filesize
    from rich.console import Console
    from rich.progress import track

    from benchc_metrics.benchmark import CLEAN, SEVERITIES, Condition
    from benchc_metrics.messages import quoted
    from benchc_tasks.corruptions import CORRUPTIONS
    from benchc_tasks.datasets import load_dataset
    from benchc_tasks.stacks.tsv import TsvExport

    severities = arguments.severity or list(SEVERITIES)
    for severity in severities:
        if severity not in SEVERITIES:
            raise ValueError(f"--severity is {severity}: give a whole number from 1 to 5")
    if arguments.limit is not None and arguments.limit < 1:
        raise ValueError(f"--limit is {arguments.limit}: give a number of 1 or more")
    names = arguments.corruption or list(CORRUPTIONS)
    for name in names:
        if name not in CORRUPTIONS:
            raise ValueError(f"there is no corruption {quoted(name)}: choose one of {', '.join(CORRUPTIONS)}")
    conditions = list(dict.fromkeys([CLEAN, *(Condition(name, at) for name in names for at in severities)]))
    export = TsvExport(load_dataset(arguments.dataset), arguments.output, arguments.limit)
    console = Console(stderr=True, highlight=False)
    console.print(
        f"{len(conditions)} files of {export.samples:,} samples take about "
        f"{filesize.decimal(int(export.bytes_of_one() * len(conditions)))} in {arguments.output}",
        markup=False,
    )
    for condition in track(conditions, "writing conditions", console=console):
        export.write(condition)
    print(f"wrote {len(conditions)} files to {arguments.output}")
    return 0
