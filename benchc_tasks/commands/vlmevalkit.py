"""`benchc vlmevalkit`: run VLMEvalKit with benchc's datasets, and with its model where that is wanted."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser(
        "vlmevalkit",
        help="evaluate with VLMEvalKit on benchc's datasets",
        description="Run VLMEvalKit on benchc's datasets, with the model benchc or with one of VLMEvalKit's own.",
    )
    parser.add_argument(
        "--data", nargs="+", required=True, metavar="NAME", help="BenchC for all corruptions, BenchC_fog, BenchC_lite"
    )
    parser.add_argument("--model", default="benchc", help="benchc, or a model of VLMEvalKit (default: benchc)")
    parser.add_argument("--pretrained", help="the checkpoint of the model benchc (default: the bundled model)")
    parser.add_argument("--model_args", default="", help="further arguments of the model benchc, KEY=VALUE,KEY=VALUE")
    parser.add_argument("--dataset", help="a folder, file, hub id or set by name (default: BENCHC_DATASET)")
    parser.add_argument("--work-dir", type=Path, default=Path("outputs"), help="VLMEvalKit's folder (default: outputs)")
    parser.add_argument("--limit", type=int, help="only the first samples")
    parser.add_argument("--votes", type=int, default=1, help="answers under each condition, of a model of VLMEvalKit")
    parser.add_argument("--temperature", type=float, help="handed to a model of VLMEvalKit; needed for votes")
    parser.add_argument("--reuse", action="store_true", help="use the answers that an earlier run in --work-dir kept")
    parser.add_argument("--judge", default="exact_matching", help="VLMEvalKit's judge (default: exact_matching)")
    parser.add_argument("--repo", type=Path, help="a checkout of VLMEvalKit, in place of the installed package")
    parser.add_argument("--clean-up", action="store_true", help="remove the picture files afterwards")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run VLMEvalKit; the status is 1 if a dataset was not evaluated."""
    from benchc_tasks.stacks.vlmevalkit.launching import Order, arguments_of, run_vlmevalkit

    model_arguments = arguments_of(arguments.model_args)
    if arguments.pretrained:
        model_arguments["pretrained"] = arguments.pretrained
    return run_vlmevalkit(
        Order(
            data=arguments.data,
            model=arguments.model,
            arguments=model_arguments,
            dataset=arguments.dataset,
            work_dir=arguments.work_dir,
            limit=arguments.limit,
            votes=arguments.votes,
            temperature=arguments.temperature,
            reuse=arguments.reuse,
            judge=arguments.judge,
            repo=arguments.repo,
            clean_up=arguments.clean_up,
        )
    )
