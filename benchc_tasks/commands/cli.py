"""The `benchc` command."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version

from benchc_metrics.escaping import for_terminal

__all__ = ["main"]

COMMANDS = (
    "info",
    "doctor",
    "tasks-path",
    "task-files",
    "show",
    "agree",
    "pool",
    "select",
    "summary",
    "compare",
    "report",
    "submit",
    "verify",
    "leaderboard",
)
"""The subcommands; each is a module of `benchc_tasks.commands`."""


def build_parser(commands: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """Build the parser of the command line.

    Parameters
    ----------
    commands : sequence of str
        The subcommands that it knows. Only their modules are imported.
    """
    parser = argparse.ArgumentParser(
        prog="benchc",
        description="Bench-C: the corruption robustness of large vision-language models, as a plugin of lmms-eval.",
        epilog="An evaluation is lmms-eval's own command: python -m lmms_eval --model benchc --tasks benchc",
    )
    parser.add_argument("--version", action="version", version=f"benchc {version('benchc')}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        importlib.import_module(f"benchc_tasks.commands.{command.replace('-', '_')}").add_parser(subparsers)
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
    words = sys.argv[1:] if arguments is None else list(arguments)
    # `benchc doctor` has to start where what the other commands import is broken.
    parser = build_parser(words[:1] if words[:1] and words[0] in COMMANDS else COMMANDS)
    chosen = parser.parse_args(words)
    try:
        status: int = chosen.run(chosen)
    except (ValueError, OSError) as fault:
        print(f"benchc: {for_terminal(str(fault), lines=True)}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
