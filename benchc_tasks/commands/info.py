"""`benchc info`: show what is installed and what it can run."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchc_metrics.escaping import for_terminal
from benchc_tasks.corruptions import CORRUPTIONS, ENGINE_VERSION
from benchc_tasks.datasets import SampleDataset, load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_SET
from benchc_tasks.stacks.lmms_eval import installation as lmms_eval
from task_yamls import tasks_path

__all__ = ["add_parser", "run"]

PACKAGES = ("benchc", "lmms-eval", "torch", "transformers", "numba", "opencv-python-headless", "imagecorruptions")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("info", help="print versions, corruptions, the dataset, tasks, and backends found")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what is installed."""
    console = Console()
    console.print(_package_table())
    console.print(_corruption_table())
    console.print(_dataset_table({"bundled": load_dataset(DEMONSTRATION_SET), "in use": load_dataset()}))
    console.print(_task_table())
    console.print(f"[bold]Backends[/bold] that lmms-eval offers for backend=...\n{', '.join(lmms_eval.backends())}")
    return 0


def _package_table() -> Table:
    table = Table("package", "version", title=f"Packages (corruption engine {ENGINE_VERSION})", title_justify="left")
    for package in PACKAGES:
        try:
            table.add_row(package, version(package))
        except PackageNotFoundError:
            table.add_row(package, "not installed")
    return table


def _corruption_table() -> Table:
    table = Table("corruption", "category", "random", "task", title="Corruptions", title_justify="left")
    for name, corruption in CORRUPTIONS.items():
        table.add_row(name, corruption.category, "yes" if corruption.is_random else "no", f"benchc_{name}")
    return table


def _dataset_table(datasets: dict[str, SampleDataset]) -> Table:
    table = Table("dataset", "source", "samples", "fingerprint", title="Datasets", title_justify="left")
    for name, samples in datasets.items():
        table.add_row(name, Text(for_terminal(samples.source)), str(len(samples)), samples.fingerprint[:16])
    return table


def _task_table() -> Table:
    table = Table("group", "tasks", title="Groups of tasks", title_justify="left")
    for path in sorted(tasks_path().glob("benchc*.yaml")):
        definition = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        if "group" in definition:
            table.add_row(definition["group"], ", ".join(definition["task"]))
    return table
