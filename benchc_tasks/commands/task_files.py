"""`benchc task-files`: write the YAML files of all tasks and groups anew."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchc_metrics.files import replace_file
from benchc_tasks.stacks.lmms_eval.task_files import task_files
from task_yamls import tasks_path

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser(
        "task-files", help="write the task definitions anew, after a change of corruptions or metrics"
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=tasks_path(), metavar="FOLDER", help="where to write them (%(default)s)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the files and say how many changed."""
    changed = 0
    for name, content in task_files().items():
        file = arguments.folder / name
        if not file.is_file() or file.read_bytes() != content.encode():
            replace_file(file, content)
            changed += 1
    print(f"{arguments.folder}: {changed} of {len(task_files())} files written, the others were up to date")
    return 0
