"""`benchc tasks-path`: the task definitions, for lmms-eval's `--include_path` and lm-evaluation-harness's `--tasks`."""

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
    parser = subparsers.add_parser("tasks-path", help="print where the task definitions of a stack stand")
    parser.add_argument(
        "tasks",
        nargs="*",
        metavar="TASK",
        help="tasks, groups or corruptions whose files are printed, with commas between them; all of the benchmark by "
        "default",
    )
    parser.add_argument(
        "--stack",
        choices=STACKS,
        default=STACKS[0],
        help="lmms-eval: the folder for its --include_path; lm-eval: what its --tasks takes (default: %(default)s)",
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
