"""`benchc figure`: one chart of runs as a file for a paper, with its caption."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchc_metrics.escaping import for_terminal
from benchc_metrics.files import replace_file
from benchc_metrics.messages import quoted
from benchc_metrics.runs import read_runs
from benchc_tasks.commands.output import add_reading_argument

__all__ = ["add_parser", "run"]

KINDS = ("curves", "heat-map", "decomposition", "reliability", "ranks")
NARROWEST, COLUMN, WIDEST = 2.0, 3.25, 20.0


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("figure", help="draw one figure for a paper, with a caption")
    parser.add_argument(
        "kind",
        choices=KINDS,
        metavar="KIND",
        help="curves over severity, heat-map, decomposition of RAS, reliability, or ranks under each reading of RAS",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a model's folder, as lmms-eval wrote it")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="where to write it: .pdf, .svg or .png"
    )
    parser.add_argument(
        "--metric", choices=("ras", "accuracy"), default="ras", help="of curves and heat-map (%(default)s)"
    )
    parser.add_argument(
        "--answers", choices=("corrupted", "clean"), default="corrupted", help="of reliability (%(default)s)"
    )
    parser.add_argument(
        "--width", type=_inches, default=COLUMN, metavar="INCHES", help="of the figure; a column is %(default)s wide"
    )
    add_reading_argument(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw the figure, write it and its caption, print the caption."""
    from benchc_metrics.pages.paper import check_ending
    from benchc_metrics.report.figures import figure_of

    output: Path = arguments.output
    check_ending(output.suffix)
    figure = figure_of(
        arguments.kind,
        read_runs(arguments.runs),
        output.suffix,
        metric=arguments.metric,
        answers=arguments.answers,
        width=arguments.width,
        reading=arguments.ras_reading,
    )
    caption = output.with_suffix(".txt")
    replace_file(output, figure.content)
    replace_file(caption, "".join(f"{line}\n" for line in (figure.caption, *figure.cautions)))
    print(for_terminal(figure.caption))
    for caution in figure.cautions:
        print(for_terminal(caution), file=sys.stderr)
    if figure.is_small:
        print(
            f"benchc: its smallest letters have {figure.letters:.1f} points: take a larger --width, or fewer runs",
            file=sys.stderr,
        )
    print(f"{output}, caption in {caption}")
    return 0


def _inches(text: str) -> float:
    try:
        inches = float(text)
    except ValueError:
        inches = 0.0
    if not NARROWEST <= inches <= WIDEST:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not a width from {NARROWEST:g} to {WIDEST:g} inches")
    return inches
