"""`benchc leaderboard`: a static site made of verified submissions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchc_metrics.leaderboard.schema import RECORD_FILE
from benchc_metrics.leaderboard.verification import Verification, verify
from benchc_tasks.commands.verify import sample_facts
from benchc_tasks.corruptions import ENGINE_VERSION
from benchc_tasks.datasets import load_dataset

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("leaderboard", help="make a static site of verified submissions")
    parser.add_argument(
        "submissions", type=Path, metavar="FOLDER", help="holds the folders of submissions, at any depth"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("site"), metavar="FOLDER", help="folder of the site (%(default)s)"
    )
    parser.add_argument(
        "--dataset",
        metavar="SOURCE",
        help="the dataset (a folder, a file or ORG/NAME): only submissions over it are shown, right answers checked",
    )
    parser.add_argument("--title", default="Bench-C leaderboard", help="heading of the site")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify, make the site of what is sound, and name what is not; the exit status is 1 if something is not."""
    from benchc_metrics.leaderboard.site import Submission, build_site, site_steps

    folders = sorted(submission_folders(arguments.submissions))
    if not folders:
        raise ValueError(f"{arguments.submissions} holds no submission: `benchc submit` writes one from a run")
    dataset = load_dataset(arguments.dataset) if arguments.dataset else None
    fingerprint = None if dataset is None else dataset.fingerprint
    samples = None if dataset is None else sample_facts(dataset)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task("verifying", total=len(folders))
        verified: list[Verification] = []
        for folder in folders:
            progress.update(task, description=f"verifying {folder.name}")
            verified.append(verify(folder, engine=ENGINE_VERSION, dataset=fingerprint, samples=samples))
            progress.advance(task)
        sound = [Submission(one.record, one.run) for one in verified if one.record is not None and one.run is not None]
        progress.update(task, total=len(folders) + site_steps(sound))

        def advance(step: str) -> None:
            progress.update(task, description=step, advance=1)

        pages = build_site(sound, title=arguments.title, advance=advance) if sound else {}
    for path, page in pages.items():
        file = arguments.output / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    for one in verified:
        for finding in one.findings:
            print(f"benchc: {one.folder} is left out: {finding}", file=sys.stderr)
    if not pages:
        raise ValueError(
            f"none of the {len(folders)} submissions in {arguments.submissions} is sound: no site was made"
        )
    print(f"{arguments.output / 'index.html'} ({len(sound)} submissions, {len(folders) - len(sound)} left out)")
    return 0 if len(sound) == len(folders) else 1


def submission_folders(folder: Path) -> Iterator[Path]:
    """Find the folders that hold a submission's record, below a folder or the folder itself.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: give the folder that holds the submissions")
    for record in folder.rglob(RECORD_FILE):
        if not any(part.startswith(".") for part in record.relative_to(folder).parts):
            yield record.parent
