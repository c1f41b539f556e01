"""`benchc submit`: write the submission of a whole run."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from benchc_metrics.escaping import for_terminal
from benchc_metrics.leaderboard.pushing import check_repository, place_of, push_submission, pushed_files
from benchc_metrics.leaderboard.schema import Relationship, parse_size
from benchc_metrics.leaderboard.submission import SubmissionDetails, write_submission
from benchc_metrics.runs import read_run
from benchc_tasks.commands.output import add_reading_argument
from benchc_tasks.commands.summary import notes_on_runs

__all__ = ["add_parser", "run"]

DEFAULTS = SubmissionDetails(dataset_id="")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("submit", help="check that a run is whole, and write its submission")
    parser.add_argument("run_folder", metavar="RUN", help="a model's folder, as lmms-eval wrote it")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="empty, or not there yet")
    parser.add_argument("--dataset-id", required=True, metavar="ORG/NAME", help="of the dataset on the hub")
    parser.add_argument("--dataset-revision", metavar="SHA", help="the dataset's git revision there")
    parser.add_argument("--model-id", metavar="ORG/NAME", help="of the model, if it was evaluated under another name")
    parser.add_argument(
        "--organisation", default=DEFAULTS.organisation, metavar="NAME", help="who evaluated (%(default)s)"
    )
    parser.add_argument(
        "--relationship",
        choices=get_args(Relationship),
        default=DEFAULTS.relationship,
        help="of who evaluated to who made the model (%(default)s)",
    )
    parser.add_argument(
        "--source-url",
        default=DEFAULTS.source_url,
        metavar="URL",
        help="where the evaluation is described (%(default)s)",
    )
    parser.add_argument(
        "--source-name", default=DEFAULTS.source_name, metavar="NAME", help="what to call that place (%(default)s)"
    )
    parser.add_argument("--size", type=_size, metavar="NUMBER", help="of the model's parameters, such as 7.6B or 500M")
    parser.add_argument("--licence", metavar="NAME", help="of the model, such as apache-2.0")
    parser.add_argument("--link", metavar="URL", help="where the model is described")
    parser.add_argument(
        "--push",
        metavar="ORG/NAME",
        help="hand it in: open a pull request in this dataset repository of the hub (`hf auth login` first)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what --push would send; nothing is kept or sent")
    add_reading_argument(parser)
    parser.set_defaults(run=run)


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from None


def run(arguments: argparse.Namespace) -> int:
    """Write the submission, list its files, and send it if asked to."""
    if arguments.dry_run and not arguments.push:
        raise ValueError("--dry-run shows what --push would send: say where to with --push ORG/NAME")
    repository = check_repository(arguments.push) if arguments.push else None
    submitted = read_run(arguments.run_folder)
    details = SubmissionDetails(
        dataset_id=arguments.dataset_id,
        dataset_revision=arguments.dataset_revision,
        model_id=arguments.model_id,
        ras_reading=arguments.ras_reading,
        organisation=arguments.organisation,
        relationship=arguments.relationship,
        source_url=arguments.source_url,
        source_name=arguments.source_name,
        parameters=arguments.size,
        licence=arguments.licence,
        link=arguments.link,
    )
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if arguments.dry_run:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "submission"
            record = write_submission(submitted, folder, details)
            console.print(f"A pull request in the dataset repository {repository} would add:")
            for path, size in pushed_files(folder):
                console.print(f"  {place_of(record)}/{path} ({size} bytes)")
        console.print("Nothing was kept or sent: leave out --dry-run to send it.")
        return 0
    record = write_submission(submitted, arguments.output, details)
    console.print(f"{record.model.id}: {record.dataset.samples} samples under {len(record.table)} conditions and clean")
    for facts in record.files:
        console.print(f"  {facts.path} ({facts.bytes} bytes)")
    for note in notes_on_runs([submitted]):
        console.print(note)
    if repository is None:
        console.print(f"Check it with: benchc verify {arguments.output}")
    else:
        address = push_submission(Path(arguments.output), record, repository)
        console.print(f"Handed in: {for_terminal(address)}")
    return 0
