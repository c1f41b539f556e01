"""`benchc tasks-path`: the folder for lmms-eval's `--include_path`."""

from __future__ import annotations

import argparse
from typing import Any

from task_yamls import tasks_path

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser(
        "tasks-path", help="print the folder of the task definitions, for lmms-eval's --include_path"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the folder of the task definitions."""
    print(tasks_path())
    return 0
