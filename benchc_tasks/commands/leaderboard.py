"""`benchc leaderboard`: build a static site of verified submissions."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchc_metrics.benchmark import STANDARD_PROMPT
from benchc_metrics.escaping import for_terminal
from benchc_metrics.leaderboard.schema import RECORD_FILE, RasFacts
from benchc_metrics.leaderboard.verification import Verification
from benchc_metrics.metrics.ras import DEFAULT_READING
from benchc_tasks.commands.verify import Accepted, add_accepted_arguments

if TYPE_CHECKING:
    from benchc_metrics.leaderboard.site import SiteFacts, Submission

__all__ = ["add_parser", "run", "submission_folders"]

TITLE = "Bench-C leaderboard"
_HUB_SOURCE = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[0-9a-f]{7,64}))?", re.ASCII)


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("leaderboard", help="make a static site of verified submissions")
    parser.add_argument(
        "submissions", type=Path, metavar="FOLDER", help="holds the folders of submissions, at any depth"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("site"), metavar="FOLDER", help="folder of the site (%(default)s)"
    )
    add_accepted_arguments(parser)
    parser.add_argument("--title", help=f"heading of the site ({TITLE}, or the configuration's)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify, build the site of the sound submissions, and name the others; the exit status is 1 if there are any."""
    from benchc_metrics.leaderboard.publishing import publish_site
    from benchc_metrics.leaderboard.site import Submission, build_site, site_steps

    folders = sorted(submission_folders(arguments.submissions))
    if not folders:
        raise ValueError(f"{arguments.submissions} holds no submission: `benchc submit` writes one from a run")
    accepted = Accepted.of(arguments)
    title = arguments.title or (accepted.configuration.title if accepted.configuration else TITLE)
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
            progress.update(task, description=f"verifying {for_terminal(folder.name)}")
            verified.append(accepted.verify(folder))
            progress.advance(task)
        sound = [
            Submission(one.record, one.run, one.folder.relative_to(arguments.submissions).as_posix())
            for one in verified
            if one.record is not None and one.run is not None
        ]
        facts = site_facts(accepted, sound) if sound else None
        shown = [one for one in sound if facts is not None and not list(facts.differences_of(one.record))]
        progress.update(task, total=len(folders) + site_steps(shown))

        def advance(step: str) -> None:
            progress.update(task, description=step, advance=1)

        pages = build_site(shown, facts, title=title, advance=advance) if shown else {}
    if pages:
        publish_site(pages, arguments.output)
    for one in verified:
        for finding in one.findings:
            _say_left_out(one.folder, str(finding))
    for submission in sound:
        for difference in facts.differences_of(submission.record) if facts is not None else ():
            _say_left_out(arguments.submissions / submission.place, f"{RECORD_FILE}: {difference}")
    if not pages:
        raise ValueError(
            f"none of the {len(folders)} submissions in {arguments.submissions} can be shown: no site was made"
        )
    print(f"{arguments.output / 'index.html'} ({len(shown)} submissions, {len(folders) - len(shown)} left out)")
    return 0 if len(shown) == len(folders) else 1


def site_facts(accepted: Accepted, submissions: Sequence[Submission]) -> SiteFacts:
    """Say what the site is over: what the maintainers' configuration and dataset say, never what one submission says.

    Without them all submissions must agree. The prompt is that of the tasks wherever a submission has it.

    Raises
    ------
    ValueError
        If nobody says it and the submissions do not agree.
    """
    from benchc_metrics.leaderboard.site import SiteFacts

    configuration = accepted.configuration
    prompt = configuration.prompt if configuration else None
    records = [submission.record for submission in submissions]
    if prompt is None and any(record.prompt == STANDARD_PROMPT for record in records):
        prompt = STANDARD_PROMPT
    prompts = {record.prompt for record in records}
    datasets = {record.dataset.fingerprint for record in records}
    if prompt is None and len(prompts) > 1:
        raise ValueError(f"the submissions have {len(prompts)} prompts: say which is the site's with --config")
    if accepted.fingerprint is None and len(datasets) > 1:
        raise ValueError(
            f"the submissions are over {len(datasets)} datasets: name the site's with --dataset or --config"
        )
    samples = {submission.run.sample_ids for submission in submissions}
    if accepted.samples is None and len(samples) > 1:
        raise ValueError("the submissions do not have the same samples: name the site's dataset with --dataset")
    of_hub = _HUB_SOURCE.fullmatch(accepted.source or "")
    dataset: str | None = None
    revision: str | None = None
    if configuration is not None:
        dataset, revision = configuration.dataset.id, configuration.dataset.revision
    elif accepted.source is not None:
        if of_hub:
            dataset, revision = of_hub["id"], of_hub["revision"]
    else:
        ids = {(record.dataset.id, record.dataset.revision) for record in records}
        if len(ids) == 1:
            dataset, revision = ids.pop()
    fingerprint = accepted.fingerprint or min(datasets)
    readings = {record.ras.reading for record in records if record.ras is not None}
    only = next(iter(readings)) if len(readings) == 1 else DEFAULT_READING
    return SiteFacts(
        fingerprint=fingerprint,
        engine=accepted.engine,
        prompt=prompt if prompt is not None else min(prompts),
        samples=len(accepted.samples) if accepted.samples is not None else max(r.dataset.samples for r in records),
        dataset=dataset,
        revision=revision,
        address=configuration.address if configuration else None,
        install=(configuration.install if configuration else None) or f"benchc=={version('benchc')}",
        ras=RasFacts.read_as(configuration.ras_reading if configuration else only),
    )


def _say_left_out(folder: Path, why: str) -> None:
    print(f"benchc: {for_terminal(str(folder))} is left out: {for_terminal(why)}", file=sys.stderr)


def submission_folders(folder: Path) -> Iterator[Path]:
    """Find the folders that hold a submission's record, below a folder or the folder itself.

    Links and hidden folders are passed over, and a folder within a submission is not another one. A folder that cannot
    be listed is found too, so that it is named.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: give the folder that holds the submissions")
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            yield place
            continue
        if any(name == RECORD_FILE for name, _ in listed):
            yield place
        else:
            waiting += [place / name for name, is_folder in listed if is_folder and not name.startswith(".")]
