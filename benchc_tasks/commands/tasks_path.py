"""`benchc tasks-path`: print the path of task definitions, for lmms-eval and lm-evaluation-harness."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchc_metrics.messages import quoted
from benchc_tasks.stacks.lm_eval import task_files as of_lm_eval
from task_yamls import tasks_path

__all__ = ["add_parser", "run"]

STACKS = ("lmms-eval", "lm-eval")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("tasks-path", help="print the path of the task definitions of a stack")
    parser.add_argument(
        "tasks",
        nargs="*",
        metavar="TASK",
        help="print the files of these tasks, groups or corruptions, separated by commas; by default all of the "
        "benchmark",
    )
    parser.add_argument(
        "--stack",
        choices=STACKS,
        default=STACKS[0],
        help="lmms-eval: the folder for its --include_path; lm-eval: the value for its --tasks (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the folder, or the files, of the task definitions."""
    if arguments.stack == "lm-eval":
        files = [of_lm_eval.task_file(task) for task in arguments.tasks]
        print(",".join(map(str, files)) or of_lm_eval.tasks_folder())
        return 0
    print(",".join(str(_file(task)) for task in arguments.tasks) or tasks_path())
    return 0


def _file(task: str) -> Path:
    file = tasks_path() / f"{task}.yaml"
    if not file.is_file():
        raise ValueError(f"there is no task {quoted(task)}: benchc info names all tasks")
    return file
