"""`benchc run`: evaluate a model with lmms-eval, with checks before it and a reliable exit status after it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchc_metrics.escaping import for_terminal
from benchc_tasks.commands.output import whole_number
from benchc_tasks.datasets import SOURCE_VARIABLE, SampleDataset, load_dataset
from benchc_tasks.stacks.lmms_eval import preflight
from benchc_tasks.stacks.lmms_eval.launching import Launch, Outcome, outcome_of, results_in, start
from benchc_tasks.stacks.planning import Plan, TokensPerPass, plan_of, planned_tasks
from benchc_tasks.stacks.waiting import reading, waiting_for

__all__ = ["add_parser", "run"]

CACHE = ".answers"
"""The folder for kept answers, inside the output folder; `runs/*` does not match it."""

CONTROL_TASK = "benchc-control"
INTERRUPTED = 130
MOST_SAMPLES = 10**9


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser(
        "run",
        help="evaluate a model, with checks before it starts and answers that are kept",
        description="Evaluate a model with lmms-eval. Options that are not listed here are passed to lmms-eval.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model_args",
        "--model-args",
        default="",
        metavar="NAME=VALUE,...",
        help="the model, such as backend=qwen2_5_vl,pretrained=Qwen/Qwen2.5-VL-7B-Instruct; by default the bundled one",
    )
    parser.add_argument("--model", default="benchc", metavar="NAME", help="lmms-eval's model (%(default)s)")
    parser.add_argument(
        "--dataset", metavar="PATH", help="a folder, file, hub id or name of a set (that of BENCHC_DATASET)"
    )
    design = parser.add_mutually_exclusive_group()
    design.add_argument("--lite", action="store_true", help="20 passes a sample instead of 96, for a first look")
    design.add_argument("--tasks", metavar="NAME,...", help="tasks to run instead of all 19 corruptions")
    parser.add_argument("--no-control", action="store_true", help=f"leave out {CONTROL_TASK}, 5 passes a sample")
    parser.add_argument(
        "--limit", type=whole_number(1, MOST_SAMPLES), metavar="N", help="only the first N samples, for a trial"
    )
    parser.add_argument("-o", "--output_path", "--output-path", default="runs", metavar="FOLDER", help="(%(default)s)")
    parser.add_argument(
        "--use_cache", "--use-cache", metavar="FOLDER", help=f"where answers are kept ({CACHE} in the output folder)"
    )
    parser.add_argument("--print-command", action="store_true", help="print lmms-eval's command, and run nothing")
    parser.set_defaults(run=run, others_allowed=True, others=())


def run(arguments: argparse.Namespace) -> int:
    """Check, show the cost, evaluate, and report the outcome."""
    launch = launch_of(arguments)
    if arguments.print_command:
        print(launch.line())
        return 0
    try:
        lines = check(launch)
        for line in lines:
            print(f"benchc: {for_terminal(line)}", flush=True)
        before = results_in(launch.output)
        error = start(launch)
    except KeyboardInterrupt:
        print(f"\nStopped. The answers so far are kept in {launch.cache}.", file=sys.stderr)
        print(f"Continue with: {shlex.join(['benchc', *arguments.words])}", file=sys.stderr)
        return INTERRUPTED
    return tell(outcome_of(launch.output, before, error))


def launch_of(arguments: argparse.Namespace) -> Launch:
    """Make lmms-eval's command from our options."""
    return Launch(
        output=arguments.output_path,
        model=arguments.model,
        model_args=arguments.model_args,
        tasks=",".join(_tasks(arguments)),
        dataset=arguments.dataset,
        limit=arguments.limit,
        cache=arguments.use_cache or str(Path(arguments.output_path) / CACHE),
        options=[word for word in arguments.others if word != "--log_samples"],
    )


def check(launch: Launch) -> list[str]:
    """Check everything that needs no model, the quickest checks first.

    Returns
    -------
    list of str
        The planned steps, one line each.

    Raises
    ------
    ValueError, OSError
        One sentence with the cure.
    """
    preflight.check_installation()
    tasks = launch.tasks.split(",")
    preflight.check_options(launch.options)
    preflight.check_tasks(tasks)
    preflight.check_arguments(launch.model, preflight.parse_arguments(launch.model_args))
    preflight.check_output_folder(Path(launch.output), 0)
    named = launch.dataset or os.environ.get(SOURCE_VARIABLE) or None
    with waiting_for(reading(named), partial(print, flush=True)):
        samples = load_dataset(named)
    plan = plan_of_tasks(tasks, samples, launch.limit)
    rows = samples.without_images()
    options = sum(len(rows[place]["options"]) for place in range(plan.samples))
    preflight.check_output_folder(Path(launch.output), round(options * plan.conditions))
    what = f"{plan.samples:,} samples of {samples.source}"
    return [
        f"{what} under {plan.conditions:.4g} conditions are {plan.passes:,} forward passes" if plan.passes else what,
        f"results go to {launch.output}, answers are kept in {launch.cache}; importing lmms-eval takes some seconds",
    ]


def plan_of_tasks(tasks: Sequence[str], samples: SampleDataset, limit: int | None = None) -> Plan:
    """Count what our tasks will ask; other tasks are not counted."""
    known = preflight.task_names()
    ours = [task for task in tasks if task in known or ("*" in task and task.startswith("benchc"))]
    planned = planned_tasks(",".join(ours)) if ours else []
    return plan_of(planned, samples, TokensPerPass(0.0, 0.0, "not counted"), limit)


def tell(outcome: Outcome) -> int:
    """Report the outcome of a run, and return the exit status: 0 only for a complete run."""
    for caution in outcome.cautions:
        print(f"benchc: CAUTION: {for_terminal(caution)}", file=sys.stderr)
    for fault in outcome.faults:
        print(f"benchc: {for_terminal(fault)}", file=sys.stderr)
    if outcome.run is not None:
        place = shlex.quote(str(outcome.folder))
        print(f"\nLook at it:\n  benchc summary {place}\n  benchc report {place} -o report.html")
    return 1 if outcome.faults else 0


def _tasks(arguments: argparse.Namespace) -> list[str]:
    if arguments.tasks:
        return [name.strip() for name in str(arguments.tasks).split(",") if name.strip()]
    return ["benchc-lite" if arguments.lite else "benchc", *([] if arguments.no_control else [CONTROL_TASK])]
