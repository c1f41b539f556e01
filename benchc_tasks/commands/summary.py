"""`benchc summary`: the metrics of runs with their intervals, as a table."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from benchc_metrics.metrics.registry import headline_metrics
from benchc_metrics.metrics.views import (
    View,
    category_views,
    condition_views,
    corruption_views,
    severity_views,
    whole_run,
)
from benchc_metrics.pages.tables import Cell, Column, Table, metric_column
from benchc_metrics.runs import Run, read_runs
from benchc_metrics.statistics.estimates import EstimatedRun, estimate
from benchc_tasks.commands.output import (
    add_bootstrap_arguments,
    add_format_arguments,
    add_metrics_argument,
    print_in_format,
)

__all__ = ["add_parser", "run", "summary_table"]

VIEWS: dict[str, Callable[[Run], tuple[View, ...]]] = {
    "corruption": corruption_views,
    "severity": severity_views,
    "condition": condition_views,
    "category": category_views,
}


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("summary", help="print the metrics of runs, each with its 95 %% interval")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a model's folder, as lmms-eval wrote it")
    parser.add_argument("--by", choices=VIEWS, help="a row for each of these instead of one a run")
    add_metrics_argument(parser, headline_metrics(), "which metrics")
    add_format_arguments(parser)
    add_bootstrap_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    runs = read_runs(arguments.runs)
    estimated = [
        estimate(each, _views(each, arguments.by), resamples=arguments.resamples, seed=arguments.seed) for each in runs
    ]
    table = summary_table(estimated, tuple(arguments.metrics), arguments.by)
    print_in_format([table], notes_on_runs(runs), arguments)
    return 0


def summary_table(estimated: list[EstimatedRun], metrics: tuple[str, ...], by: str | None = None) -> Table:
    """Put estimated runs into a table, one row a run and view.

    Parameters
    ----------
    estimated : list of EstimatedRun
    metrics : tuple of str
        One column each.
    by : str or None
        The head of the views' column; None where each run has one view.

    Returns
    -------
    Table
    """
    labels = (Column("run", "model"), *((Column(by, by),) if by else ()))
    rows: list[tuple[Cell, ...]] = []
    for each in estimated:
        for view in each.views:
            names = (each.run.name, view.name) if by else (each.run.name,)
            rows.append((*names, *(each.of(metric, view.name) for metric in metrics)))
    title = f"Bench-C{f' by {by}' if by else ''}: metrics with 95 % intervals"
    return Table(title, (*labels, *map(metric_column, metrics)), tuple(rows), labels=len(labels))


def notes_on_runs(runs: list[Run]) -> list[str]:
    """Say what a reader of metrics of these runs should be told, a sentence each."""
    notes = [f"{each.name}: {note}" for each in runs for note in each.notes]
    for each in runs:
        if each.metadata.demonstration:
            notes.append(f"{each.name}: the bundled demonstration set was evaluated; this is no Bench-C result.")
        if each.missing:
            notes.append(f"{each.name}: {len(each.missing)} answers are missing.")
        size = each.metadata.dataset_size
        if size is not None and size > len(each.sample_ids):
            notes.append(f"{each.name}: {len(each.sample_ids)} of the {size} samples were evaluated.")
    if len({(each.metadata.dataset, each.metadata.engine, each.metadata.prompt) for each in runs}) > 1:
        notes.append("The runs differ in dataset, corruption engine or prompt: their metrics cannot be compared.")
    return notes


def _views(each: Run, by: str | None) -> tuple[View, ...]:
    if by is None:
        return (whole_run(each),)
    views = VIEWS[by](each)
    if not views:
        raise ValueError(f"the samples of {each.name} have no {by}: leave out --by {by}")
    return views
