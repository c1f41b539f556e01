"""The formats in which commands print tables, and how certain their figures are to be: options that they share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from benchc_metrics.escaping import for_terminal
from benchc_metrics.pages.tables import Table, print_tables, to_csv, to_json, to_latex, to_markdown
from benchc_metrics.statistics.resampling import CONFIDENCE_LEVEL, RESAMPLES, SEED

__all__ = ["add_bootstrap_arguments", "add_format_arguments", "print_in_format"]

FORMATS = {
    "json": "all digits, for programs",
    "csv": "all digits, for spreadsheets",
    "markdown": "a table for GitHub",
    "latex": "a table for papers, with booktabs",
}


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--json`, `--csv`, `--markdown` and `--latex`, of which one can be chosen."""
    choice = parser.add_mutually_exclusive_group()
    for name, meaning in FORMATS.items():
        choice.add_argument(f"--{name}", dest="format", action="store_const", const=name, help=meaning)


def add_bootstrap_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--resamples` and `--seed`."""
    parser.add_argument(
        "--resamples",
        type=_resamples,
        default=RESAMPLES,
        metavar="N",
        help="bootstrap resamples behind every interval (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="of the resamples (%(default)s)")


def print_in_format(tables: Sequence[Table], notes: Sequence[str], arguments: argparse.Namespace) -> None:
    """Print tables in the chosen format; notes go beside them, or to the errors' stream where they would disturb."""
    if arguments.format is None:
        print_tables(tables, notes, Console())
        return
    if arguments.format == "json":
        facts: dict[str, Any] = {
            "resamples": arguments.resamples,
            "seed": arguments.seed,
            "confidence_level": CONFIDENCE_LEVEL,
        }
        print(to_json(tables, facts, notes), end="")
        return
    print({"csv": to_csv, "markdown": to_markdown, "latex": to_latex}[arguments.format](tables), end="")
    for note in notes:
        print(for_terminal(note), file=sys.stderr)


def _resamples(text: str) -> int:
    number = int(text)
    if number < 100:
        raise argparse.ArgumentTypeError(f"{number} resamples say nothing about the ends of a 95 % interval: take 1000")
    return number
