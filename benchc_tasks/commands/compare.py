"""`benchc compare`: where two runs over the same samples differ, and whether that is chance."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchc_metrics.findings.restoration import note_on_restoration, same_model
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.registry import EVERY_METRIC, NOT_DEFINED, headline_metrics
from benchc_metrics.metrics.views import corruption_views, whole_run
from benchc_metrics.pages.tables import Cell, Column, Probability, Table, metric_cell
from benchc_metrics.runs import read_runs
from benchc_metrics.statistics.estimates import ComparedRuns, Estimate, EstimatedRun, compare, estimate
from benchc_tasks.commands.output import (
    add_bootstrap_arguments,
    add_format_arguments,
    add_metrics_argument,
    add_reading_argument,
    print_in_format,
)
from benchc_tasks.commands.summary import cautions_of_runs, notes_on_runs

__all__ = ["add_parser", "run"]

EXPLANATION = (
    "Intervals are 95 % bootstrap intervals, of A - B over paired samples; p is of the sign-flip permutation test over "
    "samples, p (Holm) corrected for the number of corruptions."
)


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("compare", help="compare two runs over the same samples, sample by sample")
    parser.add_argument("first", metavar="A", help="a model's folder, as lmms-eval wrote it")
    parser.add_argument("second", metavar="B", help="another one, over the same dataset with the same prompt")
    add_metrics_argument(parser, ("ras", "acc_corrupted"), "which metrics to compare corruption by corruption")
    add_reading_argument(parser)
    add_format_arguments(parser)
    add_bootstrap_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the tables."""
    runs = read_runs([arguments.first, arguments.second])
    first, second = (PairValues.of_run(each, arguments.ras_reading) for each in runs)
    settings = {"resamples": arguments.resamples, "seed": arguments.seed}
    overall = compare(first, second, **settings)
    whole, views = (whole_run(first.run),), corruption_views(first.run)
    by_corruption = compare(first, second, views, **settings)
    estimates = [
        estimate(each, whole + views, reading=arguments.ras_reading, **settings)
        for each in (overall.first, overall.second)
    ]
    tables = [_table("All corruptions", overall, estimates, headline_metrics(first.run))]
    for metric in arguments.metrics:
        title = f"{EVERY_METRIC[metric].label} by corruption"
        tables.append(_table(title, by_corruption, estimates, [metric], is_family=True))
    notes = [
        EXPLANATION,
        *overall.notes,
        *_notes_on_restoration(overall, arguments),
        *notes_on_runs(runs, arguments.ras_reading),
    ]
    print_in_format(tables, notes, arguments, cautions_of_runs(runs))
    return 0


def _notes_on_restoration(compared: ComparedRuns, arguments: argparse.Namespace) -> list[str]:
    """Say what restoration cures and costs, where one of two runs of a model has it."""
    runs = (compared.first, compared.second)
    restored = [run for run in runs if run.metadata.restoration is not None]
    plain = [run for run in runs if run.metadata.restoration is None]
    if not restored or not plain or not same_model(*runs):
        return []
    settings = {"resamples": arguments.resamples, "seed": arguments.seed}
    return [note_on_restoration(restored[0], plain[0], arguments.ras_reading, **settings)]


def _table(
    title: str,
    compared: ComparedRuns,
    estimates: Sequence[EstimatedRun],
    metrics: Sequence[str],
    is_family: bool = False,
) -> Table:
    columns = (
        Column("figure", "metric"),
        Column("corruption", "corruption"),
        Column("difference", "A - B"),
        Column("p_value", "p"),
        Column("p_holm", "p (Holm)"),
        Column("first", "A"),
        Column("second", "B"),
    )
    rows: list[tuple[Cell, ...]] = []
    for metric in metrics:
        is_defined = EVERY_METRIC[metric].is_defined_for(compared.first)
        for view in compared.views:
            found = compared.of(metric, view.name)
            rows.append(
                (
                    EVERY_METRIC[metric].name,
                    view.name,
                    Estimate(found.value, found.low, found.high) if is_defined else NOT_DEFINED,
                    Probability(found.p_value) if is_defined else None,
                    Probability(found.p_adjusted) if is_family and is_defined else None,
                    *(metric_cell(each, metric, view.name) for each in estimates),
                )
            )
    return Table(f"{title}: {compared.first.name} (A) and {compared.second.name} (B)", columns, tuple(rows), labels=2)
