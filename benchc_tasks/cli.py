"""The `benchc` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from benchc_tasks.commands import (
    compare,
    doctor,
    info,
    leaderboard,
    pool,
    report,
    select,
    show,
    submit,
    summary,
    tasks_path,
    verify,
)

__all__ = ["main"]

COMMANDS = (info, doctor, tasks_path, show, pool, select, summary, compare, report, submit, verify, leaderboard)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line, one subcommand a module of `benchc_tasks.commands`."""
    parser = argparse.ArgumentParser(
        prog="benchc",
        description="Bench-C: the corruption robustness of large vision-language models, as a plugin of lmms-eval.",
        epilog="An evaluation is lmms-eval's own command: python -m lmms_eval --model benchc --tasks benchc",
    )
    parser.add_argument("--version", action="version", version=f"benchc {version('benchc')}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after `benchc`; those of the process by default.

    Returns
    -------
    int
        The exit status: 0 if all went well, 1 if not; wrong arguments end with 2.
    """
    chosen = build_parser().parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
    except (ValueError, OSError) as fault:
        print(f"benchc: {fault}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
