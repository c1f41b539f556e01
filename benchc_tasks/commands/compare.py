"""`benchc compare`: where two runs over the same samples differ, and whether that is chance."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchc_metrics.metrics.sums import FIGURES, HEADLINE, PairValues, corruption_views, whole_run
from benchc_metrics.pages.tables import Cell, Column, Probability, Table
from benchc_metrics.runs import read_runs
from benchc_metrics.statistics.estimates import ComparedRuns, Estimate, EstimatedRun, compare, estimate
from benchc_tasks.commands.output import add_bootstrap_arguments, add_format_arguments, print_in_format
from benchc_tasks.commands.summary import notes_on_runs

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
    parser.add_argument(
        "--figures",
        nargs="+",
        choices=FIGURES,
        default=("ras", "acc_corrupted"),
        metavar="FIGURE",
        help=f"which figures to compare corruption by corruption (of {', '.join(FIGURES)})",
    )
    add_format_arguments(parser)
    add_bootstrap_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the tables."""
    runs = read_runs([arguments.first, arguments.second])
    first, second = (PairValues.of_run(each) for each in runs)
    settings = {"resamples": arguments.resamples, "seed": arguments.seed}
    overall = compare(first, second, **settings)
    whole, views = (whole_run(first.run),), corruption_views(first.run)
    by_corruption = compare(first, second, views, **settings)
    estimates = [estimate(each, whole + views, **settings) for each in (first, second)]
    tables = [_table("All corruptions", overall, estimates, HEADLINE)]
    for figure in arguments.figures:
        title = f"{FIGURES[figure].title} by corruption"
        tables.append(_table(title, by_corruption, estimates, [figure], is_family=True))
    print_in_format(tables, [EXPLANATION, *overall.notes, *notes_on_runs(runs)], arguments)
    return 0


def _table(
    title: str,
    compared: ComparedRuns,
    estimates: Sequence[EstimatedRun],
    figures: Sequence[str],
    is_family: bool = False,
) -> Table:
    columns = (
        Column("figure", "figure"),
        Column("corruption", "corruption"),
        Column("difference", "A - B"),
        Column("p_value", "p"),
        Column("p_holm", "p (Holm)"),
        Column("first", "A"),
        Column("second", "B"),
    )
    rows: list[tuple[Cell, ...]] = []
    for figure in figures:
        for view in compared.views:
            found = compared.of(figure, view.name)
            rows.append(
                (
                    FIGURES[figure].name,
                    view.name,
                    Estimate(found.value, found.low, found.high),
                    Probability(found.p_value),
                    Probability(found.p_adjusted) if is_family else None,
                    *(each.of(figure, view.name) for each in estimates),
                )
            )
    return Table(f"{title}: {compared.first.name} (A) and {compared.second.name} (B)", columns, tuple(rows), labels=2)
