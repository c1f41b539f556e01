"""`benchc completion`: print a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["SHELLS", "add_parser", "run"]

SHELLS = ("bash", "zsh", "tcsh")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("completion", help="print a script that completes commands and options in a shell")
    parser.add_argument("shell", choices=SHELLS, help="the shell that will read the script")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the script of a shell."""
    import shtab  # only this command needs it

    from benchc_tasks.commands.cli import build_parser

    print(shtab.complete(build_parser(), shell=arguments.shell))
    return 0
