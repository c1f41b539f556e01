"""`benchc summary`: the metrics of runs with their intervals, as a table."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from benchc_metrics.findings.designs import note_on_designs, note_on_run
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading
from benchc_metrics.metrics.registry import headline_metrics
from benchc_metrics.metrics.views import (
    View,
    category_views,
    condition_views,
    corruption_views,
    severity_views,
    whole_run,
)
from benchc_metrics.pages.tables import Cell, Column, Table, metric_cell, metric_column
from benchc_metrics.runs import Run, read_runs
from benchc_metrics.statistics.estimates import EstimatedRun, estimate, kind_of_predictions
from benchc_tasks.commands.output import (
    add_bootstrap_arguments,
    add_format_arguments,
    add_metrics_argument,
    add_reading_argument,
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
    add_reading_argument(parser)
    add_format_arguments(parser)
    add_bootstrap_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    runs = read_runs(arguments.runs)
    estimated = [
        estimate(
            each,
            _views(each, arguments.by),
            reading=arguments.ras_reading,
            resamples=arguments.resamples,
            seed=arguments.seed,
        )
        for each in runs
    ]
    kinds: dict[str, list[EstimatedRun]] = {}
    for each in estimated:
        kinds.setdefault(kind_of_predictions(each.run), []).append(each)
    if len(kinds) > 1 and arguments.format == "csv":
        raise ValueError(
            f"runs of {' and of '.join(kinds)} do not fit into one CSV, whose columns would mix them: "
            "summarise each kind by itself"
        )
    tables = [
        summary_table(of_kind, tuple(arguments.metrics), arguments.by, "" if len(kinds) == 1 else kind)
        for kind, of_kind in kinds.items()
    ]
    notes = notes_on_runs(runs, arguments.ras_reading)
    print_in_format(tables, notes, arguments, cautions_of_runs(runs))
    return 0


def summary_table(
    estimated: list[EstimatedRun], metrics: tuple[str, ...], by: str | None = None, kind: str = ""
) -> Table:
    """Put estimated runs into a table, one row a run and view.

    Parameters
    ----------
    estimated : list of EstimatedRun
    metrics : tuple of str
        One column each.
    by : str or None
        The head of the views' column; None where each run has one view.
    kind : str
        How the predictions were obtained, for the title.

    Returns
    -------
    Table
    """
    labels = (Column("run", "model"), *((Column(by, by),) if by else ()))
    rows: list[tuple[Cell, ...]] = []
    for each in estimated:
        for view in each.views:
            names = (each.run.name, view.name) if by else (each.run.name,)
            rows.append((*names, *(metric_cell(each, metric, view.name) for metric in metrics)))
    title = f"Bench-C{f' by {by}' if by else ''}{f', from {kind}' if kind else ''}: metrics with 95 % intervals"
    return Table(title, (*labels, *map(metric_column, metrics)), tuple(rows), labels=len(labels))


def cautions_of_runs(runs: Sequence[Run]) -> list[str]:
    """Say why a reader should doubt these runs, a sentence each."""
    return [f"CAUTION ({caution.name}): {each.name}: {caution.sentence}" for each in runs for caution in each.cautions]


def notes_on_runs(runs: list[Run], reading: Reading = DEFAULT_READING) -> list[str]:
    """Say what a reader of metrics of these runs should be told, a sentence each."""
    notes = [f"{each.name}: {note}" for each in runs for note in each.notes]
    notes += [f"{each.name}: {note}" for each in runs if (note := note_on_run(each, reading))]
    if differing := note_on_designs(runs):
        notes.append(differing)
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
