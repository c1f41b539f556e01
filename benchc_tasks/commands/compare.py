"""`benchc compare`: where two runs over the same samples differ, and whether that is chance."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import inf, isfinite, nan
from typing import Any

from rich.console import Console
from rich.text import Text

from benchc_metrics.findings.restoration import note_on_restoration, same_model
from benchc_metrics.findings.verdict import verdict
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import Reading
from benchc_metrics.metrics.registry import EVERY_METRIC, NOT_DEFINED, headline_metrics
from benchc_metrics.metrics.sums import metrics_of_views
from benchc_metrics.metrics.views import corruption_views, whole_run
from benchc_metrics.pages.tables import Cell, Column, Probability, Table, bars_of_rows, metric_cell
from benchc_metrics.runs import read_runs
from benchc_metrics.statistics.estimates import ComparedRuns, Estimate, EstimatedRun, compare, estimate
from benchc_metrics.wording import joined
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
SHORT_EXPLANATION = (
    "95 % bootstrap intervals of A - B; p by exchanging A and B in samples; --all shows all corruptions."
)
MOST_LINES = 30
LINES_OF_A_HEAD = 3
MOST_CORRUPTIONS = 3
"""Corruptions that the short form shows, those with the largest difference."""


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("compare", help="compare two runs over the same samples, sample by sample")
    parser.add_argument("first", metavar="A", help="a model's folder, as lmms-eval wrote it")
    parser.add_argument("second", metavar="B", help="another one, over the same dataset with the same prompt")
    parser.add_argument("--all", action="store_true", help="every corruption, and the interval of each model")
    add_metrics_argument(parser, ("ras", "acc_corrupted"), "which metrics to compare corruption by corruption")
    add_reading_argument(parser)
    add_format_arguments(parser)
    add_bootstrap_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the tables, and the verdict."""
    runs = read_runs([arguments.first, arguments.second])
    first, second = (PairValues.of_run(each, arguments.ras_reading) for each in runs)
    settings = {"resamples": arguments.resamples, "seed": arguments.seed}
    overall = compare(first, second, **settings)
    by_corruption = compare(first, second, corruption_views(first.run), **settings)
    is_whole = arguments.all or arguments.format is not None
    notes = [
        EXPLANATION if is_whole else SHORT_EXPLANATION,
        *overall.contradictions(headline_metrics(first.run)),
        *by_corruption.contradictions(arguments.metrics if is_whole else ()),
        *overall.notes,
        *_notes_on_restoration(overall, arguments),
        *_once(notes_on_runs(runs, arguments.ras_reading), [each.name for each in runs]),
        *verdict(overall, by_corruption),
    ]
    cautions = cautions_of_runs(runs)
    if is_whole:
        tables = _all_tables(overall, by_corruption, arguments)
    else:
        room = MOST_LINES - _lines([*cautions, *notes])
        tables = _short_tables(overall, by_corruption, arguments.metrics[0], arguments.ras_reading, room)
    print_in_format(tables, notes, arguments, cautions)
    return 0


def _lines(texts: Sequence[str]) -> int:
    """Count the lines that texts take in the terminal."""
    console = Console()
    return sum(len(Text(text).wrap(console, console.width)) for text in texts)


def _once(notes: Sequence[str], names: Sequence[str]) -> list[str]:
    """Put notes that say the same of every run into one."""
    said = {name: [note for note in notes if note.startswith(f"{name}: ")] for name in names}
    texts = [[note.removeprefix(f"{name}: ") for note in of_run] for name, of_run in said.items()]
    shared = [text for text in texts[0] if all(text in of_run for of_run in texts)]
    of_one = [note for note in notes if not any(note == f"{name}: {text}" for name in names for text in shared)]
    return [*(f"{joined(names)}: {text}" for text in shared), *of_one]


def _all_tables(overall: ComparedRuns, by_corruption: ComparedRuns, arguments: argparse.Namespace) -> list[Table]:
    views = (whole_run(overall.first), *by_corruption.views)
    estimates = [
        estimate(
            each,
            views,
            reading=arguments.ras_reading,
            resamples=arguments.resamples,
            seed=arguments.seed,
        )
        for each in (overall.first, overall.second)
    ]
    tables = [_table("All corruptions", overall, estimates, headline_metrics(overall.first))]
    for metric in arguments.metrics:
        title = f"{EVERY_METRIC[metric].label} by corruption"
        tables.append(_table(title, by_corruption, estimates, [metric], is_family=True))
    return tables


def _short_tables(
    overall: ComparedRuns, by_corruption: ComparedRuns, metric: str, reading: Reading, room: int
) -> list[Table]:
    """Make the tables of the short form: the headline metrics, and the corruptions that differ most by one metric.

    There are as many corruptions as the lines leave room for, `MOST_CORRUPTIONS` at most.
    """
    names = f"{overall.first.name} (A) and {overall.second.name} (B)"
    headline = [(name, overall.views[0].name) for name in headline_metrics(overall.first)]
    tables = [_short_table(names, "metric", overall, headline, reading)]
    number = min(MOST_CORRUPTIONS, room - len(tables[0].rows) - 2 * LINES_OF_A_HEAD)
    if number > 0 and EVERY_METRIC[metric].is_defined_for(overall.first):
        found = {view.name: by_corruption.of(metric, view.name).value for view in by_corruption.views}
        largest = sorted(found, key=lambda name: -abs(found[name]) if isfinite(found[name]) else inf)
        title = f"{EVERY_METRIC[metric].label}: the largest of {len(found)} differences by corruption"
        chosen = [(metric, name) for name in largest[:number]]
        tables.append(_short_table(title, "corruption", by_corruption, chosen, reading))
    return tables


def _short_table(
    title: str, label: str, compared: ComparedRuns, chosen: Sequence[tuple[str, str]], reading: Reading
) -> Table:
    of_corruptions = label == "corruption"
    columns = (
        Column(label, label),
        Column("first", "A"),
        Column("second", "B"),
        Column("difference", "A - B"),
        Column("p", "p (Holm)" if of_corruptions else "p"),
    )
    both = [metrics_of_views(each, compared.views, reading) for each in (compared.first, compared.second)]
    shown = [(metric, view) for metric, view in chosen if EVERY_METRIC[metric].is_defined_for(compared.first)]
    rows: list[tuple[Cell, ...]] = []
    for metric, view in shown:
        found = compared.of(metric, view)
        rows.append(
            (
                view if of_corruptions else metric,
                *(Estimate(of_views[view][metric], nan, nan) for of_views in both),
                Estimate(found.value, found.low, found.high),
                Probability(found.p_adjusted if of_corruptions else found.p_value),
            )
        )
    of_cells = [(None, metric, metric, None, None) for metric, _ in shown]
    return Table(title, columns, tuple(rows), bars=bars_of_rows(rows, of_cells), on_one_line=True)


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
        Column("metric", "metric"),
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
    title = f"{title}: {compared.first.name} (A) and {compared.second.name} (B)"
    of_cells = [(None, None, None, None, None, str(row[0]), str(row[0])) for row in rows]
    return Table(title, columns, tuple(rows), labels=2, bars=bars_of_rows(rows, of_cells))
