"""`benchc report`: one file that shows what runs found, for people."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchc_metrics.benchmark import CLEAN, Condition
from benchc_metrics.escaping import for_terminal
from benchc_metrics.files import replace_file
from benchc_metrics.runs import Run, read_runs
from benchc_tasks.commands.output import add_reading_argument
from benchc_tasks.corruptions import ENGINE_VERSION
from benchc_tasks.datasets import SampleDataset, load_dataset
from benchc_tasks.stacks.pictures import ConditionedPicture

if TYPE_CHECKING:
    from benchc_metrics.report.gallery import ShowSample

__all__ = ["add_parser", "run", "sample_viewer"]

MANY_RUNS = 4
"""From so many runs on, starting processes takes less time than it saves."""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("report", help="write one self-contained HTML file about runs")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a model's folder, as lmms-eval wrote it")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="where to write it (%(default)s)"
    )
    parser.add_argument(
        "--dataset", metavar="SOURCE", help="the dataset of the runs, for the gallery; by default that of the tasks"
    )
    parser.add_argument("--title", default="Robustness under image corruption", help="heading of the page")
    parser.add_argument("--about", default="", metavar="TEXT", help="what the runs are, to stand below the heading")
    add_reading_argument(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read the runs, write the report, say where it is."""
    from benchc_metrics.report.document import render_report, report_steps

    with (
        Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        ) as progress,
        _mapping(len(arguments.runs)) as mapping,
    ):
        task = progress.add_task("reading runs", total=None)
        runs = read_runs(arguments.runs, mapping)
        show, without_gallery = sample_viewer(runs[0], arguments.dataset)
        progress.update(task, description="metrics and charts", total=report_steps(runs))
        page = render_report(
            runs,
            show,
            title=arguments.title,
            about=arguments.about,
            reading=arguments.ras_reading,
            without_gallery=without_gallery,
            advance=lambda step: progress.update(task, description=for_terminal(step), advance=1),
            mapping=mapping,
        )
    replace_file(arguments.output, page)
    if show is None:
        print(f"benchc: {for_terminal(without_gallery)}", file=sys.stderr)
    print(f"{arguments.output} ({len(page.encode('utf-8')) / 1e6:.1f} MB)")
    return 0


@contextmanager
def _mapping(runs: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """Give `map`, or for many runs that of a pool of processes, one for each processor."""
    workers = min(runs, os.cpu_count() or 1)
    if runs < MANY_RUNS or workers == 1:
        yield map
        return
    # Spawned, not forked: the progress bar and the libraries of linear algebra have threads.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield pool.map


def sample_viewer(example: Run, source: str | None) -> tuple[ShowSample | None, str]:
    """Make the function that shows a sample of the runs' dataset under a condition.

    Parameters
    ----------
    example : Run
        One of the runs; all are over the same dataset.
    source : str or None
        As in `benchc_tasks.datasets.load_dataset`.

    Returns
    -------
    show : callable or None
        See `benchc_metrics.report.gallery.ShowSample`; None where the pictures cannot be rendered.
    reason : str
        Why not, in a sentence, and the cure; empty otherwise.
    """
    if example.metadata.engine != ENGINE_VERSION:
        return None, (
            f"The runs saw pictures of corruption engine {example.metadata.engine} and this is {ENGINE_VERSION}, so "
            "that the gallery cannot show what the models saw: install the benchc that made the runs."
        )
    try:
        samples = load_dataset(source)
    except (ValueError, OSError) as fault:
        if source is not None:
            raise
        return None, f"The dataset of the tasks could not be loaded, so there is no gallery: {fault}"
    if samples.fingerprint != example.metadata.dataset:
        return None, (
            f"The gallery needs the dataset of the runs, {example.metadata.dataset[:16]}, and {samples.source} is "
            f"{samples.fingerprint[:16]}: name it with --dataset."
        )
    return _viewer_of(samples), ""


def _viewer_of(samples: SampleDataset) -> ShowSample:
    from benchc_metrics.report.gallery import ShownSample

    place = {sample["id"]: number for number, sample in enumerate(samples.without_images())}

    def show(sample: str, condition: Condition) -> ShownSample:
        row = samples[place[sample]]
        clean, corrupted = (
            ConditionedPicture(samples.fingerprint, sample, each)(row)[0] for each in (CLEAN, condition)
        )
        return ShownSample(row["question"], row["options"], clean, corrupted)

    return show
