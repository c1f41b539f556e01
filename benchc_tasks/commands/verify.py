"""`benchc verify`: whether submissions say what their answers say."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console

from benchc_metrics.leaderboard.verification import SampleFacts, verify
from benchc_tasks.corruptions import ENGINE_VERSION
from benchc_tasks.datasets import SampleDataset, load_dataset

__all__ = ["add_parser", "run", "sample_facts"]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("verify", help="compute a submission's figures again, and name what differs")
    parser.add_argument("submissions", nargs="+", metavar="FOLDER", help="as `benchc submit` wrote it")
    parser.add_argument(
        "--dataset",
        metavar="SOURCE",
        help="the dataset (a folder, a file or ORG/NAME): its samples and right answers are checked too",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every finding; the exit status is 1 if there is one."""
    dataset = load_dataset(arguments.dataset) if arguments.dataset else None
    fingerprint = None if dataset is None else dataset.fingerprint
    samples = None if dataset is None else sample_facts(dataset)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    all_sound = True
    for folder in arguments.submissions:
        verification = verify(folder, engine=ENGINE_VERSION, dataset=fingerprint, samples=samples)
        all_sound &= verification.is_sound
        if verification.record is not None:
            record = verification.record
            console.print(f"{folder}: sound; {record.model.id} over {record.dataset.samples} samples")
        for finding in verification.findings:
            console.print(f"{folder}: {finding}")
    if dataset is None:
        console.print("The right answers are those that the submissions state: give --dataset to check them too.")
    return 0 if all_sound else 1


def sample_facts(dataset: SampleDataset) -> dict[str, SampleFacts]:
    """List what `verify` checks of each sample, by the samples' ids."""
    return {
        doc["id"]: SampleFacts(doc["answer"], len(doc["options"]), doc["source"], doc["category"])
        for doc in dataset.without_images()
    }
