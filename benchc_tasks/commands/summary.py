"""`benchc summary`: the metrics of runs with their intervals, as a table."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from benchc_metrics.benchmark import CONTROL, CONTROL_CHANGES
from benchc_metrics.findings.designs import note_on_designs, note_on_run
from benchc_metrics.metrics.pairs import PairValues
from benchc_metrics.metrics.ras import DEFAULT_READING, Reading
from benchc_metrics.metrics.registry import EVERY_METRIC, headline_metrics
from benchc_metrics.metrics.views import (
    View,
    category_views,
    condition_views,
    corruption_views,
    severity_views,
    whole_run,
)
from benchc_metrics.pages.tables import Cell, Column, Probability, Table, bars_of_rows, metric_cell, metric_column
from benchc_metrics.runs import Run, read_runs
from benchc_metrics.statistics.estimates import Estimate, EstimatedRun, estimate, kind_of_predictions
from benchc_metrics.statistics.floor import FLOOR_METRICS, EstimatedFloor, estimate_floor
from benchc_tasks.commands.output import (
    add_bootstrap_arguments,
    add_format_arguments,
    add_metrics_argument,
    add_reading_argument,
    print_in_format,
)

__all__ = ["add_parser", "floor_table", "run", "summary_table"]

TASK_OF_CONTROL = f"benchc-{CONTROL}"

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
    parser.add_argument(
        "--floor",
        action="store_true",
        help="only the floor of runs that have the control, and the distance of each corruption from it",
    )
    add_metrics_argument(parser, headline_metrics(), "which metrics")
    add_reading_argument(parser)
    add_format_arguments(parser)
    add_bootstrap_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the tables."""
    runs = read_runs(arguments.runs)
    by_kind = _floors(runs, arguments)
    floors = [floor_table(of_kind, arguments.by or "corruption", with_changes=arguments.floor) for of_kind in by_kind]
    notes = notes_on_runs(runs, arguments.ras_reading)
    notes += [
        f"{parts.run.name}: {sentence}"
        for of_kind in by_kind
        for _, parts in of_kind
        for sentence in parts.contradictions()
    ]
    if arguments.floor:
        if not floors:
            lacks = "no corruption beside the control" if runs[0].corruptions == (CONTROL,) else "no control"
            raise ValueError(f"{runs[0].name} has {lacks}: evaluate with --tasks benchc,{TASK_OF_CONTROL}")
        print_in_format(floors, notes, arguments, cautions_of_runs(runs))
        return 0
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
        summary_table(
            of_kind, _metrics_of(of_kind[0].run, arguments.metrics), arguments.by, "" if len(kinds) == 1 else kind
        )
        for kind, of_kind in kinds.items()
    ]
    if floors and arguments.format == "csv":
        # Its columns are others than those of the metrics.
        notes.append("The floor and the distances from it are another table: --floor --csv writes it.")
        floors = []
    print_in_format([*tables, *floors], notes, arguments, cautions_of_runs(runs))
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
    names_of_cells = [(*(None for _ in labels), *metrics)] * len(rows)
    columns = (*labels, *map(metric_column, metrics))
    return Table(title, columns, tuple(rows), labels=len(labels), bars=bars_of_rows(rows, names_of_cells))


def floor_table(
    floors: Sequence[tuple[EstimatedFloor, EstimatedFloor]], by: str, *, with_changes: bool = False
) -> Table:
    """Put floors and the distances from them into a table, one row a run and one for each of its parts.

    Parameters
    ----------
    floors : sequence of pair of EstimatedFloor
        For each run that of the whole and that of its parts; all with the same metrics.
    by : str
        The head of the parts' column.
    with_changes : bool
        Whether the floor under each change of the control has a row, `control: NAME`.

    Returns
    -------
    Table
    """
    metrics = floors[0][0].metrics
    columns = [
        column
        for metric in metrics
        for label in (EVERY_METRIC[metric].label,)
        for column in (
            Column(f"{metric}_floor", f"{label}: floor"),
            Column(f"{metric}_distance", f"{label}: distance"),
            Column(f"{metric}_p_holm", "p (Holm)"),
        )
    ]
    rows: list[tuple[Cell, ...]] = []
    for whole, parts in floors:
        of_whole = [(whole.of(metric), Estimate(*whole.distance(metric)[:3]), None) for metric in metrics]
        rows.append((whole.run.name, "all", *(cell for cells in of_whole for cell in cells)))
        for number, change in enumerate(CONTROL_CHANGES if with_changes else (), start=1):
            of_change = [(whole.of_change(metric, number), None, None) for metric in metrics]
            rows.append((whole.run.name, f"{CONTROL}: {change}", *(cell for cells in of_change for cell in cells)))
        for view in parts.views:
            found = [parts.distance(metric, view.name) for metric in metrics]
            cells = [(None, Estimate(*each[:3]), Probability(each.p_adjusted)) for each in found]
            rows.append((parts.run.name, view.name, *(cell for of_metric in cells for cell in of_metric)))
    title = (
        "The floor, under changes that no person sees, and the distance from it: each with a 95 % interval of its own, "
        f"p corrected for the number of rows by {by}"
    )
    return Table(title, (Column("run", "model"), Column(by, by), *columns), tuple(rows), labels=2)


def _floors(runs: Sequence[Run], arguments: argparse.Namespace) -> list[list[tuple[EstimatedFloor, EstimatedFloor]]]:
    """Estimate floors of the runs that have the control, a list for each kind of predictions among them."""
    by = arguments.by or "corruption"
    first = list(FLOOR_METRICS)
    means = [name for name in arguments.metrics if EVERY_METRIC[name].computed.of_pairs is not None]
    metrics = sorted(means, key=lambda name: first.index(name) if name in first else len(first))
    kinds: dict[tuple[str, ...], list[tuple[EstimatedFloor, EstimatedFloor]]] = {}
    for each in runs:
        pairs = PairValues.of_run(each, arguments.ras_reading)
        of_whole, of_parts = (
            estimate_floor(pairs, views, metrics=metrics, resamples=arguments.resamples, seed=arguments.seed)
            for views in (None, _views(each, by))
        )
        if of_whole is not None and of_parts is not None:
            kinds.setdefault(of_whole.metrics, []).append((of_whole, of_parts))
    return list(kinds.values())


def cautions_of_runs(runs: Sequence[Run]) -> list[str]:
    """Say why a reader should doubt these runs, a sentence each."""
    return [f"CAUTION ({caution.name}): {each.name}: {caution.sentence}" for each in runs for caution in each.cautions]


def notes_on_runs(runs: list[Run], reading: Reading = DEFAULT_READING) -> list[str]:
    """Say what a reader of metrics of these runs should be told, a sentence each."""
    notes = [f"{each.name}: {note}" for each in runs for note in each.notes]
    notes += [f"{each.name}: {note}" for each in runs if (note := note_on_run(each, reading))]
    notes += [f"{each.name}: {each.note_on_temperature}" for each in runs if each.note_on_temperature]
    if differing := note_on_designs(runs):
        notes.append(differing)
    notes += [
        f"{each.name}: every picture was restored by {each.metadata.restoration} before the model saw it."
        for each in runs
        if each.metadata.restoration
    ]
    for each in runs:
        if each.metadata.demonstration:
            notes.append(f"{each.name}: the bundled demonstration set was evaluated; this is no Bench-C result.")
        if each.missing:
            notes.append(f"{each.name}: {len(each.missing)} answers are missing.")
        if each.control is not None and (lost := len(each.control.missing) + len(_of_control_alone(each))):
            notes.append(f"{each.name}: {lost} answers under the control are missing or invalid.")
        if each.corruptions == (CONTROL,):
            notes.append(f"{each.name}: only the control was run; the metrics under corruption are its floor.")
        size = each.metadata.dataset_size
        if size is not None and size > len(each.sample_ids):
            notes.append(f"{each.name}: {len(each.sample_ids)} of the {size} samples were evaluated.")
    if len({(each.metadata.dataset, each.metadata.engine, each.metadata.prompt) for each in runs}) > 1:
        notes.append("The runs differ in dataset, corruption engine or prompt: their metrics cannot be compared.")
    return notes


def _of_control_alone(each: Run) -> list[tuple[str, str]]:
    """List the invalid answers under the control, without the clean ones, which are the run's too."""
    return [] if each.control is None else [key for key in each.control.invalid if key not in each.invalid]


def _metrics_of(run: Run, chosen: Sequence[str]) -> tuple[str, ...]:
    """Take what the user chose, or the headline metrics of this kind of run."""
    return headline_metrics(run) if tuple(chosen) == headline_metrics() else tuple(chosen)


def _views(each: Run, by: str | None) -> tuple[View, ...]:
    if by is None:
        return (whole_run(each),)
    views = VIEWS[by](each)
    if not views:
        raise ValueError(f"the samples of {each.name} have no {by}: leave out --by {by}")
    return views
