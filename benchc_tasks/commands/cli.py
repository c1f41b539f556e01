"""The `benchc` command."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NoReturn

from benchc_metrics.escaping import for_terminal
from benchc_metrics.messages import close_to_it, quoted

__all__ = ["main"]

COMMANDS = (
    "run",
    "plan",
    "info",
    "doctor",
    "tasks-path",
    "task-files",
    "show",
    "agree",
    "vlmevalkit",
    "pool",
    "export",
    "select",
    "summary",
    "compare",
    "report",
    "figure",
    "submit",
    "verify",
    "leaderboard",
    "completion",
)
"""The subcommands; each is a module of `benchc_tasks.commands`."""


INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """A parser that suggests the word that was probably meant."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        # `dest` names a command, but an option has its own name.
        known = COMMANDS if isinstance(action, argparse._SubParsersAction) else [str(word) for word in action.choices]
        what = "there is no command " if known is COMMANDS else ""
        raise argparse.ArgumentError(
            None if what else action,
            f"{what}{quoted(value)}{'' if what else ' is not one of ' + ', '.join(known)}"
            f"{close_to_it(value, known, 'benchc --help lists them all' if what else '')}",
        )

    def refuse_unknown(self, words: Sequence[str]) -> NoReturn:
        """Exit with a sentence about the first unknown option and similar ones."""
        unknown = next((word for word in words if word.startswith("-")), words[0])
        self.error(f"unknown argument {quoted(unknown)}{close_to_it(unknown.partition('=')[0], self.option_names())}")

    def option_names(self) -> list[str]:
        """Return the long options."""
        return [word for word in self._option_string_actions if word.startswith("--")]


def build_parser(commands: Sequence[str] = COMMANDS) -> Parser:
    """Build the parser of the command line.

    Parameters
    ----------
    commands : sequence of str
        The subcommands to include. Only their modules are imported.
    """
    parser = Parser(
        prog="benchc",
        description="Bench-C: the corruption robustness of large vision-language models, as a plugin of lmms-eval.",
        epilog="benchc run --print-command shows lmms-eval's own command for an evaluation.",
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
        The words after `benchc`; by default those of the process.

    Returns
    -------
    int
        The exit status: 0 for success, 1 for a failure, 2 for wrong arguments.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    # `benchc doctor` must start even if the imports of the other commands are broken.
    parser = build_parser(words[:1] if words[:1] and words[0] in COMMANDS else COMMANDS)
    chosen, others = parser.parse_known_args(words)
    if others and not getattr(chosen, "others_allowed", False):
        _parser_of(parser, words).refuse_unknown(others)
    chosen.words, chosen.others = words, others
    try:
        status: int = chosen.run(chosen)
    except KeyboardInterrupt:
        print("benchc: stopped", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as fault:
        print(f"benchc: {for_terminal(str(fault), lines=True)}", file=sys.stderr)
        return 1
    return status


def _parser_of(parser: Parser, words: Sequence[str]) -> Parser:
    """Return the parser of the command at the beginning of some words."""
    commands = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    found = commands[0].choices.get(words[0]) if commands and words else None
    return found if isinstance(found, Parser) else parser


if __name__ == "__main__":
    sys.exit(main())
