"""`benchc verify`: recompute submissions from their answers and name what differs."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchc_metrics.designs import FULL, describe_design
from benchc_metrics.escaping import for_terminal
from benchc_metrics.leaderboard.configuration import LeaderboardConfiguration, read_configuration
from benchc_metrics.leaderboard.verification import SampleFacts, Verification, verify
from benchc_tasks.corruptions import ENGINE_VERSION
from benchc_tasks.datasets import SampleDataset, load_dataset

__all__ = ["Accepted", "add_accepted_arguments", "add_parser", "run", "sample_facts"]


@dataclass(frozen=True)
class Accepted:
    """The conditions for accepting a submission: the maintainers' configuration and their dataset.

    Attributes
    ----------
    configuration : LeaderboardConfiguration or None
    fingerprint : str or None
        Of the dataset; None accepts any.
    source : str or None
        The dataset as `--dataset` names it.
    samples : dict of str to SampleFacts, or None
        The dataset's samples by their ids.
    """

    configuration: LeaderboardConfiguration | None
    fingerprint: str | None
    source: str | None
    samples: dict[str, SampleFacts] | None

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Accepted:
        """Read the configuration and the dataset that the arguments name.

        Raises
        ------
        ValueError
            If they are refused, or the configuration is of another dataset.
        """
        configuration = read_configuration(arguments.config) if arguments.config else None
        dataset = load_dataset(arguments.dataset) if arguments.dataset else None
        fingerprint = None if dataset is None else dataset.fingerprint
        if configuration is not None:
            wanted = configuration.dataset.fingerprint
            if fingerprint not in (None, wanted):
                raise ValueError(
                    f"{arguments.config} is for dataset {wanted[:16]} and {arguments.dataset} is {fingerprint[:16]}: "
                    "give the dataset of the configuration"
                )
            fingerprint = wanted
        return cls(configuration, fingerprint, arguments.dataset, None if dataset is None else sample_facts(dataset))

    @property
    def engine(self) -> str:
        """The corruption engine's version."""
        return (self.configuration.engine if self.configuration else None) or ENGINE_VERSION

    def verify(self, folder: Path) -> Verification:
        """Verify a submission."""
        return verify(
            folder,
            engine=self.engine,
            dataset=self.fingerprint,
            samples=self.samples,
            prompt=self.configuration.prompt if self.configuration else None,
            ras_reading=self.configuration.ras_reading if self.configuration else None,
        )


def add_accepted_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--dataset` and `--config`."""
    parser.add_argument(
        "--dataset",
        metavar="SOURCE",
        help="accept only this dataset (a folder, a file or ORG/NAME), and check samples and right answers against it",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="accept only what the leaderboard's configuration file says"
    )


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("verify", help="compute a submission's metrics again, and name what differs")
    parser.add_argument("submissions", nargs="+", type=Path, metavar="FOLDER", help="as `benchc submit` wrote it")
    add_accepted_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every finding; the exit status is 1 if there is one."""
    accepted = Accepted.of(arguments)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    all_sound = True
    for folder in arguments.submissions:
        verification = accepted.verify(folder)
        all_sound &= verification.is_sound
        name = for_terminal(str(folder))
        if verification.record is not None:
            record = verification.record
            of_ras = f", RAS {record.ras}" if record.ras is not None else ""
            of_design = f", design {describe_design(record.design)}" if record.design != FULL else ""
            console.print(f"{name}: sound; {record.model.id} over {record.dataset.samples} samples{of_ras}{of_design}")
        for finding in verification.findings:
            console.print(f"{name}: {finding}")
    if accepted.samples is None:
        console.print("The right answers are those that the submissions state: give --dataset to check them too.")
    return 0 if all_sound else 1


def sample_facts(dataset: SampleDataset) -> dict[str, SampleFacts]:
    """List what `verify` checks of each sample, by the samples' ids."""
    return {
        doc["id"]: SampleFacts(doc["answer"], len(doc["options"]), doc["source"], doc["category"])
        for doc in dataset.without_images()
    }
