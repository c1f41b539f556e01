"""Define options that commands share: table formats, metrics, bootstrap."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from benchc_metrics.escaping import for_terminal
from benchc_metrics.messages import close_to_it, quoted
from benchc_metrics.metrics.ras import DEFAULT_READING, RAS_VERSION, READINGS
from benchc_metrics.metrics.registry import METRICS, METRICS_OF_VOTES
from benchc_metrics.pages.tables import Table, print_tables, to_csv, to_json, to_latex, to_markdown
from benchc_metrics.statistics.resampling import CONFIDENCE_LEVEL, RESAMPLES, SEED

__all__ = [
    "add_bootstrap_arguments",
    "add_format_arguments",
    "add_metrics_argument",
    "add_reading_argument",
    "print_in_format",
    "whole_number",
]

LEAST_RESAMPLES = 100
MOST_RESAMPLES = 100_000
LARGEST_SEED = 2**63 - 1

FORMATS = {
    "json": "all digits, for programs",
    "csv": "all digits, for spreadsheets",
    "markdown": "a table for GitHub",
    "latex": "a table for papers, with booktabs",
}


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--json`, `--csv`, `--markdown` and `--latex`; only one can be chosen."""
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
        help="bootstrap resamples for every interval (%(default)s)",
    )
    parser.add_argument(
        "--seed", type=whole_number(0, LARGEST_SEED), default=SEED, metavar="N", help="seed of resamples (%(default)s)"
    )


def add_metrics_argument(parser: argparse.ArgumentParser, default: Sequence[str], purpose: str) -> None:
    """Add `--metrics`, a list with commas; the option can be repeated.

    Parameters
    ----------
    parser : ArgumentParser
    default : sequence of str
    purpose : str
        The beginning of the help.
    """
    chosen = tuple(default)
    help_text = f"{purpose}, as a list with commas (of {', '.join((*METRICS, *METRICS_OF_VOTES))})"
    parser.add_argument(
        "--metrics",
        action=_Extend,
        type=_metric_names,
        default=chosen,
        metavar="METRIC[,METRIC...]",
        help=help_text,
    )


def add_reading_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--ras-reading`."""
    parser.add_argument(
        "--ras-reading",
        choices=READINGS,
        default=DEFAULT_READING,
        help="how RAS reads calibration alignment (%(default)s); compare runs only within one reading",
    )


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return the `type` of an option that takes a whole number from `least` to `most`.

    Parameters
    ----------
    least, most : int

    Returns
    -------
    callable
        From the text to the number; outside the bounds it raises `argparse.ArgumentTypeError` with one sentence.
    """

    def read(text: str) -> int:
        try:
            number = int(text)
        # Python refuses to read a number with more than 4,300 digits.
        except ValueError:
            number = None
        if number is None or not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{quoted(text)} is not a whole number from {least} to {most}")
        return number

    return read


def print_in_format(
    tables: Sequence[Table], notes: Sequence[str], arguments: argparse.Namespace, cautions: Sequence[str] = ()
) -> None:
    """Print tables in the chosen format with cautions and notes, which go to standard error for CSV and similar."""
    if arguments.format is None:
        print_tables(tables, notes, Console(), cautions)
        return
    if arguments.format == "json":
        facts: dict[str, Any] = {
            "resamples": arguments.resamples,
            "seed": arguments.seed,
            "confidence_level": CONFIDENCE_LEVEL,
            "ras_version": RAS_VERSION,
            "ras_reading": arguments.ras_reading,
        }
        print(to_json(tables, facts, notes, cautions), end="")
        return
    print({"csv": to_csv, "markdown": to_markdown, "latex": to_latex}[arguments.format](tables), end="")
    for note in (*cautions, *notes):
        print(for_terminal(note), file=sys.stderr)


def _resamples(text: str) -> int:
    number = whole_number(0, MOST_RESAMPLES)(text)
    if number < LEAST_RESAMPLES:
        raise argparse.ArgumentTypeError(f"{number} resamples are too few for the ends of a 95 % interval: take 1000")
    return number


def _metric_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    known = (*METRICS, *METRICS_OF_VOTES)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        wrong = unknown[0] if unknown else text
        raise argparse.ArgumentTypeError(f"{quoted(wrong)} is not one of {', '.join(known)}{close_to_it(wrong, known)}")
    return names


class _Extend(argparse.Action):
    """Join the lists of a repeated option, each name once, instead of the default."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        earlier = getattr(namespace, self.dest)
        # The default is the parser's own object; a list from an earlier option is not.
        given = () if earlier is self.default else earlier
        setattr(namespace, self.dest, tuple(dict.fromkeys((*given, *values))))
