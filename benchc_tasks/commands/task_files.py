"""`benchc task-files`: write the YAML files of all tasks and groups again."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchc_metrics.files import replace_file
from benchc_tasks.stacks.lm_eval import task_files as of_lm_eval
from benchc_tasks.stacks.lmms_eval.task_files import task_files
from task_yamls import tasks_path

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser(
        "task-files", help="write the task definitions again, after a change of corruptions or metrics"
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="FOLDER",
        help="write only those of lmms-eval, into this folder; by default those of all stacks in their places",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the files and say how many changed."""
    _write(arguments.folder or tasks_path(), task_files())
    if arguments.folder is None:
        _write(of_lm_eval.tasks_folder(), of_lm_eval.task_files())
    return 0


def _write(folder: Path, files: Mapping[str, str]) -> None:
    changed = 0
    for name, content in files.items():
        file = folder / name
        if not file.is_file() or file.read_bytes() != content.encode():
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, content)
            changed += 1
    print(f"{folder}: wrote {changed} of {len(files)} files, the others were up to date")
